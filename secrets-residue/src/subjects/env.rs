use std::sync::Arc;

use secrets_core::{Result, SecretBackend};
use secrets_env::EnvBackend;

use crate::message::Settings;
use crate::row::{Job, Part, Promise, Row};
use crate::scenario::{Scenario, Step};
use crate::subject::{Canaries, Situation, Stage, Subject};

/// Variables of the process looked at. Nothing removes them from the block that the kernel made for it.
pub(super) fn subject() -> Subject {
    Subject {
        name: "environment",
        stage: |canaries: &Canaries, _: Situation| {
            Box::new(Variables {
                value: canaries.value.expose().to_owned(),
            })
        },
        build,
        rows,
    }
}

struct Variables {
    value: String,
}

impl Stage for Variables {
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let value = self.value.clone();
        vec![
            ("RESIDUE_APP_CANARY".into(), value),
            ("RESIDUE_APP_OTHER".into(), "nothing to see".into()),
        ]
    }
}

fn build(_: &Settings) -> Result<Arc<dyn SecretBackend>> {
    Ok(Arc::new(EnvBackend::builder().prefix("RESIDUE_").build()?))
}

fn rows() -> Vec<Row> {
    let scenarios = [
        Scenario::Evict,
        Scenario::InvalidateAll,
        Scenario::Read,
        Scenario::Shutdown,
    ];
    vec![Row {
        what: "value, after it was dropped, evicted, invalidated or shut down: the variable itself",
        canaries: &["value"],
        part: Part::Everything,
        jobs: scenarios
            .map(|scenario| Job::new(scenario, Situation::Usual))
            .into(),
        step: Step::Gone,
        any: Promise::One,
        zeroizing: Promise::One,
    }]
}
