//! The unbroken backends pass the whole suite, with and without each of their abilities, alone and in composites.

use std::num::NonZeroUsize;
use std::sync::Arc;

use secrets_core::SecretBackend;
use secrets_testkit::{MemoryBackend, MemoryHarness};

mod memory {
    use super::*;

    secrets_testkit::conformance!(MemoryHarness::default());
}

mod memory_in_batches {
    use super::*;

    secrets_testkit::conformance!(MemoryHarness::of(
        MemoryBackend::new().with_batch(NonZeroUsize::new(3))
    ));
}

mod memory_that_only_reads {
    use super::*;

    fn harness() -> MemoryHarness {
        let reads = MemoryBackend::new()
            .with_versions(false)
            .with_list(false)
            .with_watch(false);
        MemoryHarness::of(reads)
    }

    secrets_testkit::conformance!(harness(), without = [versions, list, watch]);
}

mod boxed {
    use super::*;

    fn boxed(memory: MemoryBackend) -> Arc<dyn SecretBackend> {
        let boxed: Box<dyn SecretBackend> = Box::new(memory);
        Arc::new(boxed)
    }

    secrets_testkit::conformance!(MemoryHarness::wrapped(boxed));
}

mod shared {
    use super::*;

    fn shared(memory: MemoryBackend) -> Arc<dyn SecretBackend> {
        let shared: Arc<dyn SecretBackend> = Arc::new(memory);
        Arc::new(shared)
    }

    secrets_testkit::conformance!(MemoryHarness::wrapped(shared));
}
