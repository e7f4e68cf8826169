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
