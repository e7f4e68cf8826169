use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use crate::Clock;

/// A clock that stands still until a test turns it. Clones share one time.
///
/// [`run_for`](FakeClock::run_for) is what most tests want: it goes from one sleeper to the next, letting every task run
/// in between, as time would.
#[derive(Clone)]
pub struct FakeClock(Arc<Mutex<State>>);

struct State {
    monotonic: Duration,
    asleep: Duration,
    wall: SystemTime,
    next_id: u64,
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    id: u64,
    deadline: Duration,
    waker: Option<Waker>,
}

impl FakeClock {
    /// A clock at an arbitrary fixed instant; the time of day is 2030-01-01 00:00:00 UTC.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            monotonic: Duration::from_secs(1_000),
            asleep: Duration::ZERO,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000),
            next_id: 0,
            sleepers: Vec::new(),
        })))
    }

    /// Moves all clocks forward and wakes every sleeper whose time has come. No task runs before the caller awaits.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.monotonic += duration;
        state.wall += duration;
        let now = state.monotonic;
        let due: Vec<_> = state
            .sleepers
            .iter_mut()
            .filter(|sleeper| sleeper.deadline <= now)
            .filter_map(|sleeper| sleeper.waker.take())
            .collect();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Moves the clocks as if the machine had been suspended: the monotonic one stands still, and so do sleepers.
    pub fn suspend(&self, duration: Duration) {
        let mut state = self.lock();
        state.asleep += duration;
        state.wall += duration;
    }

    /// Sets the time of day, and nothing else.
    pub fn set_wall(&self, wall: SystemTime) {
        self.lock().wall = wall;
    }

    /// How many tasks are sleeping.
    pub fn sleepers(&self) -> usize {
        let state = self.lock();
        state
            .sleepers
            .iter()
            .filter(|sleeper| sleeper.deadline > state.monotonic)
            .count()
    }

    /// How long the next sleeper has to go; `None` when nobody sleeps.
    pub fn next_wake(&self) -> Option<Duration> {
        let state = self.lock();
        let next = state
            .sleepers
            .iter()
            .map(|sleeper| sleeper.deadline)
            .filter(|&at| at > state.monotonic)
            .min()?;
        next.checked_sub(state.monotonic)
    }

    /// Lets `duration` pass: turns the clock to each sleeper in turn and lets all tasks run until they wait again.
    ///
    /// For a current-thread runtime, where "all tasks wait" can be told.
    pub async fn run_for(&self, duration: Duration) {
        settle().await;
        let end = self.monotonic() + duration;
        while let Some(step) = self.next_wake() {
            if self.monotonic() + step > end {
                break;
            }
            self.advance(step);
            settle().await;
        }
        self.advance(end.saturating_sub(self.monotonic()));
        settle().await;
    }

    /// Drives `future` to its end, turning the clock to the next sleeper whenever nothing else can run.
    ///
    /// For a current-thread runtime.
    ///
    /// # Panics
    ///
    /// When the future waits and nobody sleeps: it would wait for ever.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        loop {
            for _ in 0..SETTLE {
                let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
                if let Poll::Ready(output) = polled {
                    return output;
                }
                tokio::task::yield_now().await;
            }
            let step = self.next_wake();
            self.advance(step.expect("the future waits for something other than this clock"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounds through the scheduler after which a chain of tasks, each waking the next, has come to rest.
const SETTLE: usize = 64;

/// Lets every task of a current-thread runtime run until all wait.
pub(crate) async fn settle() {
    for _ in 0..SETTLE {
        tokio::task::yield_now().await;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClock")
            .field("monotonic", &self.monotonic())
            .finish_non_exhaustive()
    }
}

impl Clock for FakeClock {
    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn boot(&self) -> Duration {
        let state = self.lock();
        state.monotonic + state.asleep
    }

    fn wall(&self) -> SystemTime {
        self.lock().wall
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let deadline = state.monotonic.saturating_add(duration);
        state.sleepers.push(Sleeper {
            id,
            deadline,
            waker: None,
        });
        drop(state);
        Box::pin(Sleep {
            clock: self.clone(),
            id,
        })
    }
}

struct Sleep {
    clock: FakeClock,
    id: u64,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        let now = state.monotonic;
        match state.sleepers.iter_mut().find(|sleeper| sleeper.id == self.id) {
            Some(sleeper) if sleeper.deadline > now => {
                sleeper.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.retain(|sleeper| sleeper.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn sleepers_wake_in_turn_and_only_then() {
        block_on(async {
            let clock = FakeClock::new();
            let start = clock.monotonic();
            let log = Arc::new(Mutex::new(Vec::new()));
            for seconds in [3, 1] {
                let (clock, log) = (clock.clone(), log.clone());
                tokio::spawn(async move {
                    for _ in 0..2 {
                        clock.sleep(Duration::from_secs(seconds)).await;
                        log.lock().unwrap().push((seconds, clock.monotonic()));
                    }
                });
            }
            clock.run_for(Duration::from_secs(5)).await;
            let at = |seconds| start + Duration::from_secs(seconds);
            assert_eq!(*log.lock().unwrap(), [(1, at(1)), (1, at(2)), (3, at(3))]);
            assert_eq!(
                (clock.sleepers(), clock.next_wake()),
                (1, Some(Duration::from_secs(1)))
            );
        });
    }

    #[test]
    fn a_dropped_sleep_is_forgotten() {
        let clock = FakeClock::new();
        let sleep = clock.sleep(Duration::from_secs(1));
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.next_wake(), None);
    }

    #[test]
    fn t7_only_boot_and_wall_time_pass_while_suspended() {
        let clock = FakeClock::new();
        let before = (clock.monotonic(), clock.boot(), clock.wall());
        clock.suspend(Duration::from_secs(60));
        assert_eq!(clock.monotonic(), before.0);
        assert_eq!(clock.boot(), before.1 + Duration::from_secs(60));
        assert_eq!(clock.wall(), before.2 + Duration::from_secs(60));
    }
}
