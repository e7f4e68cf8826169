//! One watch, through all its connections.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use secrets_core::{Cause, Error, ErrorKind, Result};

use super::super::error;
use super::super::list;
use super::super::server::Scope;
use super::events::{Event, Events};
use super::interests::Interests;

/// How much later than it said a server may end a watch before it is taken for dead.
const GRACE: Duration = Duration::from_secs(10);

/// A connection that lived as long is no sign of trouble when it ends.
const LIVED: Duration = Duration::from_secs(1);

/// Between two failures in a row.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// However long the server asks to be left alone.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Whoever may not watch now may be allowed to later: so often it is polled before another try.
const POLLS: u32 = 10;

/// Watches a scope for ever.
pub(super) async fn follow(interests: Arc<Interests>, scope: Scope) {
    let mut follower = Follower {
        interests,
        scope,
        resume: None,
        brought: false,
        stands_since: None,
    };
    let mut failures = 0;
    loop {
        let ended = follower.connection().await;
        // What took its time to fail has not lived.
        let stood = follower
            .stands_since
            .map(|since| follower.now().saturating_sub(since));
        let lived = stood.is_some_and(|stood| stood >= LIVED);
        let asked_for = match ended {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                follower.denied(&error).await;
                failures = 0;
                continue;
            }
            Err(error) => error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER),
            Ok(()) => Duration::ZERO,
        };
        let pause = if lived {
            failures = 0;
            asked_for
        } else {
            // What brought something is no failure in a row, but not to be repeated at once either.
            failures = if follower.brought { 1 } else { failures + 1 };
            asked_for.max(wait(failures))
        };
        if !pause.is_zero() {
            follower.sleep(pause).await;
        }
    }
}

/// 1 s, doubling to 30 s, each cut by up to half at random.
fn wait(failures: u32) -> Duration {
    let doubled = Duration::from_secs(1) * 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
    doubled.min(LONGEST_WAIT).mul_f64(1.0 - fastrand::f64() / 2.0)
}

struct Follower {
    interests: Arc<Interests>,
    scope: Scope,
    /// Up to where everything has been seen; `None` when something may have been missed.
    resume: Option<String>,
    /// The last connection brought an event.
    brought: bool,
    /// When the last connection was good: open, and everything compared that had to be.
    stands_since: Option<Duration>,
}

impl Follower {
    /// One connection, from its beginning to its end.
    async fn connection(&mut self) -> Result<()> {
        (self.brought, self.stands_since) = (false, None);
        let interests = self.interests.clone();
        let server = &interests.inner.server;
        // Those that began together do not end together.
        let life = interests.inner.watch_timeout;
        let life = life
            .mul_f64(1.0 - fastrand::f64() / 10.0)
            .max(Duration::from_secs(1));
        let opened = match server.watch(&self.scope, self.resume.as_deref(), life).await {
            Ok(opened) => opened,
            Err(error) => {
                let status = error.cause().and_then(Cause::status);
                // Too old, or a version that this server does not know: after a restore, for instance.
                if matches!(status, Some(400 | 410 | 504)) {
                    self.resume = None;
                }
                return Err(error);
            }
        };
        let mut dead = pin!(server.transport.clock().sleep(life + GRACE));
        if self.resume.is_none() {
            // Whoever asked to be looked at until now is.
            let _ = interests.fresh(&self.scope).now_or_never();
            self.compare().await?;
        }
        self.stands_since = Some(self.now());
        let mut events = Events::new(opened);
        loop {
            tokio::select! {
                biased;
                event = events.next() => match event? {
                    None => return Ok(()),
                    Some(event) => {
                        self.heard(event).await?;
                        self.brought = true;
                    }
                },
                () = interests.fresh(&self.scope) => {
                    let looked = self.look_at_fresh().await;
                    looked.inspect_err(|_| self.resume = None)?;
                }
                () = &mut dead => {
                    return Err(error::timeout("the watch", life + GRACE));
                }
            }
        }
    }

    async fn heard(&mut self, event: Event) -> Result<()> {
        // Should what follows fail, or be cut short, it is not forgotten.
        let missed = self.resume.take();
        let version = match event {
            Event::Bookmark { version } => version,
            Event::Failed { status } => {
                let message = "the API server has ended the watch";
                let cause = Cause::new().with_status(status);
                if status != 410 && status != 400 {
                    self.resume = missed;
                }
                return Err(Error::new(ErrorKind::Unavailable, message).with_cause(cause));
            }
            Event::Seen { secret, version } => {
                if matches!(self.scope, Scope::Labelled(_)) {
                    self.interests.cover_one(&secret);
                }
                if self.interests.is_news(&secret, &version) {
                    self.interests.look(&secret).await?;
                }
                version
            }
            Event::Gone { secret, version } => {
                self.interests.look(&secret).await?;
                if matches!(self.scope, Scope::Labelled(_)) {
                    // It may have lost its labels only: from now on it is watched by name.
                    self.interests.uncover_one(&secret);
                }
                version
            }
        };
        self.resume = Some(version).filter(|version| !version.is_empty());
        Ok(())
    }

    /// Compares everything in scope with what it was. The watch stands already: what changes from now on is heard.
    async fn compare(&mut self) -> Result<()> {
        let scope = self.scope.clone();
        let Scope::Labelled(_) = &scope else {
            return self.look_at_fresh().await;
        };
        let found = list::secrets(&self.interests.inner.server, &scope).await?;
        let before: BTreeSet<_> = found.keys().cloned().collect();
        for (secret, version) in self.interests.versions() {
            let now = found.get(&secret);
            let seen = now.is_some() || self.interests.covers(&secret);
            if seen && now != version.as_ref() {
                self.interests.look(&secret).await?;
            }
        }
        self.interests.cover(before);
        Ok(())
    }

    /// Looks at what nobody has looked at, as far as it is this watch's to see.
    async fn look_at_fresh(&self) -> Result<()> {
        if let Scope::Named(secret) = &self.scope {
            return self.interests.look(secret).await;
        }
        for (secret, version) in self.interests.versions() {
            if version.is_none() && self.interests.covers(&secret) {
                self.interests.look(&secret).await?;
            }
        }
        Ok(())
    }

    /// Polls for a while, where watching is not allowed.
    async fn denied(&mut self, error: &Error) {
        self.resume = None;
        self.interests.inner.said.watch_denied(error);
        if let Scope::Labelled(_) = &self.scope {
            // Each Secret by its own name: that may be allowed.
            self.interests.cover(BTreeSet::new());
        }
        for _ in 0..POLLS {
            if let Scope::Named(secret) = &self.scope {
                // Whatever keeps it from being looked at, it is looked at again.
                let _ = self.interests.look(secret).await;
            }
            tokio::select! {
                () = self.sleep(self.interests.inner.poll_interval) => {}
                () = self.interests.fresh(&self.scope) => {}
            }
        }
    }

    fn now(&self) -> Duration {
        self.interests.inner.server.transport.clock().boot()
    }

    async fn sleep(&self, duration: Duration) {
        self.interests
            .inner
            .server
            .transport
            .clock()
            .sleep(duration)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_waits_double_to_half_a_minute() {
        for (failures, least, most) in [
            (1, 500, 1_000),
            (2, 1_000, 2_000),
            (6, 15_000, 30_000),
            (99, 15_000, 30_000),
        ] {
            for _ in 0..100 {
                let wait = wait(failures).as_millis();
                assert!((least..=most).contains(&wait), "{failures}: {wait}");
            }
        }
    }
}
