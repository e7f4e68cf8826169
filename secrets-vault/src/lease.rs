use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_core::Lease;

use crate::answer::LeaseAnswer;
use crate::session::Fate;
use crate::token::due;

/// The leases obtained here that have not ended. All instants are boot time.
#[derive(Default)]
pub(crate) struct Leases(Mutex<HashMap<Arc<str>, Entry>>);

/// One lease.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The login it hangs on.
    pub(crate) generation: u64,
    ends: Duration,
    /// When a new credential is better than this one; only counts where the lease is not extended any more.
    rotate: Duration,
    /// The longest life it was ever given at once.
    full: Duration,
    /// Vault will still extend it.
    extendable: bool,
}

/// What to do about a lease that its holder asks about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is still good for this long.
    Keep(Duration),
    Renew,
    /// A new credential is needed: this one has ended, or soon will.
    Replace,
}

impl Leases {
    /// Notes a lease just obtained, or extended. `asked` is when it was asked for, `jitter` between 0 and 1.
    pub(crate) fn note(
        &self,
        lease: &LeaseAnswer,
        generation: u64,
        asked: Duration,
        jitter: f64,
        now: Duration,
    ) {
        let mut entries = self.lock();
        let full = entries.get(&*lease.id).map_or(Duration::ZERO, |entry| entry.full);
        // An extension shorter than before means that a maximum has cut it short.
        let cut_short = lease.duration + Duration::from_secs(1) < full;
        let entry = Entry {
            generation,
            ends: asked + lease.duration,
            rotate: asked + due(lease.duration, jitter),
            full: full.max(lease.duration),
            extendable: lease.renewable && !cut_short,
        };
        entries.retain(|_, entry| entry.ends > now);
        entries.insert((*lease.id).into(), entry);
    }

    /// Notes that Vault refuses to extend a lease that is still good.
    pub(crate) fn not_extendable(&self, id: &str) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.extendable = false;
        }
    }

    /// Forgets a lease that Vault does not know any more.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<Entry> {
        self.lock().get(id).cloned()
    }

    /// Takes all leases that have not ended, to be revoked.
    pub(crate) fn take(&self, now: Duration) -> Vec<Arc<str>> {
        let entries = std::mem::take(&mut *self.lock());
        entries
            .into_iter()
            .filter(|(_, entry)| entry.ends > now)
            .map(|(id, _)| id)
            .collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What to do about it, knowing what became of the token it hangs on.
    pub(crate) fn next(&self, fate: Fate, now: Duration) -> Next {
        let left = self.left(fate, now);
        match fate {
            Fate::Dead | Fate::Ends { replaced: true, .. } => Next::Replace,
            _ if left.is_zero() => Next::Replace,
            _ if self.extendable => Next::Renew,
            _ if now >= self.rotate => Next::Replace,
            _ => Next::Keep(left),
        }
    }

    /// How long it lives: never longer than its token.
    pub(crate) fn left(&self, fate: Fate, now: Duration) -> Duration {
        let left = self.ends.saturating_sub(now);
        match fate {
            Fate::Dead => Duration::ZERO,
            Fate::Ends { left: token, .. } => left.min(token),
            Fate::Kept => left,
        }
    }

    /// The lease as its holder sees it.
    pub(crate) fn lease(&self, id: &str, fate: Fate, now: Duration) -> Lease {
        Lease::new(id, self.left(fate, now), self.extendable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn answer(hours: f64, renewable: bool) -> LeaseAnswer {
        LeaseAnswer {
            id: "database/creds/r/1".into(),
            duration: HOUR.mul_f64(hours),
            renewable,
        }
    }

    fn next(leases: &Leases, fate: Fate, now: Duration) -> Next {
        leases.get("database/creds/r/1").unwrap().next(fate, now)
    }

    #[test]
    fn t3_a_lease_never_outlives_its_token() {
        let leases = Leases::default();
        leases.note(&answer(24.0, true), 1, HOUR, 0.5, HOUR);
        let entry = leases.get("database/creds/r/1").unwrap();
        let capped = Fate::Ends {
            left: HOUR / 2,
            replaced: false,
        };
        assert_eq!(entry.lease("x", capped, HOUR).duration(), HOUR / 2);
        assert_eq!(entry.lease("x", Fate::Kept, HOUR).duration(), HOUR * 24);
    }

    #[test]
    fn a7_a_lease_cut_short_is_replaced_before_its_end() {
        let leases = Leases::default();
        leases.note(&answer(1.0, true), 1, HOUR, 0.5, HOUR);
        assert_eq!(next(&leases, Fate::Kept, HOUR), Next::Renew);
        leases.note(&answer(0.5, true), 1, HOUR * 2, 0.5, HOUR * 2);
        assert_eq!(next(&leases, Fate::Kept, HOUR * 2), Next::Keep(HOUR / 2));
        assert_eq!(next(&leases, Fate::Kept, HOUR * 2 + HOUR / 3), Next::Replace);
    }

    #[test]
    fn a10_a_lease_goes_with_its_token() {
        let leases = Leases::default();
        leases.note(&answer(1.0, true), 1, HOUR, 0.5, HOUR);
        assert_eq!(next(&leases, Fate::Dead, HOUR), Next::Replace);
        let replaced = Fate::Ends {
            left: HOUR,
            replaced: true,
        };
        assert_eq!(next(&leases, replaced, HOUR), Next::Replace);
    }

    #[test]
    fn leases_that_have_ended_are_forgotten() {
        let leases = Leases::default();
        for hour in 1..100 {
            let lease = LeaseAnswer {
                id: format!("l/{hour}").into(),
                ..answer(2.0, false)
            };
            leases.note(&lease, 1, HOUR * hour, 0.5, HOUR * hour);
        }
        assert_eq!(leases.len(), 2);
        assert_eq!(leases.take(HOUR * 100).len(), 1);
    }
}
