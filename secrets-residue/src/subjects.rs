//! The backends that are looked at.

mod env;
mod file;
mod planted;
mod vault;

use crate::row::{Job, Promise, Row};
use crate::scenario::{Scenario, Step};
use crate::subject::{Situation, Subject};

/// Every subject, in the order of the table.
pub fn subjects() -> Vec<Subject> {
    vec![
        planted::subject(),
        env::subject(),
        file::subject(),
        vault::subject(),
    ]
}

/// Every way in which a value ends while its backend lives, in this situation.
fn endings(situation: Situation) -> Vec<Job> {
    [
        Scenario::Evict,
        Scenario::InvalidateAll,
        Scenario::Read,
        Scenario::Rotate,
        Scenario::Shutdown,
    ]
    .map(|scenario| Job { scenario, situation })
    .into()
}

/// The rows of a backend that keeps its values in memory only while they are in use: no connection, no parser of others.
fn local_rows() -> Vec<Row> {
    let jobs = endings(Situation::Usual);
    vec![
        held(jobs.clone()),
        Row {
            what: "value, after it was dropped, evicted, invalidated, replaced or shut down",
            canaries: &["value"],
            jobs,
            step: Step::Gone,
            usual: Promise::Nothing,
            zeroizing: Promise::Nothing,
        },
    ]
}

/// The rows of a backend that speaks to its store over TLS. `logins` are the situations in which it logs in.
fn network_rows(logins: &[Situation]) -> Vec<Row> {
    let failures = [Situation::CutOff, Situation::Denied, Situation::Malformed].map(|situation| Job {
        scenario: Scenario::Fail,
        situation,
    });
    let logins: Vec<_> = logins
        .iter()
        .map(|situation| Job {
            scenario: Scenario::Login,
            situation: *situation,
        })
        .collect();
    let usual = endings(Situation::Usual);
    let no_idle = endings(Situation::NoIdle);
    let every: Vec<_> = usual.iter().chain(&no_idle).copied().collect();
    let value = |what, jobs, step, usual, zeroizing| Row {
        what,
        canaries: &["value"],
        jobs,
        step,
        usual,
        zeroizing,
    };
    vec![
        held(every.clone()),
        value(
            "value, after it was dropped, evicted, invalidated, replaced or shut down",
            usual,
            Step::Gone,
            Promise::Anything,
            Promise::Anything,
        ),
        value(
            "the same, without idle connections",
            no_idle,
            Step::Gone,
            Promise::Anything,
            Promise::Nothing,
        ),
        value(
            "value, after backend and runtime have ended",
            every,
            Step::Ended,
            Promise::Anything,
            Promise::Nothing,
        ),
        value(
            "value in an answer that is malformed, a refusal, or breaks off; after backend and runtime have ended",
            failures.into(),
            Step::Ended,
            Promise::Anything,
            Promise::Nothing,
        ),
        Row {
            what: "what it logs in with, and the token it gets, after backend and runtime have ended",
            canaries: &["credential", "issued"],
            jobs: logins,
            step: Step::Ended,
            usual: Promise::Anything,
            zeroizing: Promise::Nothing,
        },
    ]
}

/// While the value is in use it has to be found: the control of all the rest.
fn held(jobs: Vec<Job>) -> Row {
    Row {
        what: "value, while it is in use",
        canaries: &["value"],
        jobs,
        step: Step::Held,
        usual: Promise::Something,
        zeroizing: Promise::Something,
    }
}
