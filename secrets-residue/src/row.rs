use std::fmt::Write as _;

use crate::canary::{Form, Length};
use crate::driver::{Allocator, Outcome};
use crate::scan::Sightings;
use crate::scenario::{Scenario, Step};
use crate::subject::Situation;

/// One scenario in one situation, with a value of one length: one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Job {
    /// What is done.
    pub scenario: Scenario,
    /// Over which store.
    pub situation: Situation,
    /// Whether connections are kept for the next request.
    pub idle_connections: bool,
    /// How long the value is.
    pub length: Length,
}

impl Job {
    /// This scenario in this situation, everything else as it usually is.
    pub fn new(scenario: Scenario, situation: Situation) -> Self {
        Self {
            scenario,
            situation,
            idle_connections: true,
            length: Length::default(),
        }
    }

    /// The same without idle connections.
    #[must_use]
    pub fn without_idle_connections(self) -> Self {
        Self {
            idle_connections: false,
            ..self
        }
    }

    /// The same with a value of this length.
    #[must_use]
    pub fn of(self, length: Length) -> Self {
        Self { length, ..self }
    }
}

/// What may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Promise {
    /// No copy and no fragment.
    Nothing,
    /// One copy that nothing can remove, and nothing else.
    One,
    /// Nothing is promised, and something was seen: proof that looking finds it.
    Something,
    /// Nothing is promised.
    Anything,
}

/// What counts of what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Every copy and every fragment.
    Everything,
    /// What only this library's own buffers hold, where another parser may have decoded it: a value longer than any buffer of
    /// TLS and HTTP in one piece, as it was sent.
    AsSent,
    /// What only this library's own buffers hold: a value longer than any buffer of TLS and HTTP in one piece.
    InOnePiece,
    /// What only this library's own buffers hold as well: of a value that is encoded on its way, anything decoded.
    InOnePieceOrDecoded,
}

impl Part {
    fn of(self, seen: &Sightings) -> Sightings {
        seen.only(|seen| match self {
            Self::Everything => true,
            Self::AsSent => seen.whole && seen.form != Form::Plain,
            Self::InOnePiece => seen.whole,
            Self::InOnePieceOrDecoded => seen.whole || seen.form == Form::Plain,
        })
    }
}

/// One line of the table: what is promised after a step of these jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// What is looked for, and when; as the table says it.
    pub what: &'static str,
    /// The canaries it is about.
    pub canaries: &'static [&'static str],
    /// What counts of them.
    pub part: Part,
    /// The jobs that prove it.
    pub jobs: Vec<Job>,
    /// After which step of them.
    pub step: Step,
    /// With the platform's allocator, and with one that hides nothing.
    pub any: Promise,
    /// With the one that wipes what is freed.
    pub zeroizing: Promise,
}

impl Row {
    /// The promise for an allocator.
    pub fn promise(&self, allocator: Allocator) -> Promise {
        match allocator {
            Allocator::Hoarding | Allocator::Usual => self.any,
            Allocator::Zeroizing => self.zeroizing,
        }
    }

    /// Holds what was seen in one of the jobs to the promise.
    ///
    /// # Errors
    ///
    /// What was seen, and where.
    pub fn check(&self, allocator: Allocator, outcome: &Outcome) -> Result<(), String> {
        for canary in self.canaries {
            let Some(seen) = outcome.seen(self.step, canary) else {
                return Err(format!("{canary} was not looked for after {:?}", self.step));
            };
            let seen = self.part.of(seen);
            let holds = match self.promise(allocator) {
                Promise::Nothing => seen.that_count().is_empty(),
                Promise::One => seen.copies() == 1 && seen.fragments() == 0,
                Promise::Something => !seen.is_empty(),
                Promise::Anything => true,
            };
            if !holds {
                return Err(format!("{canary}, {:?}: {seen}", self.step));
            }
        }
        Ok(())
    }
}

/// The table of what is promised, as Markdown, of these subjects.
pub fn table(subjects: &[crate::Subject]) -> String {
    let mut text = String::from(
        "| backend | what is looked for, and when | any allocator | `ZeroAlloc` |\n|---|---|---|---|\n",
    );
    for subject in subjects {
        for row in (subject.rows)() {
            let cell = |promise| match promise {
                Promise::Nothing => "nothing",
                Promise::One => "one copy",
                Promise::Something => "copies",
                Promise::Anything => "may be there",
            };
            let (any, zeroizing) = (cell(row.any), cell(row.zeroizing));
            let _ = writeln!(text, "| {} | {} | {any} | {zeroizing} |", subject.name, row.what);
        }
    }
    text
}
