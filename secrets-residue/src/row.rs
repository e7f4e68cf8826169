use std::fmt::Write as _;

use crate::driver::{Allocator, Outcome};
use crate::scenario::{Scenario, Step};
use crate::subject::Situation;

/// One scenario in one situation: one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Job {
    /// What is done.
    pub scenario: Scenario,
    /// Over which store.
    pub situation: Situation,
}

impl Job {
    /// This scenario in this situation.
    pub fn new(scenario: Scenario, situation: Situation) -> Self {
        Self { scenario, situation }
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

/// One line of the table: what is promised after a step of these jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// What is looked for, and when; as the table says it.
    pub what: &'static str,
    /// The canaries it is about.
    pub canaries: &'static [&'static str],
    /// The jobs that prove it.
    pub jobs: Vec<Job>,
    /// After which step of them.
    pub step: Step,
    /// With the platform's allocator.
    pub usual: Promise,
    /// With the one that wipes what is freed.
    pub zeroizing: Promise,
}

impl Row {
    /// The promise for an allocator.
    pub fn promise(&self, allocator: Allocator) -> Promise {
        match allocator {
            Allocator::Usual => self.usual,
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
        "| backend | what is looked for, and when | usual allocator | `ZeroAlloc` |\n|---|---|---|---|\n",
    );
    for subject in subjects {
        for row in (subject.rows)() {
            let cell = |promise| match promise {
                Promise::Nothing => "nothing",
                Promise::One => "one copy",
                Promise::Something => "copies",
                Promise::Anything => "may be there",
            };
            let (usual, zeroizing) = (cell(row.usual), cell(row.zeroizing));
            let _ = writeln!(
                text,
                "| {} | {} | {usual} | {zeroizing} |",
                subject.name, row.what
            );
        }
    }
    text
}
