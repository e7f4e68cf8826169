use std::io::{self, BufRead, Write as _};
use std::process::ExitCode;

use secrets_core::Error;

use crate::message::{Order, Report, tell};
use crate::scan::Scanner;
use crate::scenario::{Observer, Step, play};
use crate::subjects;

/// What the programs of this crate do: take an order from standard input, play the scenario, and look at their own memory.
pub fn main() -> ExitCode {
    match follow_the_order() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn follow_the_order() -> Result<(), Box<dyn std::error::Error>> {
    let order = Order::read(&mut io::stdin().lock())?;
    let subject = subjects()
        .into_iter()
        .find(|subject| subject.name == order.subject);
    let subject = subject.ok_or("there is no such subject")?;
    let canaries = &order.settings.canaries;
    let forms: Vec<_> = canaries.values().map(Vec::as_slice).collect();
    let mut mirror = Mirror {
        names: canaries.keys().collect(),
        scanner: Scanner::new(&forms, order.settings.mask),
        problem: None,
    };
    play(order.scenario, &subject, &order.settings, &mut mirror)?;
    mirror.problem.map_or(Ok(()), Err)?;
    Report::Done.write(io::stdout())?;
    Ok(())
}

/// Looks at this process, and says what it sees.
struct Mirror<'a> {
    names: Vec<&'a String>,
    scanner: Scanner,
    problem: Option<io::Error>,
}

impl Mirror<'_> {
    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(problem) = outcome {
            self.problem.get_or_insert(problem);
        }
    }
}

impl Observer for Mirror<'_> {
    fn look(&mut self, step: Step) {
        let seen = self.scanner.scan();
        let told = seen.and_then(|seen| tell(&mut io::stdout().lock(), step, &self.names, &seen));
        self.note(told);
    }

    fn rotate(&mut self) {
        let asked = Report::Rotate.write(io::stdout());
        self.note(asked);
        let mut line = String::new();
        let answered = io::stdin().lock().read_line(&mut line).map(drop);
        self.note(answered);
    }

    fn failed(&mut self, error: &Error) {
        let told = Report::Failed(format!("{:?}", error.kind())).write(io::stdout());
        self.note(told);
    }
}
