//! What a runner of cases makes of a harness or a backend that misbehaves, and what it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use secrets_core::{
    Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName, Version,
};
use secrets_testkit::{
    Case, Facts, Failure, Harness, MemoryBackend, MemoryHarness, Outcome, Requirement, async_trait, cases,
};

fn case(name: &str) -> Case {
    cases()
        .into_iter()
        .find(|case| case.name() == name)
        .expect("there is such a case")
}

fn fails(harness: &dyn Harness, name: &str) -> Failure {
    case(name)
        .run_blocking(harness)
        .expect_err("the case has to fail")
}

/// A backend that answers every read in one way.
#[derive(Debug)]
struct Reads(fn() -> Result<Fetched>);

#[async_trait]
impl SecretBackend for Reads {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    async fn get(&self, _request: ReadRequest<'_>) -> Result<Fetched> {
        let answer = (self.0)();
        if let Ok(Fetched::Unchanged { .. }) = answer {
            std::future::pending::<()>().await;
        }
        answer
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn shutdown(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "cannot say goodbye"))
    }
}

/// A harness that cannot do anything.
struct Idle;

#[async_trait]
impl Harness for Idle {
    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        Err("the server did not start".into())
    }

    async fn create(&self, _name: &SecretName, _value: &[u8]) -> Outcome<Option<Version>> {
        Ok(None)
    }

    async fn delete(&self, _name: &SecretName) -> Outcome {
        Ok(())
    }
}

fn reading(memory: &MemoryBackend, read: fn() -> Result<Fetched>) -> MemoryHarness {
    MemoryHarness::of(memory.clone()).wrapping(move |_| Arc::new(Reads(read)))
}

fn left(memory: &MemoryBackend) -> Vec<SecretName> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(memory.list(None))
        .unwrap()
}

#[test]
fn a_harness_that_fails_is_told_from_a_backend_that_fails() {
    let failure = fails(&Idle, "v2_empty_is_not_absent");
    assert_eq!(
        failure.to_string(),
        "law V2 (v2_empty_is_not_absent): the harness could not make the backend: the server did not start"
    );
}

#[test]
fn a_panic_is_a_failure_and_what_was_created_is_deleted() {
    let memory = MemoryBackend::new();
    let failure = fails(
        &reading(&memory, || panic!("on purpose")),
        "v1_bytes_come_back_identical",
    );
    assert_eq!(failure.reason(), "it panicked; the message is above");
    assert_eq!(left(&memory), []);
}

#[test]
fn an_error_is_a_failure_and_what_was_created_is_deleted() {
    let memory = MemoryBackend::new();
    let failure = fails(
        &reading(&memory, || Err(Error::new(ErrorKind::Timeout, "no answer"))),
        "v3_white_space_survives",
    );
    assert!(failure.reason().ends_with("timed out: no answer"), "{failure}");
    assert_eq!((failure.law(), failure.case()), ("V3", "v3_white_space_survives"));
    assert_eq!(left(&memory), []);
}

#[test]
fn a_case_that_hangs_ends_with_the_patience_of_its_harness() {
    let memory = MemoryBackend::new();
    let hanging = reading(&memory, || Ok(Fetched::unchanged(None, None)));
    let hanging = hanging.with_facts(|facts| facts.with_patience(Duration::from_millis(200)));
    let failure = fails(&hanging, "v2_absent_is_not_found");
    assert_eq!(failure.reason(), "it did not end within 200ms");
    assert_eq!(left(&memory), []);
}

#[test]
fn a_shutdown_that_fails_is_a_failure() {
    let memory = MemoryBackend::new();
    let harness = MemoryHarness::of(memory)
        .wrapping(|_| Arc::new(Reads(|| Err(Error::new(ErrorKind::NotFound, "nothing here")))));
    let failure = fails(&harness, "d7_without_watch_there_is_none");
    assert!(
        !failure.reason().contains("goodbye"),
        "the first failure counts: {failure}"
    );
    let failure = fails(&harness, "d1_check_finds_a_store_that_works");
    assert!(failure.reason().contains("`check` succeeds"), "{failure}");
    let quiet = harness.with_facts(|_| Facts::new());
    let failure = fails(&quiet, "d1_check_finds_a_store_that_works");
    assert_eq!(
        failure.reason(),
        "`shutdown` failed: unavailable: cannot say goodbye"
    );
}

#[test]
fn a_case_that_does_not_apply_fails_when_it_is_run_all_the_same() {
    let harness = MemoryHarness::of(MemoryBackend::new().with_list(false));
    let case = case("n4_list_gives_canonical_names");
    assert_eq!(case.requirement(), Requirement::List);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(!runtime.block_on(case.applies_to(&harness)).unwrap());
    assert_eq!(
        case.run_blocking(&harness).unwrap_err().reason(),
        "the backend does not list: `without = [list]`"
    );
}

#[test]
fn nothing_is_left_behind_by_any_case() {
    let memory = MemoryBackend::new();
    let harness = MemoryHarness::of(memory.clone());
    for case in cases() {
        let _ = case.run_blocking(&harness);
        assert_eq!(left(&memory), [], "{}", case.name());
    }
}

#[test]
fn a_name_says_which_law_its_case_proves() {
    for case in cases() {
        let law = case.law().to_lowercase();
        assert!(case.name().starts_with(&format!("{law}_")), "{case:?}");
    }
}
