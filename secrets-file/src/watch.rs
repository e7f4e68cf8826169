//! Telling when a secret beneath a directory changes.
//!
//! [`subscribe`] makes the stream that [`SecretBackend::watch`](secrets_core::SecretBackend::watch) returns. It compares
//! what the secrets hold, not when their files were written: rewriting the same value is no event, whatever way the new
//! one came is. A kubelet's swap of `..data`, a file renamed over another, one deleted and made again are all alike.
//!
//! # How it is done
//!
//! On Linux the directories on the way to each secret are watched by inotify, those behind links included; whatever
//! happens there is a reason to look. So is the passing of the poll interval: network file systems do not report what
//! happens elsewhere, and a root that does not exist cannot be watched. Elsewhere the interval is all there is.
//!
//! No plaintext is kept for comparing, only a hash with a random key. A [`Ledger`] remembers what each secret was when
//! the backend last served it; the stream compares with that first, so that no change is lost between a read and the
//! moment its name is watched.
//!
//! Files are read only while the stream is polled: a slow consumer gets the latest, in memory bounded by the number of
//! names. One thread per stream waits for the system, and ends with it.

mod alarm;
mod ledger;
mod scan;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use secrets_core::{BackendEvent, BackendEvents, Result, SecretName, WatchedNames};

use crate::beneath::Root;
use alarm::Alarm;
pub use ledger::{Ledger, State};
use scan::Scan;

/// How often to look at secrets that nothing was heard about: 10 seconds.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// What a backend over files tells about its secrets. Called where it may block.
pub trait Observe: fmt::Debug + Send + Sync + 'static {
    /// Opens the directory that all of them lie beneath; `None` where it does not exist and need not.
    ///
    /// # Errors
    ///
    /// Any; nothing is taken to have changed then.
    fn open(&self) -> Result<Option<Root>>;

    /// The files, or directories, of the secret `name`, relative to the root; none when it cannot have any.
    fn paths(&self, name: &SecretName) -> Vec<PathBuf>;

    /// What the secret `name` is now, as the backend would read it; `None` when that cannot be told.
    fn state(&self, root: Option<&Root>, name: &SecretName, ledger: &Ledger) -> Option<State>;
}

/// Events about `names`, for as long as the stream is polled. `None` when no thread can be had.
///
/// Must be polled within a tokio runtime; the stream ends when that shuts down.
pub fn subscribe(
    source: Arc<dyn Observe>,
    ledger: Arc<Ledger>,
    names: WatchedNames,
    poll_interval: Duration,
) -> Option<BackendEvents> {
    let alarm = Alarm::start(poll_interval)?;
    let scan = Scan::new(source, ledger, alarm);
    Some(Box::pin(Changes::new(scan, names)))
}

struct Changes {
    /// Ends with the next changes; `None` once there will be no more.
    next: Option<Next>,
    ready: VecDeque<SecretName>,
}

type Next = Pin<Box<dyn Future<Output = Option<Found>> + Send>>;

struct Found {
    scan: Box<Scan>,
    names: WatchedNames,
    changed: Vec<SecretName>,
}

impl Changes {
    fn new(scan: Scan, names: WatchedNames) -> Self {
        Self {
            next: Some(Box::pin(next(Box::new(scan), names, true))),
            ready: VecDeque::new(),
        }
    }
}

impl Stream for Changes {
    type Item = BackendEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        loop {
            if let Some(name) = self.ready.pop_front() {
                return Poll::Ready(Some(BackendEvent::Changed(name)));
            }
            let Some(step) = &mut self.next else {
                return Poll::Ready(None);
            };
            let Poll::Ready(found) = step.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            self.next = None;
            if let Some(found) = found {
                self.next = Some(Box::pin(next(found.scan, found.names, false)));
                self.ready = found.changed.into();
            }
        }
    }
}

async fn next(mut scan: Box<Scan>, mut names: WatchedNames, first: bool) -> Option<Found> {
    let mut wake = if first {
        Wake::Names
    } else {
        wait(&scan, &mut names).await
    };
    loop {
        let current = names.current();
        let work = move || {
            let changed = match wake {
                Wake::Alarm => scan.all(&current),
                Wake::Names => scan.new_ones(&current),
            };
            (scan, changed)
        };
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let changed;
        (scan, changed) = runtime.spawn_blocking(work).await.ok()?;
        if !changed.is_empty() {
            return Some(Found { scan, names, changed });
        }
        wake = wait(&scan, &mut names).await;
    }
}

#[derive(Clone, Copy)]
enum Wake {
    Alarm,
    Names,
}

async fn wait(scan: &Scan, names: &mut WatchedNames) -> Wake {
    let mut rung = pin!(scan.alarm().rung());
    let mut changed = pin!(names.changed());
    let mut owned = true;
    poll_fn(|cx| {
        if rung.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Wake::Alarm);
        }
        if owned {
            if let Poll::Ready(again) = changed.as_mut().poll(cx) {
                if again {
                    return Poll::Ready(Wake::Names);
                }
                // Nobody changes the names any more; they are watched for as long as somebody listens.
                owned = false;
            }
        }
        Poll::Pending
    })
    .await
}
