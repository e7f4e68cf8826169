//! The table of slots, its account of what is held, and what makes way when it is full.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::slot::{Flight, Held, Key, Published, Sequence, Slot};
use super::time::Tick;
use super::view::Show;
use crate::{Secret, SecretName, Version};

/// All slots by name, with the versions of each.
///
/// The slots own the values; the hot map shows them to readers. Both are changed together, under one lock.
#[derive(Default)]
pub(super) struct Slots {
    by_name: HashMap<SecretName, Vec<(Option<Version>, Slot)>>,
    /// The eviction's clock face: places in the order in which the hand passes them.
    ring: VecDeque<(Key, u64)>,
    next_place: u64,
    count: usize,
    entries: usize,
    bytes: usize,
}

impl Slots {
    pub(super) fn get(&self, key: &Key) -> Option<&Slot> {
        let versions = self.by_name.get(&key.name)?;
        versions
            .iter()
            .find(|(version, _)| *version == key.version)
            .map(|(_, slot)| slot)
    }

    /// Changes the slot, made if need be and removed if nothing is left in it, and keeps the account.
    pub(super) fn update<R>(&mut self, key: &Key, change: impl FnOnce(&mut Slot) -> R) -> R {
        let versions = self.by_name.entry(key.name.clone()).or_default();
        let known = versions.iter().position(|(version, _)| *version == key.version);
        let at = known.unwrap_or_else(|| {
            self.next_place += 1;
            self.count += 1;
            self.ring.push_back((key.clone(), self.next_place));
            versions.push((key.version.clone(), Slot::new(self.next_place)));
            versions.len() - 1
        });
        let slot = &mut versions[at].1;
        let (entries, bytes) = size(slot);
        let result = change(slot);
        let (entries_now, bytes_now) = size(slot);
        if slot.is_empty() {
            debug_assert!(
                slot.published.is_empty(),
                "a value without its slot would never be evicted"
            );
            versions.swap_remove(at);
            self.count -= 1;
            if versions.is_empty() {
                self.by_name.remove(&key.name);
            }
            self.trim_ring();
        }
        self.entries = self.entries + entries_now - entries;
        self.bytes = self.bytes + bytes_now - bytes;
        result
    }

    /// Places of slots that are gone are passed over by the hand; when they are most of the ring, they are removed.
    fn trim_ring(&mut self) {
        if self.ring.len() > 64 + 4 * self.count {
            let by_name = &self.by_name;
            self.ring.retain(|(key, place)| {
                by_name
                    .get(&key.name)
                    .is_some_and(|versions| versions.iter().any(|(_, slot)| slot.place == *place))
            });
        }
    }

    /// The keys of every slot of a name.
    pub(super) fn keys_of(&self, name: &SecretName) -> Vec<Key> {
        let versions = self.by_name.get(name).map_or([].as_slice(), Vec::as_slice);
        versions
            .iter()
            .map(|(version, _)| Key {
                name: name.clone(),
                version: version.clone(),
            })
            .collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Slot)> {
        self.by_name.iter().flat_map(|(name, versions)| {
            versions.iter().map(|(version, slot)| {
                (
                    Key {
                        name: name.clone(),
                        version: version.clone(),
                    },
                    slot,
                )
            })
        })
    }

    /// The names cached or held by a handle.
    pub(super) fn names(&self) -> BTreeSet<SecretName> {
        self.iter()
            .filter(|(_, slot)| slot.held.is_some() || !slot.handles.is_empty())
            .map(|(key, _)| key.name)
            .collect()
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// When the longest untouched of the values held was fetched.
    pub(super) fn oldest_success(&self) -> Option<Tick> {
        self.iter()
            .filter_map(|(_, slot)| slot.held.as_ref().map(|held| held.fetched))
            .min()
    }

    /// Readers wait for a fetch from now on. Returns what is held already.
    pub(super) fn begin(&mut self, hot: &impl Show, key: &Key, flight: Flight, now: Tick) -> Option<Secret> {
        self.update(key, |slot| {
            slot.flight = Some(flight);
            slot.queued = false;
            slot.set_due(hot, now);
            slot.held.as_ref().map(|held| held.secret.clone())
        })
    }

    /// A fetch is over, whether readers waited for it or not. Returns whether a handle looks on.
    pub(super) fn end(&mut self, hot: &impl Show, key: &Key, sequence: Sequence, now: Tick) -> bool {
        self.update(key, |slot| {
            if slot.waits_for(sequence) {
                slot.flight = None;
            } else {
                slot.detached = slot.detached.saturating_sub(1);
            }
            slot.set_due(hot, now);
            !slot.handles.is_empty()
        })
    }

    /// Readers wait no longer for a fetch that goes on.
    pub(super) fn abandon(&mut self, key: &Key, sequence: Sequence) {
        self.update(key, |slot| {
            if slot.waits_for(sequence) {
                slot.flight = None;
                slot.detached += 1;
            }
        });
    }

    /// Forgets what is known. What fetches under way bring is not kept either: they began before `floor`.
    pub(super) fn forget(&mut self, hot: &impl Show, key: &Key, floor: Sequence) {
        self.update(key, |slot| {
            slot.unpublish(hot);
            slot.failure = None;
            slot.queued = false;
            slot.floor = floor;
            if slot.flight.take().is_some() {
                slot.detached += 1;
            }
        });
    }

    /// Whether what this fetch brings may be kept.
    pub(super) fn accepts(&self, key: &Key, sequence: Sequence) -> bool {
        self.get(key).is_some_and(|slot| slot.accepts(sequence))
    }

    /// Holds and shows a value, in place of any older one.
    pub(super) fn hold(&mut self, hot: &impl Show, key: &Key, held: Held, now: Tick) {
        self.update(key, |slot| {
            // Fields of the old value go; they are taken from the new one when somebody asks.
            let reference = key.reference();
            slot.published.retain(|published| {
                let keep = published.reference == reference;
                if !keep {
                    hot.remove(&published.reference);
                }
                keep
            });
            slot.failure = None;
            hot.insert(reference.clone(), held.secret.clone(), held.due(now, slot.queued));
            if slot.published.is_empty() {
                slot.published.push(Published { reference, weight: 0 });
            }
            slot.held = Some(held);
        });
    }

    /// Shows a field of the value held, if that is still the one it was taken from.
    pub(super) fn show_field(
        &mut self,
        hot: &impl Show,
        key: &Key,
        reference: &str,
        field: &Secret,
        of: &Secret,
        now: Tick,
    ) {
        if self
            .get(key)
            .is_none_or(|slot| slot.held.as_ref().is_none_or(|held| !held.secret.same_value(of)))
        {
            return;
        }
        self.update(key, |slot| {
            let Some(held) = &slot.held else { return };
            // What is shown is of this value: a new one takes the fields of the old away.
            let shown = slot
                .published
                .iter()
                .any(|published| *published.reference == *reference);
            if shown || now >= held.fresh_until {
                return;
            }
            let reference: Arc<str> = reference.into();
            hot.insert(
                reference.clone(),
                field.clone(),
                held.due(now, slot.refresh_under_way()),
            );
            slot.published.push(Published {
                reference,
                weight: field.weight(),
            });
        });
    }

    /// Evicts what was not used lately until the bounds hold. Returns how many entries went.
    pub(super) fn make_room(&mut self, hot: &impl Show, capacity: usize, capacity_bytes: usize) -> usize {
        let before = self.entries;
        // Twice around: the first may only find out what has been used.
        let mut steps = 2 * self.ring.len();
        while (self.entries > capacity || self.bytes > capacity_bytes) && steps > 0 {
            steps -= 1;
            let Some((key, place)) = self.ring.pop_front() else {
                break;
            };
            let Some(slot) = self.get(&key).filter(|slot| slot.place == place) else {
                continue;
            };
            // All of them are asked: a field's use counts for the whole.
            let used = slot.published.iter().fold(false, |used, published| {
                hot.take_used(&published.reference) | used
            });
            if used || slot.is_busy() {
                self.ring.push_back((key, place));
            } else {
                self.update(&key, |slot| {
                    slot.unpublish(hot);
                    slot.failure = None;
                });
            }
        }
        before - self.entries
    }

    /// Forgets everything and wipes every value.
    pub(super) fn clear(&mut self, hot: &impl Show) {
        for (_, slot) in self.by_name.values_mut().flatten() {
            slot.unpublish(hot);
        }
        *self = Self {
            next_place: self.next_place,
            ..Self::default()
        };
    }
}

fn size(slot: &Slot) -> (usize, usize) {
    let held = usize::from(slot.held.is_some());
    let fields = slot.published.len().saturating_sub(held);
    let bytes = slot.held.as_ref().map_or(0, |held| held.weight)
        + slot
            .published
            .iter()
            .map(|published| published.weight)
            .sum::<usize>();
    (held + fields + usize::from(slot.failure.is_some()), bytes)
}

impl Slot {
    /// Drops the value and all its fields, here and in the hot map.
    pub(super) fn unpublish(&mut self, hot: &impl Show) {
        for published in self.published.drain(..) {
            hot.remove(&published.reference);
        }
        self.held = None;
    }

    /// Sets when a hit on the value or one of its fields has to stop and look.
    pub(super) fn set_due(&self, hot: &impl Show, now: Tick) {
        if let Some(held) = &self.held {
            let due = held.due(now, self.refresh_under_way());
            for published in &self.published {
                hot.set_due(&published.reference, due);
            }
        }
    }
}
