//! What is printed: a table for people, an object for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

/// What one subject did in one comparison. Times are of one operation, in nanoseconds, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) subject: &'static str,
    pub(crate) median_ns: f64,
    pub(crate) min_ns: f64,
    pub(crate) max_ns: f64,
    /// Allocations of one operation, where they were counted.
    pub(crate) allocs: Option<f64>,
    /// Calls of the store for the whole operation, where it makes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<u64>,
    #[serde(skip)]
    rounds: Vec<f64>,
}

impl Row {
    pub(crate) fn new(what: &str, subject: &'static str, rounds: Vec<f64>, allocs: Option<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        Self {
            what: what.to_owned(),
            subject,
            median_ns: sorted[sorted.len() / 2],
            min_ns: sorted[0],
            max_ns: sorted[sorted.len() - 1],
            allocs,
            calls: None,
            rounds,
        }
    }

    pub(crate) fn with_calls(mut self, calls: u64) -> Self {
        self.calls = Some(calls);
        self
    }

    /// How many times this one's time the other takes: the median over the rounds of the ratio within a round, because
    /// what disturbs a round disturbs both.
    pub(crate) fn times_of(&self, other: &Self) -> f64 {
        let mut ratios: Vec<_> = other
            .rounds
            .iter()
            .zip(&self.rounds)
            .map(|(other, this)| other / this)
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// A figure and what it has to reach.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) means: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_most: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_least: Option<f64>,
    pub(crate) met: bool,
}

/// One run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: BTreeMap<&'static str, f64>,
    pub(crate) targets: BTreeMap<&'static str, Target>,
}

impl Report {
    /// The row of this comparison and subject.
    pub(crate) fn row(&self, what: &str, subject: &str) -> &Row {
        self.rows
            .iter()
            .find(|row| row.what == what && row.subject == subject)
            .expect("only rows that were measured are asked for")
    }

    pub(crate) fn at_most(&mut self, ratio: &'static str, value: f64, limit: f64, means: &'static str) {
        self.ratio(ratio, value, means, Some(limit), None);
    }

    pub(crate) fn at_least(&mut self, ratio: &'static str, value: f64, limit: f64, means: &'static str) {
        self.ratio(ratio, value, means, None, Some(limit));
    }

    fn ratio(
        &mut self,
        ratio: &'static str,
        value: f64,
        means: &'static str,
        at_most: Option<f64>,
        at_least: Option<f64>,
    ) {
        let met = at_most.is_none_or(|limit| value <= limit) && at_least.is_none_or(|limit| value >= limit);
        self.ratios.insert(ratio, (value * 100.0).round() / 100.0);
        self.targets.insert(
            ratio,
            Target {
                means,
                at_most,
                at_least,
                met,
            },
        );
    }

    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| what | subject | median | least | most | allocations | calls |\n");
        table.push_str("|---|---|--:|--:|--:|--:|--:|\n");
        for row in &self.rows {
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.what,
                row.subject,
                time(row.median_ns),
                time(row.min_ns),
                time(row.max_ns),
                row.allocs
                    .map_or_else(String::new, |count| format!("{}", (count * 10.0).round() / 10.0)),
                row.calls.map_or_else(String::new, |count| count.to_string()),
            );
        }
        table.push_str("\n| ratio | | to reach | here |\n|---|---|--:|--:|\n");
        for (ratio, value) in &self.ratios {
            let target = &self.targets[ratio];
            let limit = match (target.at_most, target.at_least) {
                (Some(limit), _) => format!("≤ {limit}"),
                (_, Some(limit)) => format!("≥ {limit}"),
                _ => String::new(),
            };
            let missed = if target.met { "" } else { " (missed)" };
            let _ = writeln!(
                table,
                "| `{ratio}` | {} | {limit} | {value}{missed} |",
                target.means
            );
        }
        table
    }
}

fn time(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1_000.0 => format!("{nanos:.1} ns"),
        nanos if nanos < 1_000_000.0 => format!("{:.1} µs", nanos / 1_000.0),
        nanos => format!("{:.1} ms", nanos / 1_000_000.0),
    }
}
