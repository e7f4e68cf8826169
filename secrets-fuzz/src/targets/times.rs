//! Times that a store names: how long a value lives, and how long to wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use secrets::{
    Capabilities, Clock as _, Error, ErrorKind, FakeClock, Fetched, Lease, Metadata, ReadRequest, Secret,
    SecretBackend, SecretManager,
};

use crate::law;
use crate::script::runtime;

/// Lets time pass for as long as somebody waits for it to.
async fn in_time<T>(clock: &FakeClock, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let done = work.as_mut().poll(cx);
        if done.is_pending() {
            if let Some(wake) = clock.next_wake() {
                clock.advance(wake);
            }
            cx.waker().wake_by_ref();
        }
        done
    })
    .await
}

#[derive(Debug)]
struct Timed(Mutex<VecDeque<(char, Duration)>>, FakeClock);

#[async_trait::async_trait]
impl SecretBackend for Timed {
    fn name(&self) -> &'static str {
        "timed"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
    }

    async fn get(&self, _: ReadRequest<'_>) -> secrets::Result<Fetched> {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (what, time) = script.pop_front().unwrap_or(('v', Duration::ZERO));
        let instant = SystemTime::UNIX_EPOCH.checked_add(time);
        let metadata = Metadata::new();
        let refused = |kind| Err(Error::new(kind, "not now").with_retry_after(time));
        let metadata = match (what, instant) {
            ('l', _) => metadata.with_lease(Lease::new("id", time, false)),
            ('r', _) => metadata.with_lease(Lease::new("id", time, true)),
            ('e', Some(instant)) => metadata.with_expires(instant),
            ('c', Some(instant)) => metadata.with_created(instant),
            ('w', _) => return refused(ErrorKind::RateLimited),
            ('u', _) => return refused(ErrorKind::Unavailable),
            ('n', _) => return refused(ErrorKind::NotFound),
            _ => metadata,
        };
        Ok(Fetched::from(Secret::copy_from(b"plain").with_metadata(metadata)))
    }

    async fn check(&self) -> secrets::Result<()> {
        Ok(())
    }
}

/// Whatever time a store names, it is lived with: the input is words such as `l3600`, a letter for what it is the time of, and
/// seconds. Between two of them a reader asks; `t60` lets time pass.
pub(crate) fn times(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let words = text.split_ascii_whitespace().take(32).filter_map(|word| {
        let what = word.chars().next()?;
        let (seconds, nanos) = word[what.len_utf8()..]
            .split_once('.')
            .unwrap_or((&word[what.len_utf8()..], "0"));
        Some((
            what,
            Duration::new(seconds.parse().ok()?, nanos.parse::<u32>().ok()? % 1_000_000_000),
        ))
    });
    let words: Vec<_> = words.collect();
    let clock = FakeClock::new();
    let backend = Arc::new(Timed(Mutex::default(), clock.clone()));
    let secrets = SecretManager::builder(backend.clone())
        .clock(clock.clone())
        .attempts(1)
        .seed(7);
    let secrets = secrets.build().expect("the options are fine");
    runtime().block_on(async {
        for (what, time) in words {
            if what == 't' {
                // The clock itself does not go on for ever.
                backend
                    .1
                    .advance(time.min(Duration::from_secs(100 * 365 * 86_400)));
                let _ = clock.wall();
                continue;
            }
            backend
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back((what, time));
            for _ in 0..2 {
                match in_time(&clock, secrets.get("a")).await {
                    Ok(secret) => assert_eq!(secret.expose_secret(), b"plain"),
                    Err(error) => law::error(&error),
                }
                tokio::task::yield_now().await;
            }
        }
        law::prints_nothing(&secrets.stats());
    });
}
