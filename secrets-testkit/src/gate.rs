use std::sync::Arc;

use tokio::sync::{Semaphore, TryAcquireError, watch};

/// A closed gate: whoever comes to it waits until a test opens it. Clones are the same gate.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use secrets_testkit::Gate;
///
/// let gate = Gate::new();
/// let passing = tokio::spawn({
///     let gate = gate.clone();
///     async move { gate.pass().await }
/// });
/// gate.wait_for_waiting(1).await;
/// assert!(!passing.is_finished());
/// gate.open();
/// passing.await.unwrap();
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    places: Semaphore,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(0),
            waiting: watch::Sender::new(0),
        }))
    }

    /// Waits to be let through.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the place to the next one.
    pub async fn pass(&self) {
        match self.0.places.try_acquire() {
            Ok(place) => return place.forget(),
            Err(TryAcquireError::Closed) => return,
            Err(TryAcquireError::NoPermits) => {}
        }
        self.0.waiting.send_modify(|waiting| *waiting += 1);
        let _leaving = Leaving(&self.0.waiting);
        // An error says that the gate is open for good.
        if let Ok(place) = self.0.places.acquire().await {
            place.forget();
        }
    }

    /// Opens the gate for good.
    pub fn open(&self) {
        self.0.places.close();
    }

    /// Lets `count` through, in the order in which they came, and whoever comes next if fewer are waiting.
    pub fn let_through(&self, count: usize) {
        self.0.places.add_permits(count);
    }

    /// How many are waiting now.
    pub fn waiting(&self) -> usize {
        *self.0.waiting.borrow()
    }

    /// Resolves as soon as at least `count` are waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_waiting(&self, count: usize) {
        let mut waiting = self.0.waiting.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = waiting.wait_for(|waiting| *waiting >= count).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

struct Leaving<'a>(&'a watch::Sender<usize>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_lets_one_through() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let gate = Gate::new();
            let mut passing = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let gate = gate.clone();
                passing.spawn(async move { gate.pass().await });
            }
            gate.wait_for_waiting(3).await;
            gate.let_through(1);
            passing.join_next().await.unwrap().unwrap();
            assert_eq!(gate.waiting(), 2);
            passing.abort_all();
            while passing.join_next().await.is_some() {}
            assert_eq!(gate.waiting(), 0);
            gate.open();
            gate.pass().await;
        });
    }
}
