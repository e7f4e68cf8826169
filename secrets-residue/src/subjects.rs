//! The backends that are looked at.

mod aws;
mod azure;
mod env;
mod file;
mod k8s_api;
mod mount;
mod network;
mod planted;
mod vault;

use crate::canary::Length;
use crate::row::{Job, Part, Promise, Row};
use crate::scenario::{Scenario, Step};
use crate::subject::{Situation, Subject};

/// Every subject, in the order of the table.
pub fn subjects() -> Vec<Subject> {
    vec![
        planted::subject(),
        env::subject(),
        file::subject(),
        mount::subject(),
        k8s_api::subject(),
        vault::subject(),
        aws::secrets_manager(),
        aws::parameter_store(),
        azure::subject(),
    ]
}

const LENGTHS: [Length; 3] = [Length::Short, Length::Middling, Length::Long];

/// Every way in which a value ends while its backend lives.
fn endings() -> Vec<Job> {
    [
        Scenario::Evict,
        Scenario::InvalidateAll,
        Scenario::Read,
        Scenario::Rotate,
        Scenario::Shutdown,
    ]
    .map(|scenario| Job::new(scenario, Situation::Usual))
    .into()
}

/// Several at once.
fn many(situation: Situation) -> Job {
    Job::new(Scenario::ReadMany, situation)
}

/// A value that has fields: as a whole, and one of them.
fn document() -> [Job; 2] {
    [Scenario::Field, Scenario::Read].map(|scenario| Job::new(scenario, Situation::Document))
}

/// The rows of a backend that keeps its values in memory only while they are in use: no connection, no parser of others.
fn local_rows() -> Vec<Row> {
    let mut jobs = endings();
    jobs.extend(document());
    jobs.push(many(Situation::Usual));
    jobs.push(Job::new(Scenario::Watch, Situation::Usual));
    for scenario in [Scenario::Evict, Scenario::Read] {
        jobs.extend(LENGTHS.map(|length| Job::new(scenario, Situation::Usual).of(length)));
    }
    vec![
        held(endings()),
        Row {
            what: "value, after it was dropped, evicted, invalidated, replaced or shut down",
            canaries: &["value"],
            part: Part::Everything,
            jobs,
            step: Step::Gone,
            any: Promise::Nothing,
            zeroizing: Promise::Nothing,
        },
    ]
}

/// Who makes the value of what the store has sent.
#[derive(Clone, Copy)]
enum Decodes {
    /// This library.
    Itself,
    /// The vendor's.
    Elsewhere,
}

/// The rows of a backend that speaks to its store over TLS. `logins` are the situations in which it logs in, and `others`
/// what is done with it besides what is done with all.
fn network_rows(decodes: Decodes, logins: &[Situation], others: &[Job]) -> Vec<Row> {
    let failures = [Situation::CutOff, Situation::Denied, Situation::Malformed]
        .map(|situation| Job::new(Scenario::Fail, situation));
    let mut logins: Vec<_> = logins
        .iter()
        .flat_map(|situation| {
            [Scenario::Login, Scenario::Read].map(|scenario| Job::new(scenario, *situation))
        })
        .collect();
    logins.push(Job::new(Scenario::Fail, Situation::LoginRefused));
    let read = Job::new(Scenario::Read, Situation::Usual);
    logins.push(read);
    let mut usual = endings();
    usual.extend(others);
    let mut no_idle = usual.clone();
    no_idle.extend(LENGTHS.map(|length| read.of(length)));
    no_idle.extend(failures);
    let no_idle = no_idle.into_iter().map(Job::without_idle_connections).collect();
    let chunked = Job::new(Scenario::Read, Situation::Chunked);
    // On a connection of its own: the buffer of one that is used again grows, and holds a long answer in one piece at last.
    let long = |jobs: &[Job]| {
        let jobs = jobs
            .iter()
            .map(|job| job.of(Length::Long).without_idle_connections());
        jobs.collect()
    };
    let long_values: Vec<_> = long(&[others, &[read, chunked]].concat());
    let long_failures: Vec<_> = long(&failures);
    let value = |what, jobs, step, zeroizing| Row {
        what,
        canaries: &["value"],
        part: Part::Everything,
        jobs,
        step,
        any: Promise::Anything,
        zeroizing,
    };
    let own = |what, part, jobs| Row {
        part,
        any: Promise::Nothing,
        ..value(what, jobs, Step::Gone, Promise::Nothing)
    };
    let mut rows = vec![
        held(vec![read]),
        value(
            "value, after it was dropped, evicted, invalidated, replaced or shut down, or its answer failed",
            usual.clone(),
            Step::Gone,
            Promise::Anything,
        ),
    ];
    rows.extend(match decodes {
        Decodes::Itself => vec![own(
            "of that, in this library's own buffers: the whole of it, or decoded",
            Part::InOnePieceOrDecoded,
            [long_values, long_failures].concat(),
        )],
        Decodes::Elsewhere => vec![
            own(
                "of that, in this library's own buffers: the whole of it",
                Part::InOnePiece,
                long_values,
            ),
            own(
                "of an answer that failed, in this library's own buffers: the whole of the value, as it was sent",
                Part::AsSent,
                long_failures,
            ),
        ],
    });
    rows.extend([
        value(
            "value, in those cases, without idle connections",
            no_idle,
            Step::Gone,
            Promise::Nothing,
        ),
        value(
            "value, after backend and runtime have ended",
            usual.into_iter().chain(failures).collect(),
            Step::Ended,
            Promise::Nothing,
        ),
        Row {
            canaries: &["credential", "issued"],
            ..value(
                "what it logs in with, and what it gets for it, after backend and runtime have ended",
                logins,
                Step::Ended,
                Promise::Nothing,
            )
        },
    ]);
    rows
}

/// While the value is in use it has to be found: the control of all the rest.
fn held(jobs: Vec<Job>) -> Row {
    Row {
        what: "value, while it is in use",
        canaries: &["value"],
        part: Part::Everything,
        jobs,
        step: Step::Held,
        any: Promise::Something,
        zeroizing: Promise::Something,
    }
}
