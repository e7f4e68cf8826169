//! Changes as they happen.
//!
//! Each Secret of interest is watched by its name, or all of them by their labels. A watch brings metadata only: nothing
//! but versions of Secrets, of which those that nobody asked about are forgotten at once. A new version is a reason to
//! read the Secret and to compare, by a hash with a random key, what it is with what it was; only then is there an event.
//!
//! A watch that ends is continued where it ended. Where that is too long ago for the API server (410), and at the
//! beginning, everything of interest is compared once the watch stands, so that nothing falls between the two.

mod events;
mod follow;
mod interests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use secrets_core::{BackendEvent, BackendEvents, SecretName, WatchedNames};

use super::backend::Inner;
use super::server::Scope;
use follow::follow;
use interests::Interests;

/// How many Secrets are watched by name. Each takes a connection.
const MOST: usize = 100;

/// Events about `names`, for as long as the stream is polled, within a tokio runtime.
pub(super) fn subscribe(inner: Arc<Inner>, names: WatchedNames) -> BackendEvents {
    let ready = Ready::default();
    Box::pin(Changes {
        driver: Box::pin(drive(inner, names, ready.clone())),
        ready,
    })
}

/// The names that have changed since the consumer last heard of them.
#[derive(Clone, Default)]
struct Ready(Arc<Mutex<BTreeSet<SecretName>>>);

impl Ready {
    fn add(&self, name: SecretName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    fn take(&self) -> Option<SecretName> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }
}

struct Changes {
    /// Never ends. Does nothing while the stream is not polled: what a slow consumer misses is compared later.
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    ready: Ready,
}

impl Stream for Changes {
    type Item = BackendEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        let ended = self.driver.as_mut().poll(cx).is_ready();
        match self.ready.take() {
            Some(name) => Poll::Ready(Some(BackendEvent::Changed(name))),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Keeps as many watches as there are Secrets to watch.
async fn drive(inner: Arc<Inner>, mut names: WatchedNames, ready: Ready) {
    let interests = Arc::new(Interests::new(inner.clone(), ready));
    let mut followers = FuturesUnordered::new();
    if let Some(scope @ Scope::Labelled(_)) = &inner.listing.scope {
        let (handle, registration) = AbortHandle::new_pair();
        followers.push(Abortable::new(
            follow(interests.clone(), scope.clone()),
            registration,
        ));
        // It lives as long as the stream.
        drop(handle);
    }
    let mut following: BTreeMap<String, AbortHandle> = BTreeMap::new();
    let mut owned = true;
    loop {
        interests.set(&names.current());
        let wanted = interests.uncovered();
        following.retain(|secret, handle| {
            let keep = wanted.contains(secret);
            if !keep {
                handle.abort();
            }
            keep
        });
        for secret in wanted {
            if following.contains_key(&secret) {
                continue;
            }
            if following.len() >= MOST {
                inner.said.too_many(MOST);
                break;
            }
            let (handle, registration) = AbortHandle::new_pair();
            let scope = Scope::Named(secret.as_str().into());
            followers.push(Abortable::new(follow(interests.clone(), scope), registration));
            following.insert(secret, handle);
        }
        tokio::select! {
            biased;
            // Once nobody changes the names any more, they are watched for as long as somebody listens.
            alive = names.changed(), if owned => owned = alive,
            () = interests.covered_changed() => {}
            Some(_) = followers.next() => {}
        }
    }
}
