//! O8 and its like: hours of trouble at a thousand secrets, each read a hundred times a minute, on a clock turned by hand.
//!
//! Each prints what it saw as a table: `cargo test -p secrets-core --test simulation -- --nocapture`.

#![allow(clippy::print_stdout, reason = "the tables are for people to read")]

mod common;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use secrets_core::{Clock, Error, ErrorKind};
use secrets_testkit::Answer;

const KEYS: usize = 1_000;
/// A hundred reads a minute.
const STEP: Duration = millis(600);

const fn minutes(minutes: u64) -> Duration {
    secs(60 * minutes)
}

/// How the store is while it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Up,
    /// Nothing comes back.
    Silent,
    /// Connections are refused.
    Refusing,
    /// Every call is answered with a request to pause for so long.
    Throttling(Duration),
    /// One secret may not be read any more.
    Denying(usize),
}

impl Store {
    fn answer(self, name: &str) -> Answer {
        match self {
            Self::Silent => Answer::hang(),
            Self::Refusing => Answer::kind(ErrorKind::Unavailable),
            Self::Throttling(pause) => Error::new(ErrorKind::RateLimited, "throttled")
                .with_retry_after(pause)
                .into(),
            Self::Denying(key) if name == self::name(key) => Answer::kind(ErrorKind::PermissionDenied),
            Self::Up | Self::Denying(_) => Answer::value("v"),
        }
    }
}

fn name(key: usize) -> String {
    format!("key/{key}")
}

/// What was seen while the store was so.
#[derive(Debug)]
struct Phase {
    store: Store,
    length: Duration,
    calls: usize,
    reads: u64,
    stale: u64,
    failed: u64,
    /// Of these, those of secrets that somebody may read, and had been read within the hour before.
    failed_early: u64,
    longest_wait: Duration,
    /// The longest of a read that was answered with a stale value.
    longest_wait_for_stale: Duration,
    /// From its beginning until every secret was read fresh.
    recovery: Option<Duration>,
}

struct Simulation {
    rig: Rig,
    store: Arc<Mutex<Store>>,
    names: Vec<String>,
    phases: Vec<Phase>,
    /// When each was last read fresh.
    fresh: Vec<Duration>,
}

impl Simulation {
    /// Everything is cached, from a store that is well.
    async fn new() -> Self {
        let rig = Rig::new();
        let store = Arc::new(Mutex::new(Store::Up));
        let its = store.clone();
        rig.backend
            .otherwise(move |asked| its.lock().unwrap().answer(asked.name.as_str()));
        let names: Vec<String> = (0..KEYS).map(name).collect();
        assert!(rig.secrets.get_many(&names).await.iter().all(Result::is_ok));
        let fresh = vec![rig.clock.monotonic(); KEYS];
        Self {
            rig,
            store,
            names,
            phases: Vec::new(),
            fresh,
        }
    }

    async fn run(&mut self, store: Store, length: Duration) {
        let Self {
            rig, names, fresh, ..
        } = self;
        *self.store.lock().unwrap() = store;
        rig.backend.forget_calls();
        let start = rig.clock.monotonic();
        let mut phase = Phase {
            store,
            length,
            calls: 0,
            reads: 0,
            stale: 0,
            failed: 0,
            failed_early: 0,
            longest_wait: Duration::ZERO,
            longest_wait_for_stale: Duration::ZERO,
            recovery: None,
        };
        while rig.since(start) < length {
            let now = rig.clock.monotonic();
            let mut all_fresh = true;
            for (key, name) in names.iter().enumerate() {
                let before = rig.clock.monotonic();
                let result = rig.get(name).await;
                let waited = rig.since(before);
                phase.reads += 1;
                phase.longest_wait = phase.longest_wait.max(waited);
                match result {
                    Ok(secret) if secret.metadata().stale_since().is_none() => fresh[key] = before,
                    Ok(_) => {
                        all_fresh = false;
                        phase.stale += 1;
                        phase.longest_wait_for_stale = phase.longest_wait_for_stale.max(waited);
                    }
                    Err(_) => {
                        all_fresh = false;
                        phase.failed += 1;
                        let denied = store == Store::Denying(key);
                        // A value read fresh now was fetched a time to live ago at the most.
                        let lately = before.saturating_sub(fresh[key]) < secs(3600 - 300);
                        phase.failed_early += u64::from(lately && !denied);
                    }
                }
            }
            if all_fresh && phase.recovery.is_none() {
                phase.recovery = Some(now.saturating_sub(start));
            }
            rig.pass((now + STEP).saturating_sub(rig.clock.monotonic())).await;
        }
        phase.calls = rig.backend.call_count();
        self.phases.push(phase);
    }

    /// Prints the table, and hands over what it is of.
    fn finish(self, title: &str) -> (Rig, Vec<Phase>) {
        let mut table = format!(
            "{title}\n| store | for | calls | reads | stale | failed | longest wait | all fresh after |\n|---|---|--:|--:|--:|--:|--:|--:|\n"
        );
        for phase in &self.phases {
            let recovery = phase
                .recovery
                .map_or("-".to_owned(), |after| format!("{after:?}"));
            let _ = writeln!(
                table,
                "| {:?} | {} min | {} | {} | {} | {} | {:?} | {recovery} |",
                phase.store,
                phase.length.as_secs() / 60,
                phase.calls,
                phase.reads,
                phase.stale,
                phase.failed,
                phase.longest_wait,
            );
        }
        println!("{table}");
        (self.rig, self.phases)
    }
}

#[test]
fn o8_a_two_hour_outage() {
    block_on(async {
        let mut simulation = Simulation::new().await;
        simulation.run(Store::Up, minutes(10)).await;
        simulation.run(Store::Silent, minutes(20)).await;
        simulation.run(Store::Refusing, minutes(100)).await;
        simulation.run(Store::Up, minutes(10)).await;
        let (rig, phases) = simulation.finish("Two hours down");
        let [up, silent, refusing, again] = phases.as_slice() else {
            panic!("four phases")
        };
        assert_eq!((up.failed, up.stale), (0, 0));
        assert_eq!(silent.failed + refusing.failed_early, 0);
        assert!(silent.stale > 0 && refusing.failed > 0, "an hour is not two");
        assert!(silent.longest_wait_for_stale <= millis(500), "{silent:?}");
        assert!(refusing.longest_wait_for_stale <= millis(500), "{refusing:?}");
        assert!(silent.calls + refusing.calls <= 400, "{silent:?} {refusing:?}");
        assert!(
            again.recovery.is_some_and(|after| after <= secs(300)),
            "{again:?}"
        );
        assert!(rig.secrets.stats().breaker_opens > 0);
    });
}

/// The store asks for pauses for twenty minutes. It is left alone for as long as it asks, and nobody notices.
#[test]
fn o5_o8_a_store_that_throttles_is_left_alone() {
    let pause = secs(30);
    block_on(async {
        let mut simulation = Simulation::new().await;
        simulation.run(Store::Up, minutes(5)).await;
        simulation.run(Store::Throttling(pause), minutes(20)).await;
        simulation.run(Store::Up, minutes(10)).await;
        let (rig, phases) = simulation.finish("Twenty minutes of throttling, Retry-After: 30");
        let [_, throttling, again] = phases.as_slice() else {
            panic!("three phases")
        };
        assert_eq!(phases.iter().map(|phase| phase.failed).sum::<u64>(), 0);
        assert!(throttling.stale > 0, "a time to live is not twenty minutes");
        assert!(throttling.longest_wait <= millis(500), "{throttling:?}");
        // One call after each pause finds out that the next has begun; room for one that was under way beside it.
        let pauses = minutes(20).as_secs() / pause.as_secs() + 1;
        assert!(throttling.calls as u64 <= 2 * pauses, "{throttling:?}");
        assert!(
            again.recovery.is_some_and(|after| after <= secs(300)),
            "{again:?}"
        );
        assert_eq!(
            rig.secrets.stats().breaker_opens,
            0,
            "a store that answers is not down"
        );
    });
}

/// One secret may not be read any more, among 999 that may.
#[test]
fn o6_o7_o8_a_denied_secret_costs_its_own_back_off_and_nothing_else() {
    const DENIED: usize = 500;
    block_on(async {
        let mut simulation = Simulation::new().await;
        simulation.run(Store::Up, minutes(5)).await;
        simulation.run(Store::Denying(DENIED), minutes(60)).await;
        let denied = simulation.rig.backend.asked(name(DENIED));
        simulation.run(Store::Up, minutes(10)).await;
        let (rig, phases) = simulation.finish("An hour in which one secret is denied");
        let [_, denying, again] = phases.as_slice() else {
            panic!("three phases")
        };
        assert_eq!(denying.failed_early, 0, "the others are read as ever");
        assert_eq!(denying.stale, 0, "a refusal is not bridged");
        assert!(denying.failed > 0);
        // 1 s, doubling to the time to live: nine calls in the first 511 s, then one each 300 s at the most.
        assert!(
            denied > 9 && denied <= 9 + 12,
            "{denied} calls for the denied one"
        );
        assert_eq!(rig.secrets.stats().breaker_opens, 0);
        assert!(
            again.recovery.is_some_and(|after| after <= secs(300)),
            "{again:?}"
        );
    });
}
