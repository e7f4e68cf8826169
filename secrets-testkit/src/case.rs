use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use secrets_core::Capabilities;

use crate::bench::Bench;
use crate::facts::{Alphabet, Facts};
use crate::harness::Outcome;
use crate::{Failure, Harness, capture};

/// One test of one law, for [`conformance!`](crate::conformance) and for other runners.
///
/// ```
/// use secrets_testkit::{Case, MemoryHarness};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// let harness = MemoryHarness::default();
/// for case in secrets_testkit::cases() {
///     if runtime.block_on(case.applies_to(&harness)).unwrap() {
///         runtime.block_on(case.run(&harness)).unwrap();
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Case {
    pub(crate) name: &'static str,
    pub(crate) law: &'static str,
    pub(crate) requirement: Requirement,
    pub(crate) run: Run,
}

pub(crate) type Run = for<'a> fn(&'a Bench<'a>) -> Checked<'a>;

/// A case on its way.
pub(crate) type Checked<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

impl Case {
    /// Its name, which begins with the law's id.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The law it proves: an id of the contract, or `D` and a number for a duty that `SecretBackend` documents.
    pub fn law(&self) -> &'static str {
        self.law
    }

    /// What the backend has to have, or to lack, for the case to make sense.
    pub fn requirement(&self) -> Requirement {
        self.requirement
    }

    /// Whether the backend has what the case needs.
    ///
    /// # Errors
    ///
    /// When the harness cannot make its backend.
    pub async fn applies_to(&self, harness: &dyn Harness) -> Outcome<bool> {
        let backend = harness.backend().await?;
        let met = self
            .requirement
            .is_met_by(backend.capabilities(), &harness.facts());
        backend.shutdown().await?;
        Ok(met)
    }

    /// Runs the case and deletes what it created. On a tokio runtime with everything enabled that the backend needs.
    ///
    /// The kit listens to all that the process logs while this runs.
    ///
    /// # Errors
    ///
    /// What the backend, or the harness, did wrong. A panic is one such thing, and so is taking longer than the harness's
    /// patience.
    pub async fn run(&self, harness: &dyn Harness) -> Result<(), Failure> {
        capture::install();
        let facts = harness.facts();
        let patience = facts.patience;
        let outcome = async {
            let bench = within(patience, Bench::new(harness, facts)).await?;
            if !self
                .requirement
                .is_met_by(bench.backend().capabilities(), bench.facts())
            {
                return Err(Failure::new(self.requirement.reason()));
            }
            let outcome = within(patience, (self.run)(&bench)).await;
            let cleaned = within(patience, bench.clean_up()).await;
            outcome.and(cleaned)
        };
        let outcome = outcome.await;
        outcome.map_err(|failure| failure.of(self.law, self.name))
    }

    /// Runs the case on a runtime of its own, on this thread.
    ///
    /// # Errors
    ///
    /// Like [`run`](Case::run).
    ///
    /// # Panics
    ///
    /// When the machine has no runtime to give, or this is called from within one.
    pub fn run_blocking(&self, harness: &dyn Harness) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let outcome = runtime.block_on(self.run(harness));
        // A file read that hangs must not hang the test.
        runtime.shutdown_background();
        outcome
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("law", &self.law)
            .field("requirement", &self.requirement)
            .finish_non_exhaustive()
    }
}

/// What a [`Case`] needs of a backend. Each has a word that goes into `without = […]`, and a case that needs the absence
/// runs where that word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// Nothing: it runs on every backend.
    Any,
    /// Values that are not UTF-8: `bytes`.
    Bytes,
    /// Empty values: `empty`.
    Empty,
    /// A harness that injects faults: `faults`.
    Faults,
    /// `list`.
    List,
    /// No `list`.
    NoList,
    /// No `versions`.
    NoVersions,
    /// No `watch`.
    NoWatch,
    /// `versions`.
    Versions,
    /// `watch`.
    Watch,
}

impl Requirement {
    /// Whether a backend with these capabilities, over a store like this, has it.
    pub fn is_met_by(self, capabilities: Capabilities, facts: &Facts) -> bool {
        match self {
            Self::Any => true,
            Self::Bytes => facts.alphabet != Alphabet::Text,
            Self::Empty => facts.empty_values,
            Self::Faults => !facts.faults.is_empty(),
            Self::List => capabilities.list,
            Self::NoList => !capabilities.list,
            Self::NoVersions => !capabilities.versions,
            Self::NoWatch => !capabilities.watch,
            Self::Versions => capabilities.versions,
            Self::Watch => capabilities.watch,
        }
    }

    /// Why a case does not run where the requirement is not met.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Any => "it runs everywhere",
            Self::Bytes => "the store takes text only: `without = [bytes]`",
            Self::Empty => "the store has no empty values: `without = [empty]`",
            Self::Faults => "the harness injects no faults: `without = [faults]`",
            Self::List => "the backend does not list: `without = [list]`",
            Self::NoList => "the backend lists: nothing to refuse",
            Self::NoVersions => "the backend has versions: nothing to refuse",
            Self::NoWatch => "the backend watches: nothing to refuse",
            Self::Versions => "the backend has no versions: `without = [versions]`",
            Self::Watch => "the backend does not watch: `without = [watch]`",
        }
    }
}

/// Turns a panic, and taking too long, into a failure.
async fn within<T>(patience: Duration, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut step = Box::pin(step);
    let step = poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Failure::new(panicked(&*panic)))))
    });
    let ended = tokio::time::timeout(patience, step).await;
    ended.unwrap_or_else(|_| Err(Failure::new(format!("it did not end within {patience:?}"))))
}

/// The message is left to the panic hook, which has printed it: it may hold anything.
fn panicked(panic: &(dyn Any + Send)) -> String {
    let kind = if panic.is::<String>() || panic.is::<&str>() {
        "it panicked; the message is above"
    } else {
        "it panicked"
    };
    kind.into()
}
