//! The way to the API server: no redirects, no proxy to this machine, bounded answers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::Url;
use secrets_core::{Clock, Result};
use zeroize::{Zeroize, Zeroizing};

use super::answer::Answer;
use super::config::Connection;
use super::error;

/// Speaks HTTP to the API server.
pub(super) struct Transport {
    /// Without a slash at the end.
    base: Url,
    connection: Connection,
    client: Mutex<reqwest::Client>,
    headers: HeaderMap,
    clock: Arc<dyn Clock>,
}

/// An answer of which only the head has been read.
pub(super) struct Opened {
    response: reqwest::Response,
    retry_after: Option<Duration>,
}

impl Transport {
    /// # Errors
    ///
    /// `InvalidConfig` when TLS cannot be set up.
    pub(super) fn new(
        base: Url,
        connection: Connection,
        headers: HeaderMap,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Ok(Self {
            client: Mutex::new(connection.client()?),
            base,
            connection,
            headers,
            clock,
        })
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// `Timeout` after `limit`; `Unavailable` when the server cannot be reached or the connection breaks; `InvalidData`
    /// when the answer has more than `max` bytes.
    pub(super) async fn send(
        &self,
        request: &http::Request<Vec<u8>>,
        login: Option<&HeaderValue>,
        limit: Duration,
        max: usize,
    ) -> Result<Answer> {
        let exchange = async { self.open(request, login).await?.read(max).await };
        self.within(limit, exchange).await
    }

    /// Sends one request, and waits for the head of the answer.
    pub(super) async fn open_within(
        &self,
        request: &http::Request<Vec<u8>>,
        login: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Opened> {
        self.within(limit, self.open(request, login)).await
    }

    /// # Errors
    ///
    /// `Timeout` when it takes longer than `limit`.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(limit) => Err(error::timeout("the API server", limit)),
        }
    }

    /// Reads the authorities anew, where they are in a file: a cluster replaces its own from time to time.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is nothing to read, or it cannot be used.
    pub(super) fn reload(&self) -> Result<()> {
        let client = self.connection.reloaded()?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    async fn open(&self, request: &http::Request<Vec<u8>>, login: Option<&HeaderValue>) -> Result<Opened> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut sent = client.request(request.method().clone(), self.url(request.uri()));
        for (name, value) in self.headers.iter().chain(request.headers()) {
            sent = sent.header(name, value);
        }
        if let Some(login) = login {
            sent = sent.header(AUTHORIZATION, login.clone());
        }
        if !request.body().is_empty() {
            sent = sent.body(request.body().clone());
        }
        let response = sent.send().await.map_err(|error| error::transport(&error))?;
        let header = response.headers().get(RETRY_AFTER);
        let header = header.and_then(|header| header.to_str().ok());
        Ok(Opened {
            retry_after: header.and_then(|text| error::retry_after(text, self.clock.wall())),
            response,
        })
    }

    /// The whole address. What is asked for is made of names that were checked, and of values that were encoded.
    fn url(&self, asked: &http::Uri) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            asked.path()
        ));
        url.set_query(asked.query().filter(|query| !query.is_empty()));
        url
    }
}

impl Opened {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The whole answer.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the connection breaks; `InvalidData` when the answer has more than `max` bytes.
    pub(super) async fn read(mut self, max: usize) -> Result<Answer> {
        let announced = self.response.content_length();
        let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|length| length > max) {
            return Err(error::too_large(max));
        }
        let mut body = Buffer::new(announced.unwrap_or(4096).min(max));
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > max {
                return Err(error::too_large(max));
            }
            body.extend(&chunk);
        }
        Ok(Answer {
            status: self.status(),
            retry_after: self.retry_after,
            body: body.0,
        })
    }

    /// The next part of the body; `None` at its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| error::transport(&error))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// Bytes that are wiped, also when they move.
pub(super) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let length = self.0.len() + bytes.len();
        if length > self.0.capacity() {
            // A vector that grows by itself leaves its old buffer behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(self.0.capacity() * 2)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Drops the first bytes.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.0.len());
        let rest = self.0.len() - count;
        self.0.copy_within(count.., 0);
        self.0[rest..].zeroize();
        self.0.truncate(rest);
    }
}

/// A header that carries a credential: marked as such, and wiped when the last request that carries it is done.
///
/// `None` for bytes that no header can hold.
pub(super) fn secret_header(parts: &[&[u8]]) -> Option<HeaderValue> {
    let mut whole = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        whole.extend_from_slice(part);
    }
    let header = HeaderValue::from_maybe_shared(Bytes::from_owner(whole));
    let mut header = header.ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_header_with_a_token_does_not_print_it() {
        let header = secret_header(&[b"Bearer ", b"CANARY"]).unwrap();
        assert_eq!(header.as_bytes(), b"Bearer CANARY");
        assert!(!format!("{header:?}").contains("CANARY"));
        assert!(secret_header(&[b"Bearer ", b"CANARY\n"]).is_none());
    }

    #[test]
    fn a_buffer_keeps_what_was_not_consumed() {
        let mut buffer = Buffer::new(1);
        buffer.extend(b"one\ntwo");
        buffer.extend(b"\nthree");
        buffer.consume(4);
        assert_eq!(buffer.as_slice(), b"two\nthree");
        buffer.consume(100);
        assert_eq!(buffer.len(), 0);
    }
}
