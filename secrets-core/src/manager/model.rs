//! C9: every interleaving of what a slot goes through, by model checking.
//!
//! What runs here is the manager's own: the slots, the views that readers see, the flights that they wait for. Put in
//! their place are the lock of the state, the words of a view, and the map that readers look into, which is papaya's
//! business and stands here as a map whose every operation is one step. Each test is run in every order that its threads
//! can take (up to a bound on preemptions where it says so).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Mutex, MutexGuard};
use loom::thread;
use tokio::sync::watch;

use super::slot::{Flight, Held, Key, Sequence, Use};
use super::slots::Slots;
use super::time::Tick;
use super::view::{Show, View, Word};
use crate::{Result, Secret, SecretName};

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn store(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }

    fn swap(&self, value: u64) -> u64 {
        self.swap(value, Ordering::Relaxed)
    }
}

/// The map that readers look into.
struct Shown(Mutex<HashMap<Arc<str>, Arc<View<AtomicU64>>>>);

impl Shown {
    fn view(&self, reference: &str) -> Option<Arc<View<AtomicU64>>> {
        self.0.lock().unwrap().get(reference).cloned()
    }
}

impl Show for Shown {
    fn insert(&self, reference: Arc<str>, secret: Secret, due: Tick) {
        let used = self.take_used(&reference);
        let view = Arc::new(View::new(secret, due, used));
        self.0.lock().unwrap().insert(reference, view);
    }

    fn remove(&self, reference: &str) {
        self.0.lock().unwrap().remove(reference);
    }

    fn set_due(&self, reference: &str, due: Tick) {
        if let Some(view) = self.view(reference) {
            view.set_due(due);
        }
    }

    fn take_used(&self, reference: &str) -> bool {
        self.view(reference).is_some_and(|view| view.take_used())
    }
}

struct State {
    slots: Slots,
    sequence: Sequence,
}

impl State {
    fn next(&mut self) -> Sequence {
        self.sequence += 1;
        self.sequence
    }
}

/// A fetch under way, as the one who makes it holds it.
struct Fetch {
    key: Key,
    sequence: Sequence,
    outcome: watch::Sender<Option<Result<Secret>>>,
}

/// The manager around the slots, reduced to one value for each fetch: its own number.
struct Model {
    shown: Shown,
    state: Mutex<State>,
    clock: AtomicU64,
    fetches: AtomicUsize,
}

/// What a reader finds.
enum Found {
    Value(Sequence),
    Wait(Flight),
    Fetch(Fetch),
}

const TTL: Duration = Duration::from_nanos(10);

fn key(name: &str) -> Key {
    Key {
        name: SecretName::new(name).unwrap(),
        version: None,
    }
}

fn number(secret: &Secret) -> Sequence {
    u64::from_le_bytes(secret.expose_secret().try_into().unwrap())
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            shown: Shown(Mutex::new(HashMap::new())),
            state: Mutex::new(State {
                slots: Slots::default(),
                sequence: 0,
            }),
            clock: AtomicU64::new(0),
            fetches: AtomicUsize::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> Tick {
        Tick::from_nanos(self.clock.load(Ordering::SeqCst))
    }

    /// As a read that finds nothing in the slots does it.
    fn hit(&self, key: &Key) -> Option<Sequence> {
        let view = self.shown.view(&key.reference())?;
        view.read(self.now()).map(number)
    }

    fn look(&self, key: &Key) -> Found {
        if let Some(number) = self.hit(key) {
            return Found::Value(number);
        }
        let now = self.now();
        let mut state = self.lock();
        if let Some(slot) = state.slots.get(key) {
            if let Some(held) = &slot.held {
                if held.good_for(now, || now) == Use::Fresh {
                    return Found::Value(number(&held.secret));
                }
            }
            if let Some(flight) = &slot.flight {
                return Found::Wait(flight.clone());
            }
        }
        Found::Fetch(self.begin(&mut state, key, now))
    }

    fn begin(&self, state: &mut State, key: &Key, now: Tick) -> Fetch {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let (outcome, seen) = watch::channel(None);
        let sequence = state.next();
        let flight = Flight {
            sequence,
            began: now,
            deadline: Tick::NEVER,
            outcome: seen,
        };
        state.slots.begin(&self.shown, key, flight, now);
        Fetch {
            key: key.clone(),
            sequence,
            outcome,
        }
    }

    /// The store has answered.
    fn land(&self, fetch: Fetch) -> Sequence {
        let now = self.now();
        let secret = Secret::new(fetch.sequence.to_le_bytes().to_vec());
        let mut state = self.lock();
        if state.slots.accepts(&fetch.key, fetch.sequence) {
            let held = Held {
                secret: secret.clone(),
                weight: secret.weight(),
                sequence: fetch.sequence,
                fetched: now,
                fresh_until: now.after(TTL),
                refresh_at: Tick::NEVER,
                stale_until: now.after(TTL),
                ends: None,
                condemned: false,
            };
            state.slots.hold(&self.shown, &fetch.key, held, now);
        }
        state.slots.end(&self.shown, &fetch.key, fetch.sequence, now);
        drop(state);
        let Fetch {
            outcome, sequence, ..
        } = fetch;
        outcome.send_replace(Some(Ok(secret)));
        sequence
    }

    /// The task that fetches is gone before the store has answered.
    fn lose(&self, fetch: Fetch) {
        let now = self.now();
        let mut state = self.lock();
        state.slots.end(&self.shown, &fetch.key, fetch.sequence, now);
        drop(state);
        drop(fetch.outcome);
    }

    /// A read to its end; fetches land at once.
    fn read(&self, key: &Key) -> Sequence {
        loop {
            match self.look(key) {
                Found::Value(number) => return number,
                Found::Fetch(fetch) => return self.land(fetch),
                Found::Wait(mut flight) => {
                    let outcome = block_on(async {
                        let seen = flight.outcome.wait_for(Option::is_some).await;
                        seen.ok().and_then(|outcome| outcome.clone())
                    });
                    if let Some(outcome) = outcome {
                        return number(&outcome.unwrap());
                    }
                }
            }
        }
    }

    /// Returns the number below which nothing may be seen any more.
    fn invalidate(&self, key: &Key) -> Sequence {
        let mut state = self.lock();
        let floor = state.next();
        state.slots.forget(&self.shown, key, floor);
        floor
    }

    fn make_room(&self, capacity: usize) {
        self.lock().slots.make_room(&self.shown, capacity, usize::MAX);
    }

    /// What is shown is what is held, and the account is right.
    fn assert_whole(&self, keys: &[&Key]) {
        let state = self.lock();
        let mut entries = 0;
        for key in keys {
            let held = state.slots.get(key).and_then(|slot| slot.held.as_ref());
            let shown = self.shown.view(&key.reference());
            let shown = shown.and_then(|view| view.read(Tick::NOW).map(number));
            assert_eq!(shown, held.map(|held| number(&held.secret)));
            entries += usize::from(held.is_some());
            assert!(state.slots.get(key).is_none_or(|slot| slot.flight.is_none()));
            assert!(state.slots.get(key).is_none_or(|slot| slot.detached == 0));
        }
        assert_eq!(state.slots.entries(), entries);
        assert_eq!(self.shown.0.lock().unwrap().len(), entries);
    }
}

/// Every order, with at most this many preemptions of each: more than any of these is known to need.
fn check(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}

#[test]
fn c9_two_that_miss_make_one_fetch_and_both_get_its_value() {
    check(3, || {
        let model = Model::new();
        let other = model.clone();
        let thread = thread::spawn(move || other.read(&key("a")));
        let here = model.read(&key("a"));
        assert_eq!(here, thread.join().unwrap());
        assert_eq!(model.fetches.load(Ordering::SeqCst), 1);
        model.assert_whole(&[&key("a")]);
    });
}

#[test]
fn c9_who_waits_for_a_fetch_that_is_lost_starts_anew() {
    check(3, || {
        let model = Model::new();
        let now = model.now();
        let first = model.begin(&mut model.lock(), &key("a"), now);
        let other = model.clone();
        let waiter = thread::spawn(move || other.read(&key("a")));
        model.lose(first);
        assert_eq!(waiter.join().unwrap(), 2, "the second fetch's value");
        model.assert_whole(&[&key("a")]);
    });
}

#[test]
fn c9_nothing_from_before_an_invalidation_is_seen_after_it() {
    check(3, || {
        let model = Model::new();
        let (reader, invalidator) = (model.clone(), model.clone());
        // One fetch begins before the invalidation, or after it, and lands in the middle of it, or later.
        let reader = thread::spawn(move || reader.read(&key("a")));
        let invalidator = thread::spawn(move || {
            let floor = invalidator.invalidate(&key("a"));
            assert!(invalidator.hit(&key("a")).is_none_or(|number| number > floor));
            assert!(invalidator.read(&key("a")) > floor);
        });
        reader.join().unwrap();
        invalidator.join().unwrap();
        model.assert_whole(&[&key("a")]);
    });
}

#[test]
fn c9_an_older_fetch_never_takes_a_newer_ones_place() {
    check(3, || {
        let model = Model::new();
        let now = model.now();
        let older = model.begin(&mut model.lock(), &key("a"), now);
        model.lock().slots.abandon(&key("a"), older.sequence);
        let newer = model.begin(&mut model.lock(), &key("a"), now);
        let (one, two) = (model.clone(), model.clone());
        let one = thread::spawn(move || one.land(older));
        let two = thread::spawn(move || two.land(newer));
        // What has been seen of a reference never goes back.
        let (before, after) = (model.hit(&key("a")), model.hit(&key("a")));
        assert!(before <= after);
        let (_, newer) = (one.join().unwrap(), two.join().unwrap());
        assert_eq!(model.hit(&key("a")), Some(newer));
        model.assert_whole(&[&key("a")]);
    });
}

#[test]
fn c9_a_value_is_never_read_past_its_time() {
    check(3, || {
        let model = Model::new();
        let fetched = model.read(&key("a"));
        let (other, reader) = (model.clone(), model.clone());
        let clock = thread::spawn(move || {
            other
                .clock
                .store(TTL.as_nanos().try_into().unwrap(), Ordering::SeqCst);
            // The time has passed: whoever reads from now on gets another.
            assert!(other.read(&key("a")) > fetched);
        });
        let first = reader.read(&key("a"));
        assert!(first >= fetched);
        clock.join().unwrap();
        assert!(model.read(&key("a")) > fetched);
        model.assert_whole(&[&key("a")]);
    });
}

#[test]
fn c9_eviction_takes_what_is_shown_with_what_is_held_and_never_a_fetch() {
    check(2, || {
        let model = Model::new();
        model.read(&key("a"));
        let (evictor, reader) = (model.clone(), model.clone());
        let evictor = thread::spawn(move || evictor.make_room(0));
        let reader = thread::spawn(move || {
            // Read, while the hand may be passing; and another that is being fetched.
            reader.read(&key("a"));
            reader.read(&key("b"));
        });
        model.invalidate(&key("a"));
        evictor.join().unwrap();
        reader.join().unwrap();
        model.assert_whole(&[&key("a"), &key("b")]);
        model.make_room(0);
        model.make_room(0);
        assert_eq!(model.lock().slots.entries(), 0);
        model.assert_whole(&[&key("a"), &key("b")]);
    });
}
