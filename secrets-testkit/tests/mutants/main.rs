//! The kit has to bite: each law's cases fail on a backend that breaks that law, and on which others is known too.

mod broken;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use secrets_testkit::{Case, Failure, Harness, MemoryBackend, MemoryHarness};

use broken::{Broken, Defect};
use table::{MUTANTS, Mutant};

/// A credential that some mutants have and leak.
const CREDENTIAL: &str = "mutant-credential-5Qp0uS7zKw";

fn harness(mutant: &Mutant) -> MemoryHarness {
    let defect = mutant.defect;
    (mutant.harness)(MemoryHarness::default()).wrapping(move |memory| Arc::new(Broken::new(memory, defect)))
}

/// The cases that fail, of those that apply.
fn failures(harness: &dyn Harness) -> Vec<(Case, Failure)> {
    let applies = |case: &Case| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(case.applies_to(harness)).unwrap()
    };
    secrets_testkit::cases()
        .into_iter()
        .filter(applies)
        .filter_map(|case| case.run_blocking(harness).err().map(|failure| (case, failure)))
        .collect()
}

fn mutants_fail(laws: &[&str]) {
    let mut wrong = Vec::new();
    for mutant in MUTANTS.iter().filter(|mutant| laws.contains(&mutant.law)) {
        let failures = failures(&harness(mutant));
        let failed: BTreeSet<_> = failures.iter().map(|(case, _)| case.name()).collect();
        let expected: BTreeSet<_> = mutant.fails.iter().copied().collect();
        let by_its_law = failures.iter().any(|(case, failure)| {
            failure.law() == mutant.law && case.law() == mutant.law && failure.case() == case.name()
        });
        if failed != expected || !by_its_law {
            let reasons: Vec<_> = failures
                .iter()
                .map(|(_, failure)| format!("\n    {failure}"))
                .collect();
            wrong.push(format!("{}: {failed:?}{}", mutant.name, reasons.concat()));
        }
        for (_, failure) in &failures {
            let text = failure.to_string();
            assert!(
                !text.contains(CREDENTIAL),
                "a failure shows the credential: {text}"
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "these fail on other cases:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn mutants_of_values_fail() {
    mutants_fail(&["V1", "V2", "V3", "V4", "V5", "V6"]);
}

#[test]
fn mutants_of_names_fail() {
    mutants_fail(&["N1", "N3", "N4", "N5"]);
}

#[test]
fn mutants_of_versions_fail() {
    mutants_fail(&["R1", "R2", "R5"]);
}

#[test]
fn mutants_of_errors_fail() {
    mutants_fail(&["E5", "E6"]);
}

#[test]
fn mutants_of_secrecy_fail() {
    mutants_fail(&["S1"]);
}

#[test]
fn mutants_of_duties_fail() {
    mutants_fail(&["D1", "D2", "D3", "D4", "D5", "D6", "D7"]);
}

#[test]
fn every_law_and_every_case_has_its_mutant() {
    let laws: BTreeSet<_> = secrets_testkit::cases().iter().map(Case::law).collect();
    let broken: BTreeSet<_> = MUTANTS.iter().map(|mutant| mutant.law).collect();
    assert_eq!(broken, laws);
    let cases: BTreeSet<_> = secrets_testkit::cases().iter().map(Case::name).collect();
    let failing: BTreeSet<_> = MUTANTS.iter().flat_map(|mutant| mutant.fails).copied().collect();
    assert_eq!(failing, cases);
    let names: BTreeSet<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), MUTANTS.len(), "two mutants have one name");
}

#[test]
fn without_a_defect_nothing_fails() {
    for memory in [
        MemoryBackend::new(),
        MemoryBackend::new()
            .with_versions(false)
            .with_list(false)
            .with_watch(false),
    ] {
        let harness = MemoryHarness::of(memory)
            .wrapping(|memory| Arc::new(Broken::new(memory, Defect::Capabilities(|can| can))));
        let failed: Vec<_> = failures(&harness)
            .into_iter()
            .map(|(_, failure)| failure)
            .collect();
        assert_eq!(failed, []);
    }
}
