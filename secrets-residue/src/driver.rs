use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use crate::message::{Order, Report, Settings};
use crate::row::Job;
use crate::scan::Sightings;
use crate::scenario::Step;
use crate::subject::{Canaries, Subject};

/// Which of the two programs is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Allocator {
    /// The platform's.
    Usual,
    /// The platform's, but what is freed is not handed out again: nothing hides what was not wiped.
    Hoarding,
    /// One that wipes what is freed.
    Zeroizing,
}

/// What one process saw of itself.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    pub(crate) seen: BTreeMap<(Step, String), Sightings>,
    /// The kind of the error that was staged, as `Debug` prints it.
    pub failed: Option<String>,
}

impl Outcome {
    /// What was seen of a canary after a step; `None` when it was not looked for.
    pub fn seen(&self, step: Step, canary: &str) -> Option<&Sightings> {
        self.seen.get(&(step, canary.to_owned()))
    }
}

/// Sets the stage in this process, and looks at another one: `program` is the one with the allocator meant.
///
/// # Errors
///
/// When the process cannot be started, says something unknown, or fails; with what it wrote.
pub fn run(program: impl AsRef<OsStr>, subject: &Subject, job: Job) -> std::io::Result<Outcome> {
    let canaries = Canaries::new(job.length);
    let stage = (subject.stage)(&canaries, job.situation);
    let settings = stage.settings().into_iter();
    // A mask with the highest bit set: what is masked is never text.
    let mask = 0x80 | u8::try_from(RandomState::new().build_hasher().finish() & 0x7f).unwrap_or_default();
    let order = Order {
        subject: subject.name.to_owned(),
        scenario: job.scenario,
        settings: Settings {
            situation: job.situation,
            idle_connections: job.idle_connections,
            mask,
            texts: settings.map(|(name, text)| (name.to_owned(), text)).collect(),
            canaries: canaries
                .named()
                .map(|(name, canary)| (name.to_owned(), canary.masked(mask)))
                .into(),
        },
    };
    let mut child = Command::new(program)
        .env_clear()
        .envs(stage.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("the process has no input or output"));
    };
    // A process that has ended takes no order: what it says of that is told below.
    let _ = order.write(&mut to);
    let mut outcome = Outcome::default();
    let mut last = None;
    let mut done = false;
    for line in BufReader::new(from).lines() {
        match Report::parse(&line?)? {
            Report::Rotate => {
                stage.rotate();
                writeln!(to, "rotated")?;
            }
            Report::Failed(kind) => outcome.failed = Some(kind),
            Report::Looked(step, canary) => {
                let looked = (step, canary);
                outcome.seen.insert(looked.clone(), Sightings::default());
                last = Some(looked);
            }
            Report::Saw(sighting) => {
                let sightings = last.as_ref().and_then(|looked| outcome.seen.get_mut(looked));
                let sightings = sightings.ok_or_else(|| std::io::Error::other("seen before looking"))?;
                sightings.all.push(sighting);
            }
            Report::Done => done = true,
        }
    }
    let output = child.wait_with_output()?;
    if !done || !output.status.success() {
        let wrote = String::from_utf8_lossy(&output.stderr);
        return Err(std::io::Error::other(format!("{}: {wrote}", output.status)));
    }
    Ok(outcome)
}
