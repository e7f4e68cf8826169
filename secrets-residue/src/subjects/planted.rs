use std::sync::Arc;

use secrets_core::{Error, ErrorKind, Result, SecretBackend};

use crate::message::Settings;
use crate::row::{Job, Part, Promise, Row};
use crate::scenario::{Scenario, Step};
use crate::subject::{Canaries, Situation, Stage, Subject};

/// No backend: what an application plants and frees by itself. It shows that the scanner sees, and what allocators do.
pub(super) fn subject() -> Subject {
    Subject {
        name: "control",
        stage: |_: &Canaries, _: Situation| Box::new(Nothing),
        build,
        rows,
    }
}

struct Nothing;

impl Stage for Nothing {
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

fn build(_: &Settings) -> Result<Arc<dyn SecretBackend>> {
    Err(Error::new(ErrorKind::Internal, "there is no backend here"))
}

fn rows() -> Vec<Row> {
    let jobs = vec![Job::new(Scenario::Planted, Situation::Usual)];
    let row = |what, step, any, zeroizing| Row {
        what,
        canaries: &["value"],
        part: Part::Everything,
        jobs: jobs.clone(),
        step,
        any,
        zeroizing,
    };
    vec![
        row(
            "copies on heap and stack, in each form",
            Step::Held,
            Promise::Something,
            Promise::Something,
        ),
        row(
            "the same, freed and not wiped",
            Step::Gone,
            Promise::Something,
            Promise::Nothing,
        ),
    ]
}
