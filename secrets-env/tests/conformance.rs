//! The conformance kit over environment variables.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex};

use secrets_core::{SecretBackend, SecretName, Version};
use secrets_env::{EnvBackend, EnvSource};
use secrets_testkit::{Alphabet, Facts, Harness, Outcome, ThroughManager, async_trait, conformance};

/// An environment that changes behind the backend's back, without touching the process's own.
#[derive(Clone, Debug, Default)]
struct Environment(Arc<Mutex<BTreeMap<OsString, OsString>>>);

impl EnvSource for Environment {
    fn variable(&self, name: &str) -> Option<OsString> {
        self.0.lock().unwrap().get(&OsString::from(name)).cloned()
    }

    fn names(&self) -> Vec<OsString> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
}

struct EnvHarness {
    environment: Environment,
    backend: EnvBackend,
}

impl EnvHarness {
    fn prefixed() -> Self {
        Self::new("APP_")
    }

    fn whole() -> Self {
        Self::new("")
    }

    fn new(prefix: &str) -> Self {
        let environment = Environment::default();
        let builder = EnvBackend::builder().source(environment.clone());
        let builder = if prefix.is_empty() {
            builder
        } else {
            builder.prefix(prefix)
        };
        Self {
            environment,
            backend: builder.build().unwrap(),
        }
    }
}

fn canonical(name: &SecretName) -> String {
    name.as_str().to_lowercase().replace(['_', '-', '.'], "/")
}

#[async_trait]
impl Harness for EnvHarness {
    fn facts(&self) -> Facts {
        Facts::new()
            .with_alphabet(Alphabet::NoNul)
            .with_canonical(canonical)
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        Ok(Arc::new(self.backend.clone()))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let variable = OsString::from(self.backend.variable(name)?);
        self.environment
            .0
            .lock()
            .unwrap()
            .insert(variable, OsString::from_vec(value.to_vec()));
        Ok(None)
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let variable = OsString::from(self.backend.variable(name)?);
        self.environment
            .0
            .lock()
            .unwrap()
            .remove(&variable)
            .ok_or("there is no such variable")?;
        Ok(())
    }
}

mod prefixed {
    use super::*;

    conformance!(EnvHarness::prefixed(), without = [versions, watch, faults]);
}

mod whole {
    use super::*;

    conformance!(EnvHarness::whole(), without = [versions, watch, faults, list]);
}

mod through_the_manager {
    use super::*;

    conformance!(
        ThroughManager::new(EnvHarness::prefixed()),
        without = [versions, watch, faults]
    );
}
