//! What is known about one name at one version: the value, the last failure, the call under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::handle::Cell;
use super::time::Tick;
use crate::{Error, Result, Secret, SecretName, Version};

/// What one call of the backend is about. Fields of one secret share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: SecretName,
    pub(super) version: Option<Version>,
}

impl Key {
    /// The reference of the whole secret, as a caller writes it.
    pub(super) fn reference(&self) -> Arc<str> {
        match &self.version {
            Some(version) => format!("{}?version={version}", self.name).into(),
            None => self.name.as_str().into(),
        }
    }
}

/// The number of a fetch, in the order in which they began.
pub(super) type Sequence = u64;

pub(super) struct Slot {
    pub(super) held: Option<Held>,
    pub(super) failure: Option<Failure>,
    pub(super) flight: Option<Flight>,
    /// Results of fetches that began before this one are not cached.
    pub(super) floor: Sequence,
    /// Fetches that are not `flight`: explicit refreshes, those that events ask for, those that were invalidated.
    pub(super) detached: u32,
    /// A fetch that an event asked for is under way.
    pub(super) following: bool,
    /// Another event came meanwhile.
    pub(super) follow_again: bool,
    /// Waits in the gatherer's list.
    pub(super) queued: bool,
    /// References in the hot map: of the whole secret, when it is there, and of fields.
    pub(super) published: Vec<Published>,
    pub(super) handles: Vec<Arc<Cell>>,
    /// This slot's place in the eviction's ring; another number there is an older slot of the same key.
    pub(super) place: u64,
}

/// One reference in the hot map.
pub(super) struct Published {
    pub(super) reference: Arc<str>,
    pub(super) weight: usize,
}

/// A cached value and its times.
pub(super) struct Held {
    pub(super) secret: Secret,
    /// Bytes of plaintext when it came; an object made of its fields later is not counted.
    pub(super) weight: usize,
    pub(super) sequence: Sequence,
    pub(super) fetched: Tick,
    /// When its time to live ends.
    pub(super) fresh_until: Tick,
    /// When to fetch it anew ahead of that.
    pub(super) refresh_at: Tick,
    /// Until when it may be served if it cannot be fetched anew.
    pub(super) stale_until: Tick,
    /// When it ends whatever happens, by the boot clock: its lease, or the store's own expiry.
    pub(super) ends: Option<Tick>,
    /// The store said that it is gone or refused: it is not served past its time to live.
    pub(super) condemned: bool,
}

/// What a cached value is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Fresh,
    Stale,
    Nothing,
}

impl Held {
    pub(super) fn good_for(&self, now: Tick, boot: impl FnOnce() -> Tick) -> Use {
        if self.ends.is_some_and(|ends| boot() >= ends) {
            Use::Nothing
        } else if now < self.fresh_until {
            Use::Fresh
        } else if !self.condemned && now < self.stale_until {
            Use::Stale
        } else {
            Use::Nothing
        }
    }

    /// When a hit has to stop and look. What ends by the boot clock is looked at every second, because the machine may
    /// have been suspended.
    pub(super) fn due(&self, now: Tick, refresh_under_way: bool) -> Tick {
        let due = if refresh_under_way {
            self.fresh_until
        } else {
            self.fresh_until.min(self.refresh_at)
        };
        match self.ends {
            Some(_) => due.min(now.after(Duration::from_secs(1))),
            None => due,
        }
    }
}

/// A failure that answers reads for a while.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) until: Tick,
    /// How long it answered this time; doubled the next.
    pub(super) wait: Duration,
}

/// A fetch that readers wait for.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) sequence: Sequence,
    pub(super) began: Tick,
    pub(super) deadline: Tick,
    pub(super) outcome: watch::Receiver<Option<Result<Secret>>>,
}

impl Slot {
    pub(super) fn new(place: u64) -> Self {
        Self {
            held: None,
            failure: None,
            flight: None,
            floor: 0,
            detached: 0,
            following: false,
            follow_again: false,
            queued: false,
            published: Vec::new(),
            handles: Vec::new(),
            place,
        }
    }

    /// Whether nothing is known and nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_none() && self.failure.is_none() && !self.is_busy()
    }

    /// Whether somebody relies on this slot, so that it must not be evicted.
    pub(super) fn is_busy(&self) -> bool {
        self.flight.is_some() || self.detached > 0 || !self.handles.is_empty()
    }

    pub(super) fn refresh_under_way(&self) -> bool {
        self.flight.is_some() || self.queued
    }

    /// Whether readers wait for this fetch.
    pub(super) fn waits_for(&self, sequence: Sequence) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|flight| flight.sequence == sequence)
    }

    /// Whether the result of a fetch may be kept: nothing newer is, and it was not invalidated meanwhile.
    pub(super) fn accepts(&self, sequence: Sequence) -> bool {
        sequence >= self.floor && self.held.as_ref().is_none_or(|held| sequence > held.sequence)
    }
}
