//! S2: what secrets leave behind in memory is what the table of SECURITY.md says.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;

use secrets_residue::{
    Allocator, Form, Job, Outcome, Promise, Scenario, Situation, Step, Subject, run, subjects, table,
};

const ALLOCATORS: [(Allocator, &str); 2] = [
    (Allocator::Usual, env!("CARGO_BIN_EXE_residue-usual")),
    (Allocator::Zeroizing, env!("CARGO_BIN_EXE_residue-zeroizing")),
];

fn subject(name: &str) -> Subject {
    let subject = subjects().into_iter().find(|subject| subject.name == name);
    subject.unwrap_or_else(|| panic!("there is no subject {name}"))
}

/// Runs every job of the subject's rows, and holds each row to what its jobs saw.
fn check(name: &str) -> BTreeMap<(Allocator, Job), Outcome> {
    let subject = subject(name);
    let mut outcomes = BTreeMap::new();
    let mut broken = Vec::new();
    for row in (subject.rows)() {
        assert!(!row.jobs.is_empty(), "{}: nothing proves it", row.what);
        for job in &row.jobs {
            for (allocator, program) in ALLOCATORS {
                let outcome = outcomes.entry((allocator, *job)).or_insert_with(|| {
                    run(program, &subject, *job)
                        .unwrap_or_else(|error| panic!("{allocator:?} {job:?}: {error}"))
                });
                if let Err(seen) = row.check(allocator, outcome) {
                    broken.push(format!(
                        "{allocator:?}, {:?} ({:?}): {}: {seen}",
                        job.scenario, job.situation, row.what
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    outcomes
}

#[test]
fn s2_the_scanner_finds_what_is_planted_in_each_form() {
    let outcomes = check("control");
    for ((allocator, _), outcome) in outcomes {
        let seen = outcome.seen(Step::Held, "value").unwrap();
        for (form, least) in [(Form::Base64, 3), (Form::Escaped, 1), (Form::Plain, 2)] {
            let found = seen
                .all
                .iter()
                .filter(|seen| seen.form == form && seen.whole)
                .count();
            assert!(found >= least, "{allocator:?}: {found} of {form:?}: {seen}");
        }
        assert!(seen.all.iter().any(|seen| seen.region == "[stack]"), "{seen}");
    }
}

#[test]
fn s2_nothing_but_the_variable_itself_remains_of_the_environment() {
    check("environment");
}

#[test]
fn s2_nothing_remains_of_a_file() {
    check("file");
}

#[test]
fn s2_what_remains_of_vault_is_what_the_table_says() {
    let outcomes = check("Vault");
    // What was staged to fail did, in that way; and TLS leaves copies on an allocator that does not wipe.
    let failed = |situation| {
        let job = Job::new(Scenario::Fail, situation);
        outcomes[&(Allocator::Zeroizing, job)].failed.clone().unwrap()
    };
    assert_eq!(failed(Situation::CutOff), "Timeout");
    assert_eq!(failed(Situation::Denied), "PermissionDenied");
    assert_eq!(failed(Situation::Malformed), "InvalidData");
    let login = |situation| {
        outcomes[&(Allocator::Zeroizing, Job::new(Scenario::Login, situation))]
            .failed
            .clone()
    };
    assert_eq!(login(Situation::Login), None);
    assert_eq!(login(Situation::LoginRefused).as_deref(), Some("Unauthenticated"));
    let read = &outcomes[&(Allocator::Usual, Job::new(Scenario::Read, Situation::Usual))];
    let seen = read.seen(Step::Gone, "value").unwrap();
    assert!(
        seen.copies() > 0,
        "the usual allocator and a kept connection: {seen}"
    );
}

/// The page has the table, and every promise in it is proved by a test above.
#[test]
fn s2_the_page_has_the_table_that_is_proved() {
    let table = table(&subjects());
    let page = include_str!("../../SECURITY.md");
    assert!(
        page.contains(&table),
        "SECURITY.md does not have this table:\n\n{table}"
    );
    let source = include_str!("residue.rs");
    for subject in subjects() {
        assert!(
            source.contains(&format!("check(\"{}\")", subject.name)),
            "{} is not checked",
            subject.name
        );
        assert!(
            (subject.rows)().iter().any(|row| row.usual != Promise::Anything),
            "{} is not controlled",
            subject.name
        );
    }
}
