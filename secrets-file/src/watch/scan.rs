use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrets_core::SecretName;

use super::alarm::Alarm;
use super::{Ledger, Observe, State};
use crate::beneath::Root;

/// Looks at secrets, and tells which of them have changed since it last did.
pub(super) struct Scan {
    source: Arc<dyn Observe>,
    ledger: Arc<Ledger>,
    alarm: Alarm,
    /// What was seen last; `None` as long as nothing could be.
    known: BTreeMap<SecretName, Option<State>>,
}

impl Scan {
    pub(super) fn new(source: Arc<dyn Observe>, ledger: Arc<Ledger>, alarm: Alarm) -> Self {
        Self {
            source,
            ledger,
            alarm,
            known: BTreeMap::new(),
        }
    }

    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Looks at all of them.
    pub(super) fn all(&mut self, names: &BTreeSet<SecretName>) -> Vec<SecretName> {
        self.known.retain(|name, _| names.contains(name));
        let Ok(root) = self.source.open() else {
            return Vec::new();
        };
        self.alarm.begin();
        let changed = names
            .iter()
            .filter(|name| self.has_changed(root.as_ref(), name))
            .cloned()
            .collect();
        self.alarm.finish();
        changed
    }

    /// Looks at those that it has not looked at yet.
    pub(super) fn new_ones(&mut self, names: &BTreeSet<SecretName>) -> Vec<SecretName> {
        self.known.retain(|name, _| names.contains(name));
        let new: Vec<_> = names
            .iter()
            .filter(|name| !self.known.contains_key(*name))
            .collect();
        if new.is_empty() {
            return Vec::new();
        }
        let Ok(root) = self.source.open() else {
            // What was served before counts, once there is something to compare it with.
            for name in new {
                self.known.insert(name.clone(), self.ledger.served(name));
            }
            return Vec::new();
        };
        new.into_iter()
            .filter(|name| self.has_changed(root.as_ref(), name))
            .cloned()
            .collect()
    }

    fn has_changed(&mut self, root: Option<&Root>, name: &SecretName) -> bool {
        if let Some(root) = root {
            // Watched first and read then: a change after this is heard, one before it is seen.
            for path in self.source.paths(name) {
                self.alarm.cover(root, &path);
            }
        }
        let now = self.source.state(root, name, &self.ledger);
        let known = self
            .known
            .entry(name.clone())
            .or_insert_with(|| self.ledger.served(name));
        match (now, *known) {
            (None, _) => false,
            (Some(now), Some(before)) if now == before => false,
            (Some(now), before) => {
                *known = Some(now);
                before.is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::time::Duration;

    use secrets_core::{Error, ErrorKind, Result};

    use super::*;

    /// What it is told to be.
    #[derive(Debug, Default)]
    struct Scripted(Mutex<Told>);

    #[derive(Clone, Copy, Debug, Default)]
    enum Told {
        /// The root cannot be opened.
        #[default]
        Away,
        Is(State),
        Unclear,
    }

    impl Scripted {
        fn tell(&self, told: Told) {
            *self.0.lock().unwrap() = told;
        }
    }

    impl Observe for Scripted {
        fn open(&self) -> Result<Option<Root>> {
            match *self.0.lock().unwrap() {
                Told::Away => Err(Error::new(ErrorKind::Unavailable, "not mounted")),
                Told::Is(_) | Told::Unclear => Ok(None),
            }
        }

        fn paths(&self, _name: &SecretName) -> Vec<PathBuf> {
            Vec::new()
        }

        fn state(&self, _root: Option<&Root>, _name: &SecretName, _ledger: &Ledger) -> Option<State> {
            match *self.0.lock().unwrap() {
                Told::Is(state) => Some(state),
                Told::Away | Told::Unclear => None,
            }
        }
    }

    fn scan() -> (Arc<Scripted>, Arc<Ledger>, Scan, BTreeSet<SecretName>) {
        let (source, ledger) = (Arc::new(Scripted::default()), Arc::new(Ledger::new()));
        let alarm = Alarm::start(Duration::from_secs(3_600)).unwrap();
        let scan = Scan::new(source.clone(), ledger.clone(), alarm);
        (source, ledger, scan, [SecretName::new("a").unwrap()].into())
    }

    #[test]
    fn w5_what_cannot_be_told_is_no_change_and_hides_none() {
        let (source, ledger, mut scan, names) = scan();
        let [one, two] = [b"1", b"2"].map(|value| ledger.state_of([value.as_slice()]));
        source.tell(Told::Is(one));
        assert!(scan.new_ones(&names).is_empty());
        source.tell(Told::Unclear);
        assert!(scan.all(&names).is_empty());
        source.tell(Told::Away);
        assert!(scan.all(&names).is_empty());
        source.tell(Told::Is(one));
        assert!(scan.all(&names).is_empty());
        source.tell(Told::Unclear);
        assert!(scan.all(&names).is_empty());
        source.tell(Told::Is(two));
        assert_eq!(scan.all(&names).len(), 1);
        assert!(scan.all(&names).is_empty());
    }

    #[test]
    fn w1_what_was_served_counts_even_when_nothing_can_be_seen_at_first() {
        let (source, ledger, mut scan, names) = scan();
        let [one, two] = [b"1", b"2"].map(|value| ledger.state_of([value.as_slice()]));
        let name = names.first().unwrap();
        ledger.record(name, one);
        source.tell(Told::Away);
        assert!(scan.new_ones(&names).is_empty());
        ledger.record(name, two);
        source.tell(Told::Is(two));
        assert_eq!(scan.all(&names).len(), 1);
    }

    #[test]
    fn w2_a_name_that_nobody_was_served_is_no_event_at_first() {
        let (source, ledger, mut scan, names) = scan();
        source.tell(Told::Is(ledger.state_of([b"1".as_slice()])));
        assert!(scan.new_ones(&names).is_empty());
        assert!(scan.new_ones(&BTreeSet::new()).is_empty());
        // Nobody watched it meanwhile.
        source.tell(Told::Is(ledger.state_of([b"2".as_slice()])));
        assert!(scan.new_ones(&names).is_empty());
    }
}
