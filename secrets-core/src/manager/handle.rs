use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;

use super::core::{Core, Owner};
use super::slot::{Key, Use};
use crate::{Error, ErrorKind, Result, Secret, SecretRef};

/// A live value: kept fresh in the background for as long as a clone of this lives.
///
/// Made by [`SecretManager::handle`](crate::SecretManager::handle). Reading it is a few nanoseconds and never waits, so
/// it suits what runs for each request; [`changed`](SecretHandle::changed) suits what has to act on a rotation, such as
/// a connection pool.
pub struct SecretHandle {
    cell: Arc<Cell>,
    changes: watch::Receiver<()>,
    core: Owner,
}

/// The state of a [`SecretHandle`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HandleState {
    /// The value is within its time to live.
    Fresh,
    /// The value could not be fetched anew since this time; it is still served.
    #[non_exhaustive]
    Stale {
        /// When its time to live ended.
        since: SystemTime,
    },
    /// There is no value: the secret is gone or refused, or could not be fetched for too long. The old value is wiped.
    Gone(Error),
}

/// There is nothing more to wait for: the manager has been shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret manager has been shut down")
    }
}

impl std::error::Error for Closed {}

/// The current value of a [`SecretHandle`], borrowed: it is not wiped while this lives, so keep it short.
pub struct SecretGuard(Guard<Arc<Content>>);

impl Deref for SecretGuard {
    type Target = Secret;

    fn deref(&self) -> &Secret {
        match &**self.0 {
            Content::Fresh(secret) | Content::Stale { secret, .. } => secret,
            Content::Gone(_) => unreachable!("a guard is made of a value only"),
        }
    }
}

impl fmt::Debug for SecretGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl SecretHandle {
    /// The value as it is now. Never blocks, never allocates.
    ///
    /// # Errors
    ///
    /// Why there is none; see [`HandleState::Gone`].
    #[inline]
    pub fn current(&self) -> Result<SecretGuard> {
        let content = self.cell.content.load();
        match &**content {
            Content::Gone(error) => Err(error.clone()),
            _ => Ok(SecretGuard(content)),
        }
    }

    /// Whether the value is fresh, stale or gone.
    pub fn state(&self) -> HandleState {
        match &**self.cell.content.load() {
            Content::Fresh(_) => HandleState::Fresh,
            Content::Stale { since, .. } => HandleState::Stale { since: *since },
            Content::Gone(error) => HandleState::Gone(error.clone()),
        }
    }

    /// Waits until the value or the state is another than when this last returned, or than when the handle was made or
    /// cloned. Several changes in between are one: who is slow sees the latest.
    ///
    /// # Errors
    ///
    /// [`Closed`] once the manager has been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the change is still there for the next call.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.open()?;
        // The sender lives in the cell, which this holds; closing the manager sends too.
        let _ = self.changes.changed().await;
        self.open()
    }

    fn open(&self) -> Result<(), Closed> {
        if self.core.lock().closed {
            Err(Closed)
        } else {
            Ok(())
        }
    }

    /// The reference this was made of.
    pub fn reference(&self) -> &SecretRef {
        &self.cell.reference
    }
}

impl Clone for SecretHandle {
    fn clone(&self) -> Self {
        self.cell.owners.fetch_add(1, Ordering::Relaxed);
        let mut changes = self.changes.clone();
        changes.mark_unchanged();
        Self {
            cell: self.cell.clone(),
            changes,
            core: self.core.clone(),
        }
    }
}

impl Drop for SecretHandle {
    fn drop(&mut self) {
        if self.cell.owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.core.drop_cell(&self.cell);
        }
    }
}

impl fmt::Debug for SecretHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretHandle")
            .field("reference", &self.cell.reference)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What the clones of a handle share with the manager.
pub(super) struct Cell {
    reference: SecretRef,
    content: ArcSwap<Content>,
    changes: watch::Sender<()>,
    owners: AtomicUsize,
}

enum Content {
    Fresh(Secret),
    Gone(Error),
    Stale { secret: Secret, since: SystemTime },
}

impl Cell {
    fn new(reference: SecretRef, error: Error) -> Self {
        Self {
            reference,
            content: ArcSwap::from_pointee(Content::Gone(error)),
            changes: watch::channel(()).0,
            owners: AtomicUsize::new(1),
        }
    }

    /// The whole secret has this value now.
    pub(super) fn fresh(&self, whole: &Secret) {
        let secret = match self.reference.field() {
            Some(field) => whole.field(field),
            None => Ok(whole.clone()),
        };
        match secret {
            Ok(secret) => {
                let same = matches!(&**self.content.load(), Content::Fresh(old) if old.same_value(&secret));
                self.set(Content::Fresh(secret), !same);
            }
            Err(error) => self.gone(error),
        }
    }

    /// The value is past its time to live and could not be fetched anew.
    pub(super) fn stale(&self, since: SystemTime) {
        let content = match &**self.content.load() {
            Content::Fresh(secret) => {
                let metadata = secret.metadata().clone().stale(since);
                Content::Stale {
                    secret: secret.clone().with_metadata(metadata),
                    since,
                }
            }
            Content::Gone(_) | Content::Stale { .. } => return,
        };
        self.set(content, true);
    }

    /// There is no value any more.
    pub(super) fn gone(&self, error: Error) {
        let same = matches!(&**self.content.load(), Content::Gone(old) if old.kind() == error.kind());
        self.set(Content::Gone(error), !same);
    }

    fn set(&self, content: Content, changed: bool) {
        self.content.store(Arc::new(content));
        if changed {
            self.changes.send_replace(());
        }
    }
}

impl Core {
    /// Makes a handle: known to the slot before the first read, so that no change after that read is lost.
    pub(super) async fn make_handle(self: &Arc<Self>, reference: &str) -> Result<SecretHandle> {
        let parsed = SecretRef::parse(reference)?;
        let key = key_of(&parsed);
        let runtime = Runtime::try_current().map_err(|_| self.no_runtime().with_secret(&key.name))?;
        let unread = Error::new(ErrorKind::Unavailable, "the secret has not been read yet")
            .with_backend(&self.backend_name)
            .with_secret(&key.name);
        let cell = Arc::new(Cell::new(parsed, unread));
        {
            let mut state = self.lock();
            if state.closed {
                return Err(self.closed_error().with_secret(&key.name));
            }
            state.slots.update(&key, |slot| slot.handles.push(cell.clone()));
            state.handled.insert(key.clone());
        }
        // From here on the cell is taken out again however this ends: an error, or a dropped future.
        let mut handle = SecretHandle {
            changes: cell.changes.subscribe(),
            cell,
            core: Owner::new(self.clone()),
        };
        let whole = self.read_whole(&key).await?;
        if let Some(field) = handle.cell.reference.field() {
            whole.field(field)?;
        }
        self.settle_cell(&key, &handle.cell, &whole);
        self.ensure_keeper(&runtime);
        handle.changes.mark_unchanged();
        Ok(handle)
    }

    /// A value that was already cached, or was not cached at all, did not reach the cell by itself.
    fn settle_cell(&self, key: &Key, cell: &Cell, read: &Secret) {
        let state = self.lock();
        let held = state.slots.get(key).and_then(|slot| slot.held.as_ref());
        let newest = held.filter(|held| held.good_for(self.time.now(), || self.time.boot()) == Use::Fresh);
        cell.fresh(newest.map_or(read, |held| &held.secret));
        if let (None, Some(since)) = (newest, read.metadata().stale_since()) {
            cell.stale(since);
        }
    }

    fn drop_cell(&self, cell: &Arc<Cell>) {
        let key = key_of(&cell.reference);
        let mut state = self.lock();
        if state.slots.get(&key).is_some() {
            let last = state.slots.update(&key, |slot| {
                slot.handles.retain(|other| !Arc::ptr_eq(other, cell));
                slot.handles.is_empty()
            });
            if last {
                state.handled.remove(&key);
            }
        }
        drop(state);
        self.names_changed.notify_one();
    }
}

fn key_of(reference: &SecretRef) -> Key {
    Key {
        name: reference.name().clone(),
        version: reference.version().cloned(),
    }
}
