//! Measures what it costs to leave nothing behind: the features `zeroizing-alloc` and `harden` of the facade.
//!
//! ```console
//! $ cargo run --release --manifest-path secrets-bench/Cargo.toml --bin memory
//! ```
//!
//! Four processes do the same work, each with and without either; they take turns in short rounds. A hit is a cached read, a
//! fetch is an explicit refresh from a Vault over TLS on loopback, whose connection is kept; JSON is one document of 4 KiB,
//! made a struct. How often a wiped block is freed differs between them, and that is all that differs.

#[path = "../report.rs"]
mod report;

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use secrets::vault::VaultBackend;
use secrets::{Secret, SecretManager, ZeroAlloc};
use secrets_testkit::fakes::vault::FakeVault;
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::report::{Report, Row};

/// The system's allocator, or the one that wipes: one program, so that nothing else differs.
struct Either;

static WIPES: AtomicBool = AtomicBool::new(false);
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

// SAFETY: each call is passed on as it is. What one of the two allocated the other may free: both are the system's.
unsafe impl GlobalAlloc for Either {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise is passed on.
            unsafe { WIPING.dealloc(pointer, layout) }
        } else {
            // SAFETY: the caller's promise is passed on.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller's promise is passed on.
            unsafe { WIPING.realloc(pointer, layout, size) }
        } else {
            // SAFETY: the caller's promise is passed on.
            unsafe { System.realloc(pointer, layout, size) }
        }
    }
}

#[global_allocator]
static EITHER: Either = Either;

/// What is done, and how often in a round.
const WORK: [(&str, usize); 3] = [("hit", 20_000), ("fetch", 50), ("JSON of 4 KiB", 200)];

/// Who does it: wiping, hardened.
const SUBJECTS: [(&str, bool, bool); 4] = [
    ("neither", false, false),
    ("harden", false, true),
    ("zeroizing-alloc", true, false),
    ("both", true, true),
];

const ROUNDS: usize = 101;
const NAME: &str = "app/document";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        None => parent(false),
        Some("--json") => parent(true),
        Some("worker") => worker(arguments.collect()),
        Some(_) => {
            eprintln!("usage: memory [--json]");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the store, and lets the workers take turns.
fn parent(json: bool) -> Result<(), Box<dyn Error>> {
    let vault = FakeVault::builder().start()?;
    let document = serde_json::json!({ "data": { "value": document() } }).to_string();
    vault.admin("POST", &format!("secret/data/{NAME}"), &document);
    let mut workers = Vec::new();
    for (_, wipes, hardened) in SUBJECTS {
        workers.push(Worker::start(&vault, wipes, hardened)?);
    }
    let mut report = Report::default();
    for (work, (what, _)) in WORK.iter().enumerate() {
        let mut rounds = vec![Vec::with_capacity(ROUNDS); workers.len()];
        for round in 0..=ROUNDS {
            for (worker, rounds) in workers.iter_mut().zip(&mut rounds) {
                let time = worker.turn(work)?;
                // The first one is for the caches of the processor.
                if round > 0 {
                    rounds.push(time);
                }
            }
        }
        let rows = SUBJECTS.iter().zip(rounds);
        report
            .rows
            .extend(rows.map(|((subject, ..), rounds)| Row::new(what, subject, rounds, None)));
    }
    ratios(&mut report);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.table());
    }
    Ok(())
}

fn ratios(report: &mut Report) {
    let times = |report: &Report, what: usize, subject: usize| {
        let row = |subject: usize| report.row(WORK[what].0, SUBJECTS[subject].0);
        row(0).times_of(row(subject))
    };
    for (ratio, what, subject, limit, means) in [
        ("harden_hit", 0, 1, 1.1, "a hit of a hardened process takes so many times as long"),
        ("harden_fetch", 1, 1, 1.1, "a fetch of a hardened process"),
        ("wiping_hit", 0, 2, 1.1, "a hit with the allocator that wipes"),
        ("wiping_fetch", 1, 2, 1.2, "a fetch with the allocator that wipes"),
        ("wiping_json", 2, 2, 1.3, "JSON with the allocator that wipes"),
    ] {
        let value = times(report, what, subject);
        report.at_most(ratio, value, limit, means);
    }
}

/// A process that works when it is told to, and says how long it took.
struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(vault: &FakeVault, wipes: bool, hardened: bool) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["worker", &wipes.to_string(), &hardened.to_string(), &vault.address()])
            .env("VAULT_TOKEN", vault.root_token())
            .env("VAULT_CACERT_BYTES", vault.ca_pem())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        Ok(Self {
            orders: orders.ok_or("no way to the worker")?,
            answers: BufReader::new(answers.ok_or("no way from the worker")?),
            process,
        })
    }

    /// Nanoseconds of one piece of this work.
    fn turn(&mut self, work: usize) -> Result<f64, Box<dyn Error>> {
        writeln!(self.orders, "{work}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn worker(arguments: Vec<String>) -> Result<(), Box<dyn Error>> {
    let [wipes, hardened, address] = &arguments[..] else {
        return Err("a worker is told what to do by its parent".into());
    };
    WIPES.store(wipes.parse()?, Ordering::Relaxed);
    if hardened.parse()? {
        secrets::harden_process()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let backend = VaultBackend::builder(address).token(std::env::var("VAULT_TOKEN")?);
    let backend = backend.ca_pem(std::env::var("VAULT_CACERT_BYTES")?).build()?;
    let manager = SecretManager::builder(backend).build()?;
    let secret = runtime.block_on(manager.get(NAME))?;
    for order in std::io::stdin().lines() {
        let (what, count) = WORK[order?.parse::<usize>()?];
        let begun = Instant::now();
        work(&runtime, &manager, &secret, what, count)?;
        println!("{}", begun.elapsed().as_nanos() as f64 / count as f64);
    }
    Ok(())
}

fn work(
    runtime: &Runtime,
    manager: &SecretManager,
    secret: &Secret,
    what: &str,
    count: usize,
) -> Result<(), secrets::Error> {
    runtime.block_on(async {
        for _ in 0..count {
            match what {
                "hit" => drop(black_box(manager.get(NAME).await?)),
                "fetch" => drop(black_box(manager.refresh(NAME).await?)),
                _ => drop(black_box(secret.json::<Document>()?)),
            }
        }
        Ok(())
    })
}

/// What an application might keep in one secret.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only made, to see what that costs")]
struct Document {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only made, to see what that costs")]
struct Entry {
    user: String,
    password: String,
    hosts: Vec<String>,
    port: u16,
}

/// 4 KiB of JSON, with escapes.
fn document() -> String {
    let entry = |number: usize| {
        serde_json::json!({
            "user": format!("user-{number}"),
            "password": format!("a \"quoted\" password, number {number}"),
            "hosts": [format!("one-{number}.example.com"), format!("two-{number}.example.com")],
            "port": 5432 + number,
        })
    };
    let entries: Vec<_> = (0..28).map(entry).collect();
    serde_json::json!({ "entries": entries }).to_string()
}
