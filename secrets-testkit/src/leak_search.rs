use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use secrets_core::{
    Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretManager, SecretName, Version,
};

use crate::capture::Capture;
use crate::printed::Printed;
use crate::{Canary, Failure};

/// Looks for canaries in everything that is printed of a backend that is asked in every way (laws S1 and E5).
///
/// Looked at are secrets, metadata, backend, manager and statistics, the errors with all that caused them, and the panic
/// that an `unwrap` of each kind makes, in `Display`, `Debug` and `{:#?}`; and everything that the process traces and logs
/// meanwhile, at any level. [`LeakTable`](crate::wire::LeakTable) does so with every answer that a server may give; a backend
/// without a server is brought into each of its failures by its own tests:
///
/// ```
/// use std::sync::Arc;
/// use secrets_core::{ErrorKind, SecretBackend, SecretName};
/// use secrets_testkit::{Canary, LeakSearch, MemoryBackend};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let value = Canary::random();
/// let store = MemoryBackend::new();
/// let name = SecretName::new("app/canary").unwrap();
/// store.store().put(&name, value.expose().as_bytes());
/// let backend: Arc<dyn SecretBackend> = Arc::new(store);
///
/// let mut search = LeakSearch::start([value]).unwrap();
/// search.ask(&backend, &name, None).await;
/// search.ask(&backend, &SecretName::new("app/absent").unwrap(), None).await;
/// let kinds = search.finish().unwrap();
/// assert!(kinds.contains(&ErrorKind::NotFound));
/// # });
/// ```
pub struct LeakSearch {
    canaries: Vec<Canary>,
    capture: Capture,
    printed: Printed,
    kinds: Vec<ErrorKind>,
}

impl LeakSearch {
    /// Looks for these from now on: values, and every credential that the backend holds.
    ///
    /// # Errors
    ///
    /// What keeps the process's logs from being seen.
    pub fn start(canaries: impl IntoIterator<Item = Canary>) -> Result<Self, Failure> {
        Ok(Self {
            canaries: canaries.into_iter().collect(),
            capture: Capture::start().map_err(Failure::new)?,
            printed: Printed::default(),
            kinds: Vec::new(),
        })
    }

    /// Asks for this secret in every way, by itself and through a manager, for a version of it as well, and looks at what
    /// comes. What fails is looked at like what succeeds.
    pub async fn ask(
        &mut self,
        backend: &Arc<dyn SecretBackend>,
        name: &SecretName,
        version: Option<&Version>,
    ) {
        let request = ReadRequest::new(name);
        let versioned = request.with_version(version);
        let mut requests = vec![request];
        requests.extend(version.map(|_| versioned));
        for request in &requests {
            self.answer(backend.get(*request).await);
        }
        for answer in backend.get_many(&[request, versioned, request]).await {
            self.answer(answer);
        }
        self.outcome(backend.list(None).await.map(drop));
        self.outcome(backend.check().await);
        self.manage(backend, name.as_str()).await;
        // A field that a value in plain text has not, nor most documents.
        self.manage(backend, &format!("{name}#no-such-field")).await;
        self.look("the backend", backend);
    }

    /// A manager for each reference: one that was told to slow down would wait before it asks again.
    async fn manage(&mut self, backend: &Arc<dyn SecretBackend>, reference: &str) {
        let manager = match SecretManager::builder(backend.clone()).attempts(1).build() {
            Ok(manager) => manager,
            Err(error) => return self.error(error),
        };
        match manager.get(reference).await {
            Ok(secret) => self.look("a secret", &secret),
            Err(error) => self.error(error),
        }
        self.look("the manager", &manager);
        self.look("the statistics", &manager.stats());
    }

    /// Shuts the backend down, and looks at what comes of that.
    pub async fn shut_down(&mut self, backend: &Arc<dyn SecretBackend>) {
        self.outcome(backend.shutdown().await);
        self.look("the backend, shut down", backend);
    }

    /// Looks at anything else: a builder, a credential, a stream of events.
    pub fn look(&mut self, what: &str, printed: &dyn Debug) {
        self.printed.look(what, printed);
    }

    /// Looks at an error, and at what a panic with it says.
    pub fn error(&mut self, error: Error) {
        self.printed.error(&error);
        if !self.kinds.contains(&error.kind()) {
            self.kinds.push(error.kind());
            // The message of a panic is its `Debug`, which was looked at; one of each kind shows what the hook is given.
            let _ = catch_unwind(AssertUnwindSafe(|| unwrapped(Err(error))));
        }
    }

    fn answer(&mut self, answer: Result<Fetched>) {
        match answer {
            Ok(fetched) => self.printed.fetched(&fetched),
            Err(error) => self.error(error),
        }
    }

    fn outcome(&mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.error(error);
        }
    }

    /// Searches what was printed since the last time, so that who asks for much knows after which answer something showed.
    ///
    /// # Errors
    ///
    /// What shows which canary.
    pub fn search(&mut self) -> Result<(), Failure> {
        let printed = std::mem::take(&mut self.printed);
        for canary in &self.canaries {
            printed.shows_nothing_of("a canary", canary)?;
        }
        Ok(())
    }

    /// Searches all that is left, and everything that was logged. Returns the kinds of the errors that came, each once and
    /// in the order of their names, so that a test can hold that none is missing.
    ///
    /// # Errors
    ///
    /// What shows which canary.
    pub fn finish(mut self) -> Result<Vec<ErrorKind>, Failure> {
        for record in self.capture.records() {
            self.printed
                .text("a record of the process's log", record.to_string());
        }
        self.search()?;
        let mut kinds = std::mem::take(&mut self.kinds);
        kinds.sort_by_key(|kind| format!("{kind:?}"));
        Ok(kinds)
    }
}

impl fmt::Debug for LeakSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was printed may have what is looked for in it.
        f.debug_struct("LeakSearch")
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

fn unwrapped(outcome: Result<()>) {
    outcome.unwrap();
}
