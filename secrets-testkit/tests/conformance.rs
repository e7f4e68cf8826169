//! The unbroken backends pass the whole suite, with and without each of their abilities, alone and in composites.

use std::num::NonZeroUsize;
use std::sync::Arc;

use secrets_core::{FallbackBackend, PrefixRouter, SecretBackend, SecretName, Version};
use secrets_testkit::{Facts, Fault, Harness, MemoryBackend, MemoryHarness, Outcome, async_trait};

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

mod chained {
    use super::*;

    fn chained(memory: MemoryBackend) -> Arc<dyn SecretBackend> {
        let chain = FallbackBackend::new(vec![Box::new(MemoryBackend::new()), Box::new(memory)]);
        Arc::new(chain.unwrap())
    }

    secrets_testkit::conformance!(MemoryHarness::wrapped(chained));
}

mod chained_behind_one_without_versions {
    use super::*;

    fn chained(memory: MemoryBackend) -> Arc<dyn SecretBackend> {
        let first = MemoryBackend::new().with_versions(false);
        Arc::new(FallbackBackend::new(vec![Box::new(first), Box::new(memory)]).unwrap())
    }

    secrets_testkit::conformance!(MemoryHarness::wrapped(chained), without = [versions]);
}

mod routed {
    use super::*;

    fn routed() -> MemoryHarness {
        MemoryHarness::wrapped(|memory| {
            let router = PrefixRouter::builder()
                .route("other", MemoryBackend::new())
                .route("app", memory)
                .build();
            Arc::new(router.unwrap())
        })
        .under(SecretName::new("app").unwrap())
    }

    secrets_testkit::conformance!(routed());
}

mod routed_and_stripped {
    use super::*;

    /// The store knows a name without the prefix that the router strips.
    struct Stripped(MemoryHarness);

    impl Stripped {
        fn new() -> Self {
            let stripped = MemoryHarness::wrapped(|memory| {
                let router = PrefixRouter::builder().route_stripped("app/live", memory).build();
                Arc::new(router.unwrap())
            });
            Self(stripped.under(prefix()))
        }
    }

    fn prefix() -> SecretName {
        SecretName::new("app/live").unwrap()
    }

    fn stored(name: &SecretName) -> SecretName {
        name.strip_prefix(&prefix()).unwrap()
    }

    #[async_trait]
    impl Harness for Stripped {
        fn facts(&self) -> Facts {
            self.0.facts()
        }

        async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
            self.0.backend().await
        }

        async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
            self.0.create(&stored(name), value).await
        }

        async fn delete(&self, name: &SecretName) -> Outcome {
            self.0.delete(&stored(name)).await
        }

        async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
            self.0.inject(fault, &stored(name)).await
        }

        async fn heal(&self) -> Outcome {
            self.0.heal().await
        }

        fn requests(&self) -> Option<u64> {
            self.0.requests()
        }
    }

    secrets_testkit::conformance!(Stripped::new());
}
