//! Calls of the backend that read no secret: they are not cached, but have the same bounds.

use std::future::Future;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;

use super::core::Core;
use super::stats::add;
use crate::{Error, ErrorKind, Result};

impl Core {
    /// Repeats `call` as the retry policy says, each within its time and the places there are.
    pub(super) async fn ask<T, F: Future<Output = Result<T>>>(&self, call: impl Fn() -> F) -> Result<T> {
        if self.lock().closed {
            return Err(self.closed_error());
        }
        if Handle::try_current().is_err() {
            return Err(self.no_runtime());
        }
        let deadline = self.time.now().after(self.config.deadline);
        let mut calls = 0;
        loop {
            let left = deadline.since(self.time.now());
            let Some(place) = self.time.within(left, self.places.acquire()).await else {
                return Err(self.late(
                    "no place among the concurrent calls became free; the store is too slow for this load",
                ));
            };
            let limit = self.config.timeout.min(deadline.since(self.time.now()));
            self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
            let in_flight = super::fetch::InFlight(self);
            let answer = self.time.within(limit, call()).await;
            drop((in_flight, place));
            calls += 1;
            let error = match answer {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(error)) => error.with_backend(&self.backend_name),
                None => {
                    add(&self.counters.timeouts, 1);
                    self.late(
                        "the store did not answer in time; check it and the network, or raise `timeout`",
                    )
                }
            };
            let wait = self.retry_wait(calls, error.retry_after());
            if !error.kind().is_retryable()
                || calls >= self.config.attempts
                || self.time.now().after(wait) >= deadline
            {
                return Err(error);
            }
            self.time.sleep(wait).await;
        }
    }

    /// The backend's own end, in bounded time.
    pub(super) async fn give_back(&self) -> Result<()> {
        match self
            .time
            .within(self.config.deadline, self.backend.shutdown())
            .await
        {
            Some(result) => result.map_err(|error| error.with_backend(&self.backend_name)),
            None => {
                Err(self
                    .late("the backend did not shut down in time; what it obtained ends by its own lifetime"))
            }
        }
    }

    fn late(&self, message: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, message).with_backend(&self.backend_name)
    }
}
