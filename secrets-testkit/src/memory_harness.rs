use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrets_core::{Error, ErrorKind, SecretBackend, SecretName, Version};

use crate::{Facts, Fault, Harness, MemoryBackend, Outcome, VersionFacts};

/// The harness of a [`MemoryBackend`], and of whatever is built upon one: composites, and backends broken on purpose.
///
/// ```
/// mod routed {
///     use std::sync::Arc;
///
///     use secrets_core::{PrefixRouter, SecretName};
///     use secrets_testkit::MemoryHarness;
///
///     fn routed() -> MemoryHarness {
///         MemoryHarness::wrapped(|memory| {
///             let router = PrefixRouter::builder().route("app", memory).build().unwrap();
///             Arc::new(router)
///         })
///         .under(SecretName::new("app").unwrap())
///     }
///
///     secrets_testkit::conformance!(routed());
/// }
/// ```
#[derive(Clone)]
pub struct MemoryHarness {
    memory: MemoryBackend,
    wrap: Arc<Wrap>,
    facts: Facts,
    disabled: Arc<Mutex<Vec<SecretName>>>,
}

type Wrap = dyn Fn(MemoryBackend) -> Arc<dyn SecretBackend> + Send + Sync;

impl MemoryHarness {
    /// Over this backend.
    pub fn of(memory: MemoryBackend) -> Self {
        Self {
            memory,
            wrap: Arc::new(|memory| Arc::new(memory)),
            disabled: Arc::default(),
            facts: Facts::new().with_versions(versions()).with_faults([
                Fault::Denied,
                Fault::Disabled,
                Fault::Garbage,
                Fault::Hang,
                Fault::Throttled,
                Fault::Unauthenticated,
                Fault::Unreachable,
            ]),
        }
    }

    /// Over what `wrap` makes of a [`MemoryBackend`] with everything.
    pub fn wrapped(wrap: impl Fn(MemoryBackend) -> Arc<dyn SecretBackend> + Send + Sync + 'static) -> Self {
        Self::default().wrapping(wrap)
    }

    /// Over what `wrap` makes of this harness's backend.
    #[must_use]
    pub fn wrapping(
        mut self,
        wrap: impl Fn(MemoryBackend) -> Arc<dyn SecretBackend> + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Arc::new(wrap);
        self
    }

    /// Puts all names under this one.
    #[must_use]
    pub fn under(self, prefix: SecretName) -> Self {
        self.with_facts(|facts| facts.with_names_under(prefix))
    }

    /// Changes what is said about the store.
    #[must_use]
    pub fn with_facts(mut self, change: impl FnOnce(Facts) -> Facts) -> Self {
        self.facts = change(self.facts);
        self
    }

    fn disabled(&self) -> MutexGuard<'_, Vec<SecretName>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryHarness {
    fn default() -> Self {
        Self::of(MemoryBackend::new())
    }
}

impl fmt::Debug for MemoryHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHarness")
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Harness for MemoryHarness {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        Ok((self.wrap)(self.memory.clone()))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        Ok(Some(self.memory.store().put(name, value)))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        if self.memory.store().delete(name) {
            Ok(())
        } else {
            Err(format!("there is no `{name}`").into())
        }
    }

    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        let store = self.memory.store();
        let error = |kind| Error::new(kind, "the harness injected this");
        match fault {
            Fault::Denied => store.fail_for(name, error(ErrorKind::PermissionDenied)),
            Fault::Disabled => {
                store.disable(name);
                self.disabled().push(name.clone());
            }
            Fault::Garbage => store.fail_for(name, error(ErrorKind::InvalidData)),
            Fault::Hang => store.hang(),
            Fault::Throttled => store.fail(error(ErrorKind::RateLimited)),
            Fault::Unauthenticated => store.fail(error(ErrorKind::Unauthenticated)),
            Fault::Unreachable => store.fail(error(ErrorKind::Unavailable)),
        }
        Ok(())
    }

    async fn heal(&self) -> Outcome {
        self.memory.store().heal();
        for name in self.disabled().drain(..) {
            self.memory.store().enable(&name);
        }
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.memory.store().requests())
    }
}

fn versions() -> VersionFacts {
    let version = |text| Version::new(text).expect("the kit names its versions well");
    VersionFacts::new(version("999999"))
        .with_malformed(["one", "01", "+1", "1.0", "stage:", "stage:none"].map(version))
        .with_latest_stage(version("stage:current"))
        .with_previous_stage(version("stage:previous"))
}
