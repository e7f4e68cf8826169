use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use secrets_core::{SecretBackend, SecretName, Version};

use crate::{Facts, Fault};

/// What a [`Harness`] returns: any error does, since a failing harness fails the test with the error's text.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How the kit gets at a backend and at the store behind it: what the author of a backend writes for
/// [`conformance!`](crate::conformance).
///
/// The kit changes the store through [`create`](Harness::create), [`update`](Harness::update) and
/// [`delete`](Harness::delete), which go around the backend, and looks at what the backend makes of it.
///
/// # For implementors
///
/// - The harness is made anew for every case, and cases run at once. They ask for names that begin with a random segment
///   (`kit4f0q…`), so one store may serve them all; an expensive one belongs into a `static`. What must outlive the
///   runtime of one case, such as a server, needs a thread of its own, as everything in the module `wire` has.
/// - A change is done when a read that begins after it would see it.
/// - Write values as they are: what the store cannot hold belongs into [`Facts`].
/// - The kit deletes what it created, also after a failure.
#[async_trait]
pub trait Harness: Send + Sync {
    /// What the store is like. By default: any bytes, up to a mebibyte, empty ones included, and names as they are.
    fn facts(&self) -> Facts {
        Facts::new()
    }

    /// The backend under test, over this harness's store. Another one for each call: the kit ends each by its
    /// [`shutdown`](SecretBackend::shutdown).
    ///
    /// # Errors
    ///
    /// Whatever kept it from being made.
    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>>;

    /// Creates a secret that does not exist. Returns the version written, where the store has versions.
    ///
    /// # Errors
    ///
    /// Whatever the store refused.
    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>>;

    /// Gives an existing secret another value. Returns the version written, where the store has versions. By default the
    /// same as [`create`](Harness::create).
    ///
    /// # Errors
    ///
    /// Whatever the store refused.
    async fn update(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        self.create(name, value).await
    }

    /// Deletes a secret that exists, so that it can be created anew.
    ///
    /// # Errors
    ///
    /// Whatever the store refused.
    async fn delete(&self, name: &SecretName) -> Outcome;

    /// From now on reading `name` meets this fault; others may as well. Only asked for what
    /// [`Facts::with_faults`] names.
    ///
    /// # Errors
    ///
    /// Whatever kept the fault from being injected.
    async fn inject(&self, fault: Fault, name: &SecretName) -> Outcome {
        Err(format!("the harness cannot inject {fault:?} for `{name}`").into())
    }

    /// Ends the fault injected.
    ///
    /// # Errors
    ///
    /// Whatever kept the fault from being ended.
    async fn heal(&self) -> Outcome {
        Ok(())
    }

    /// How many requests have reached the store so far, where that can be told. With it the kit can prove that a refused
    /// name is refused before any input or output.
    fn requests(&self) -> Option<u64> {
        None
    }
}
