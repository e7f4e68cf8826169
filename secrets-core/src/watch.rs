use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use tokio::sync::watch;

use crate::SecretName;

/// What [`SecretBackend::watch`](crate::SecretBackend::watch) returns.
pub type BackendEvents = Pin<Box<dyn Stream<Item = BackendEvent> + Send + 'static>>;

/// Something happened in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendEvent {
    /// This secret was created, changed or deleted.
    Changed(SecretName),
    /// Events may have been missed: whatever is cached has to be checked.
    Resync,
}

/// The names somebody is interested in: a live set, of which only the latest state matters.
///
/// A [`SecretManager`](crate::SecretManager) hands one to its backend; the set is what it caches or holds by a handle.
#[derive(Clone)]
pub struct WatchedNames {
    receiver: watch::Receiver<Arc<BTreeSet<SecretName>>>,
    translate: Vec<Translate>,
}

type Translate = Arc<dyn Fn(&SecretName) -> Option<SecretName> + Send + Sync>;

impl WatchedNames {
    /// A set, and the end by which its owner changes it.
    pub fn channel() -> (WatchedNamesSender, WatchedNames) {
        let (sender, receiver) = watch::channel(Arc::default());
        (
            WatchedNamesSender(sender),
            WatchedNames {
                receiver,
                translate: Vec::new(),
            },
        )
    }

    /// The names of interest now.
    pub fn current(&mut self) -> BTreeSet<SecretName> {
        let names = self.receiver.borrow_and_update().clone();
        names
            .iter()
            .filter_map(|name| {
                self.translate
                    .iter()
                    .try_fold(name.clone(), |name, translate| translate(&name))
            })
            .collect()
    }

    /// Waits until the set has changed since [`current`](WatchedNames::current) was last called. `false` once its owner
    /// is gone and it will never change again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }

    /// The same set as seen by a backend that knows these secrets by other names, or knows only some of them.
    #[must_use]
    pub fn filter_map(
        mut self,
        translate: impl Fn(&SecretName) -> Option<SecretName> + Send + Sync + 'static,
    ) -> Self {
        self.translate.push(Arc::new(translate));
        self
    }
}

impl fmt::Debug for WatchedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedNames").finish_non_exhaustive()
    }
}

/// Changes a set of [`WatchedNames`]; dropping it ends the set.
#[derive(Debug)]
pub struct WatchedNamesSender(watch::Sender<Arc<BTreeSet<SecretName>>>);

impl WatchedNamesSender {
    /// Replaces the set. Setting an equal one wakes nobody.
    pub fn set(&self, names: BTreeSet<SecretName>) {
        self.0.send_if_modified(|current| {
            if **current == names {
                return false;
            }
            *current = Arc::new(names);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn a_translated_set_follows_its_origin() {
        let (sender, names) = WatchedNames::channel();
        let prefix = name("app");
        let mut below = names.clone().filter_map(move |name| name.strip_prefix(&prefix));
        assert!(below.current().is_empty());
        sender.set([name("app/a"), name("other/b")].into());
        assert_eq!(below.current(), [name("a")].into());
        sender.set([name("app/c")].into());
        assert_eq!(below.current(), [name("c")].into());
    }
}
