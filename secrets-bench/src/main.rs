//! Measures this library and its peers side by side: cached reads, live handles, a herd, a cold load.
//!
//! ```console
//! $ cargo run --release --manifest-path secrets-bench/Cargo.toml
//! $ cargo run --release --manifest-path secrets-bench/Cargo.toml -- --json
//! ```
//!
//! Absolute times differ between machines; the ratios are of subjects that took turns in one run.

mod alloc;
mod ours;
mod peers;
mod report;
mod store;
mod stub;
mod subject;

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::ours::{Handle, Manager, Swap};
use crate::peers::{AwsCaching, Lookup, Moka, Naive, SharedLookup, Vault};
use crate::report::{Report, Row};
use crate::store::{KEYS, Store};
use crate::subject::{Reads, Subject, compare};

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

const OURS: &str = "secrets";
const LOOKUP: &str = "bare lock-free lookup";
const SHARED: &str = "the same, value shared";
const NAIVE: &str = "mutex map with a copy";
const MOKA: &str = "moka future cache";
const SECRET_VAULT: &str = "secret-vault";
const AWS_CACHING: &str = "aws_secretsmanager_caching";

const THOUSAND_KEYS: &str = "hit, 1,000 keys, 1 task";
const ANY_ORDER: &str = "hit, 1,000 keys in any order";
const HANDLE: &str = "current value of a handle";
const HERD: &str = "1,000 tasks, 1 key, cold, 2 ms";
const COLD: &str = "1,000 keys, cold, 2 ms";

/// Reads of one task in one round, and rounds. A round of the quickest takes a tenth of a millisecond: most rounds pass
/// without the scheduler taking the processor away.
const READS: usize = 10_000;
const ROUNDS: usize = 101;

const HERD_SIZE: usize = 1_000;
const STORE_LATENCY: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let mut json = false;
    let mut check = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => json = true,
            "--check" => check = true,
            _ => {
                eprintln!(
                    "usage: compare [--json] [--check]\n  --json   one object instead of a table\n  --check  fail \
                     when a ratio is missed"
                );
                return ExitCode::from(2);
            }
        }
    }
    match run() {
        Ok(report) => {
            if json {
                println!(
                    "{}",
                    serde_json::to_string_pretty(&report).expect("a report is JSON")
                );
            } else {
                print!("{}", report.table());
            }
            let met = report.targets.values().all(|target| target.met);
            if check && !met {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Report, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let mut report = Report::default();

    // In their order, so that the names, which the caller keeps, come from the processor's caches; then in any order, where
    // everything waits for memory.
    let in_order: Arc<[usize]> = (0..READS).map(|read| read % KEYS).collect();
    let mut random = fastrand::Rng::with_seed(1);
    let in_any_order: Arc<[usize]> = (0..READS).map(|_| random.usize(..KEYS)).collect();
    for (what, order) in [(THOUSAND_KEYS, in_order), (ANY_ORDER, in_any_order)] {
        let subjects = subjects(&runtime, &order)?;
        report.rows.extend(compare(&runtime, what, 1, ROUNDS, &subjects));
    }

    let hot: Arc<[usize]> = vec![0; READS].into();
    let subjects = subjects(&runtime, &hot)?;
    for (what, tasks) in [
        ("hit, 1 key, 1 task", 1),
        ("hit, 1 key, 2 tasks", 2),
        ("hit, 1 key, 4 tasks", 4),
    ] {
        report
            .rows
            .extend(compare(&runtime, what, tasks, ROUNDS / 4, &subjects));
    }

    let handles = [
        Subject::new(OURS, runtime.block_on(Handle::new(Store::default()))?, &hot),
        Subject::new("ArcSwap::load", Swap::new(), &hot),
    ];
    report.rows.extend(compare(&runtime, HANDLE, 1, ROUNDS, &handles));

    herd(&runtime, &mut report)?;
    cold(&runtime, &mut report)?;
    ratios(&mut report);
    Ok(report)
}

fn subjects(runtime: &Runtime, order: &Arc<[usize]>) -> Result<Vec<Subject>, Box<dyn Error>> {
    runtime.block_on(async {
        Ok(vec![
            Subject::new(OURS, Manager::new(Store::default()).await?, order),
            Subject::new(LOOKUP, Lookup::new(), order),
            Subject::new(SHARED, SharedLookup(Lookup::new()), order),
            Subject::new(NAIVE, Naive::new(Store::default()).await, order),
            Subject::new(MOKA, Moka::new(Store::default()).await, order),
            Subject::new(SECRET_VAULT, Vault::new().await?, order),
            Subject::new(AWS_CACHING, AwsCaching::new(Store::default()).await?, order),
        ])
    })
}

/// Everybody asks at once for what nobody has yet.
fn herd(runtime: &Runtime, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let store = || Store::new(STORE_LATENCY);
    let ours = store();
    let manager = Manager::cold(ours.clone())?;
    report.rows.push(stampede(runtime, OURS, manager, &ours));
    let theirs = store();
    let caching = runtime.block_on(AwsCaching::cold(theirs.clone()))?;
    report.rows.push(stampede(runtime, AWS_CACHING, caching, &theirs));
    Ok(())
}

fn stampede(runtime: &Runtime, subject: &'static str, reads: impl Reads, store: &Store) -> Row {
    let reads = Arc::new(reads);
    let time = once(runtime, async {
        let tasks: Vec<_> = (0..HERD_SIZE)
            .map(|_| {
                let reads = reads.clone();
                tokio::spawn(async move {
                    reads.read(0).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a subject answers every read");
        }
    });
    Row::new(HERD, subject, vec![time], None).with_calls(store.calls())
}

/// An application starts, and needs everything.
fn cold(runtime: &Runtime, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let store = || Store::new(STORE_LATENCY);
    for (subject, store) in [
        ("secrets, 20 in a call", store().in_batches_of(20)),
        ("secrets, 1 in a call", store()),
    ] {
        let manager = Manager::cold(store.clone())?;
        let time = once(runtime, manager.load());
        report
            .rows
            .push(Row::new(COLD, subject, vec![time], None).with_calls(store.calls()));
    }
    let naive = store();
    let time = once(runtime, Naive::new(naive.clone()));
    report
        .rows
        .push(Row::new(COLD, "one after the other", vec![time], None).with_calls(naive.calls()));
    let theirs = store();
    let caching = runtime.block_on(AwsCaching::cold(theirs.clone()))?;
    let time = once(runtime, async {
        for key in 0..KEYS {
            caching.read(key).await;
        }
    });
    report
        .rows
        .push(Row::new(COLD, AWS_CACHING, vec![time], None).with_calls(theirs.calls()));
    Ok(())
}

/// Nanoseconds until the future is done.
fn once<T>(runtime: &Runtime, future: impl Future<Output = T>) -> f64 {
    let begun = Instant::now();
    runtime.block_on(future);
    begun.elapsed().as_nanos() as f64
}

fn ratios(report: &mut Report) {
    let times = |one: &Row, other: &Row| one.times_of(other);
    let ours = report.row(THOUSAND_KEYS, OURS);
    let allocations = ours.allocs.unwrap_or(f64::NAN);
    let lookup = times(report.row(THOUSAND_KEYS, LOOKUP), ours);
    let peer = |subject| times(ours, report.row(THOUSAND_KEYS, subject));
    let (naive, moka, vault, aws) = (peer(NAIVE), peer(MOKA), peer(SECRET_VAULT), peer(AWS_CACHING));
    let handle = times(report.row(HANDLE, "ArcSwap::load"), report.row(HANDLE, OURS));
    let calls = |row: &Row| row.calls.map_or(f64::NAN, |calls| calls as f64);
    let herd = calls(report.row(HERD, OURS));
    let cold = calls(report.row(COLD, "secrets, 20 in a call"));

    report.at_most(
        "hit_vs_lookup",
        lookup,
        1.6,
        "a hit takes so many times a bare lookup",
    );
    report.at_least(
        "hit_vs_naive",
        naive,
        1.0,
        "the naive cache takes so many times a hit",
    );
    report.at_least("hit_vs_moka", moka, 5.0, "moka takes so many times a hit");
    report.at_least(
        "hit_vs_secret_vault",
        vault,
        6.0,
        "secret-vault takes so many times a hit",
    );
    report.at_least(
        "hit_vs_aws_caching",
        aws,
        8.0,
        "aws_secretsmanager_caching takes so many times a hit",
    );
    report.at_most("hit_allocs", allocations, 0.0, "allocations of a hit");
    report.at_most(
        "handle_vs_arcswap",
        handle,
        1.5,
        "a handle takes so many times ArcSwap::load",
    );
    report.at_most(
        "herd_calls",
        herd,
        1.0,
        "calls of the store for 1,000 concurrent misses on a key",
    );
    report.at_most(
        "cold_load_round_trips",
        cold,
        50.0,
        "calls for 1,000 secrets, 20 in a call",
    );
}
