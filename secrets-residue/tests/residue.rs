//! S2: what secrets leave behind in memory is what the table of SECURITY.md says.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use secrets_residue::{
    Allocator, Form, Job, Length, Outcome, Promise, Scenario, Situation, Step, Subject, run, subjects, table,
};

const ALLOCATORS: [(Allocator, &str); 3] = [
    (Allocator::Hoarding, env!("CARGO_BIN_EXE_residue-hoarding")),
    (Allocator::Usual, env!("CARGO_BIN_EXE_residue-usual")),
    (Allocator::Zeroizing, env!("CARGO_BIN_EXE_residue-zeroizing")),
];

/// How many processes are looked at at once: those whose answer never comes wait for a second.
const AT_ONCE: usize = 2;

type Outcomes = BTreeMap<(Allocator, Job), Outcome>;

fn subject(name: &str) -> Subject {
    let subject = subjects().into_iter().find(|subject| subject.name == name);
    subject.unwrap_or_else(|| panic!("there is no subject {name}"))
}

/// Runs every job that a row of the subject promises something about, and these, and holds each row to what its jobs saw.
fn check(name: &str, also: &[(Allocator, Job)]) -> Outcomes {
    let subject = subject(name);
    let rows = (subject.rows)();
    let mut jobs: BTreeSet<_> = also.iter().copied().collect();
    for row in &rows {
        assert!(!row.jobs.is_empty(), "{}: nothing proves it", row.what);
        for (allocator, _) in ALLOCATORS {
            if row.promise(allocator) == Promise::Anything {
                continue;
            }
            // What any allocator is promised is told by those that do not wipe.
            let told = allocator == Allocator::Zeroizing && row.any == Promise::Nothing;
            let wanted = row
                .jobs
                .iter()
                .filter(|job| !told || job.length == Length::default());
            jobs.extend(wanted.map(|job| (allocator, *job)));
        }
    }
    let outcomes = look(&subject, jobs);
    let mut broken = Vec::new();
    for ((allocator, job), outcome) in &outcomes {
        for row in rows.iter().filter(|row| row.jobs.contains(job)) {
            if let Err(seen) = row.check(*allocator, outcome) {
                broken.push(format!("{allocator:?}, {job:?}: {}: {seen}", row.what));
            }
        }
        // While somebody holds it, it is found, whatever is done with it afterwards.
        let held = outcome.seen(Step::Held, "value");
        if job.scenario != Scenario::Login && held.is_some_and(|seen| seen.copies() == 0) {
            broken.push(format!("{allocator:?}, {job:?}: not found while held: {held:?}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    outcomes
}

fn look(subject: &Subject, jobs: BTreeSet<(Allocator, Job)>) -> Outcomes {
    let jobs = Mutex::new(jobs.into_iter());
    let outcomes = Mutex::new(Outcomes::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().unwrap().next();
                    let Some((allocator, job)) = next else {
                        return;
                    };
                    let (_, program) = ALLOCATORS.into_iter().find(|(it, _)| *it == allocator).unwrap();
                    let outcome = run(program, subject, job);
                    let outcome = outcome.unwrap_or_else(|error| panic!("{allocator:?} {job:?}: {error}"));
                    outcomes.lock().unwrap().insert((allocator, job), outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// The same of a backend that speaks to its store over TLS, with the controls: what was staged to fail did, in that way, and
/// each answer came, for it is found where nothing is wiped.
fn check_network(name: &str) {
    let read = Job::new(Scenario::Read, Situation::Usual);
    let refused = Job::new(Scenario::Fail, Situation::LoginRefused);
    let failures = [
        (Situation::CutOff, "Timeout"),
        (Situation::Denied, "PermissionDenied"),
        (Situation::Malformed, "InvalidData"),
    ]
    .map(|(situation, kind)| (Job::new(Scenario::Fail, situation), kind));
    let mut controls = vec![(Allocator::Hoarding, read), (Allocator::Usual, read)];
    controls.extend(failures.iter().map(|(job, _)| (Allocator::Hoarding, *job)));
    controls.push((Allocator::Hoarding, refused));
    let outcomes = check(name, &controls);
    for (control, canary) in controls.iter().map(|control| {
        let login = control.1 == refused;
        (control, if login { "credential" } else { "value" })
    }) {
        let seen = outcomes[control].seen(Step::Gone, canary).unwrap();
        assert!(
            !seen.is_empty(),
            "{control:?}: nothing was left of what was not wiped"
        );
    }
    for (job, kind) in failures.into_iter().chain([(refused, "Unauthenticated")]) {
        let failed = outcomes[&(Allocator::Zeroizing, job)].failed.as_deref();
        assert_eq!(failed, Some(kind), "{job:?}");
    }
    for ((_, job), outcome) in &outcomes {
        let well = job.scenario == Scenario::Fail || outcome.failed.is_none();
        assert!(well, "{job:?}: {:?}", outcome.failed);
    }
}

#[test]
fn s2_the_scanner_finds_what_is_planted_in_each_form() {
    let outcomes = check("control", &[]);
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
    check("environment", &[]);
}

#[test]
fn s2_nothing_remains_of_a_file() {
    check("file", &[]);
}

#[test]
fn s2_nothing_remains_of_a_mounted_secret() {
    check("Kubernetes, mounted", &[]);
}

#[test]
fn s2_what_remains_of_azure_key_vault_is_what_the_table_says() {
    check_network("Azure Key Vault");
}

#[test]
fn s2_what_remains_of_kubernetes_is_what_the_table_says() {
    check_network("Kubernetes, API");
}

#[test]
fn s2_what_remains_of_parameter_store_is_what_the_table_says() {
    check_network("Parameter Store");
}

#[test]
fn s2_what_remains_of_secrets_manager_is_what_the_table_says() {
    check_network("Secrets Manager");
}

#[test]
fn s2_what_remains_of_vault_is_what_the_table_says() {
    check_network("Vault");
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
        let checked = [
            format!("check(\"{}\", &[])", subject.name),
            format!("check_network(\"{}\")", subject.name),
        ];
        assert!(
            checked.iter().any(|call| source.contains(call)),
            "{} is not checked",
            subject.name
        );
        assert!(
            (subject.rows)().iter().any(|row| row.any != Promise::Anything),
            "{} is not controlled",
            subject.name
        );
    }
}
