//! Which Secrets somebody wants to hear of, and what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrets_core::{Error, ErrorKind, Result, SecretName};
use secrets_file::watch::State;
use tokio::sync::Notify;

use super::super::backend::Inner;
use super::super::server::Scope;
use super::Ready;

/// Shared by all watches of one stream.
pub(super) struct Interests {
    pub(super) inner: Arc<Inner>,
    ready: Ready,
    table: Mutex<Table>,
    covered_changed: Notify,
    fresh: Notify,
}

#[derive(Default)]
struct Table {
    secrets: BTreeMap<String, Interest>,
    /// The Secrets that the watch by labels sees; `None` as long as that is not known.
    covered: Option<BTreeSet<String>>,
}

/// One Secret.
#[derive(Default)]
struct Interest {
    names: BTreeMap<SecretName, Named>,
    /// As of when it was last looked at; empty for one that is not there.
    version: Option<String>,
    fresh: Arc<Notify>,
}

/// One name of a key, or of the whole.
struct Named {
    key: Option<String>,
    /// `None` before it was looked at.
    state: Option<State>,
}

impl Interests {
    pub(super) fn new(inner: Arc<Inner>, ready: Ready) -> Self {
        let labelled = matches!(inner.listing.scope, Some(Scope::Labelled(_)));
        let table = Table {
            covered: (!labelled).then(BTreeSet::new),
            ..Table::default()
        };
        Self {
            inner,
            ready,
            table: Mutex::new(table),
            covered_changed: Notify::new(),
            fresh: Notify::new(),
        }
    }

    /// Takes over the names that are of interest now.
    pub(super) fn set(&self, names: &BTreeSet<SecretName>) {
        let mut table = self.table();
        for interest in table.secrets.values_mut() {
            interest.names.retain(|name, _| names.contains(name));
        }
        for name in names {
            // A name that no Secret can have never changes.
            let Ok(place) = self.inner.naming.place(name) else {
                continue;
            };
            let interest = table.secrets.entry(place.secret).or_default();
            interest.names.entry(name.clone()).or_insert_with(|| {
                interest.fresh.notify_one();
                self.fresh.notify_one();
                Named {
                    key: place.key,
                    state: None,
                }
            });
        }
        table.secrets.retain(|_, interest| !interest.names.is_empty());
    }

    /// The Secrets that have to be watched by name.
    pub(super) fn uncovered(&self) -> BTreeSet<String> {
        let table = self.table();
        let Some(covered) = &table.covered else {
            return BTreeSet::new();
        };
        let secrets = table.secrets.keys();
        secrets
            .filter(|secret| !covered.contains(*secret))
            .cloned()
            .collect()
    }

    /// The Secrets of interest, and the version each was last looked at; `None` where a name has never been.
    pub(super) fn versions(&self) -> BTreeMap<String, Option<String>> {
        let table = self.table();
        let versions = table.secrets.iter().map(|(secret, interest)| {
            let looked_at = interest.names.values().all(|named| named.state.is_some());
            (secret.clone(), interest.version.clone().filter(|_| looked_at))
        });
        versions.collect()
    }

    /// Whether the Secret is of interest, and was last looked at in another version.
    pub(super) fn is_news(&self, secret: &str, version: &str) -> bool {
        let table = self.table();
        let interest = table.secrets.get(secret);
        interest.is_some_and(|interest| interest.version.as_deref() != Some(version))
    }

    /// Whether the watch by labels sees this Secret.
    pub(super) fn covers(&self, secret: &str) -> bool {
        let table = self.table();
        table
            .covered
            .as_ref()
            .is_some_and(|covered| covered.contains(secret))
    }

    pub(super) fn cover(&self, covered: BTreeSet<String>) {
        self.change_covered(|old| *old = covered);
    }

    pub(super) fn cover_one(&self, secret: &str) {
        self.change_covered(|covered| {
            covered.insert(secret.to_owned());
        });
    }

    pub(super) fn uncover_one(&self, secret: &str) {
        self.change_covered(|covered| {
            covered.remove(secret);
        });
    }

    /// Resolves when [`uncovered`](Interests::uncovered) may be another set.
    pub(super) async fn covered_changed(&self) {
        self.covered_changed.notified().await;
    }

    /// Resolves when there are names that nobody has looked at: of this Secret, or of any.
    pub(super) async fn fresh(&self, scope: &Scope) {
        let fresh = match scope {
            Scope::Named(secret) => {
                let table = self.table();
                table
                    .secrets
                    .get(&**secret)
                    .map(|interest| interest.fresh.clone())
            }
            Scope::All | Scope::Labelled(_) => return self.fresh.notified().await,
        };
        match fresh {
            Some(fresh) => fresh.notified().await,
            // The watch is about to be ended.
            None => std::future::pending().await,
        }
    }

    /// Reads a Secret and compares it with what it was.
    ///
    /// # Errors
    ///
    /// Whatever says nothing about the Secret: looking again may well succeed.
    pub(super) async fn look(&self, secret: &str) -> Result<()> {
        let names: Vec<_> = match self.table().secrets.get(secret) {
            None => return Ok(()),
            Some(interest) => {
                let names = interest.names.iter();
                names
                    .map(|(name, named)| (name.clone(), named.key.clone()))
                    .collect()
            }
        };
        let server = &self.inner.server;
        let ledger = &self.inner.ledger;
        let read = async {
            let answer = server.secret(secret).await?;
            let object = server.object(&answer, secret)?;
            let states = names.iter().map(|(_, key)| {
                let value = object.secret(key.as_deref(), &server.values);
                crate::state::of(ledger, &value)
            });
            Ok::<_, Error>((states.collect::<Vec<_>>(), object.metadata.version.to_string()))
        };
        let (states, version) = match read.await {
            Ok(read) => read,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    let state = crate::state::of_error(&error);
                    (vec![state; names.len()], String::new())
                }
                _ => return Err(error),
            },
        };
        let mut table = self.table();
        let Some(interest) = table.secrets.get_mut(secret) else {
            return Ok(());
        };
        interest.version = Some(version);
        for ((name, _), now) in names.iter().zip(states) {
            let (Some(entry), Some(now)) = (interest.names.get_mut(name), now) else {
                continue;
            };
            // What was served before anybody looked counts: it may have changed since.
            let before = entry.state.or_else(|| ledger.served(name));
            entry.state = Some(now);
            if before.is_some_and(|before| before != now) {
                self.ready.add(name.clone());
            }
        }
        Ok(())
    }

    fn change_covered(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        let mut table = self.table();
        let before = table.covered.clone();
        change(table.covered.get_or_insert_default());
        if table.covered != before {
            self.covered_changed.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
