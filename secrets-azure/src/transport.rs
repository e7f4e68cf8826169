//! The only way out: no redirects, TLS, no proxy to this machine, bounded answers, one attempt.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::headers::Headers;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Body, Context, Method, Request, StatusCode};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use reqwest::Url;
use secrets_core::{Clock, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::challenge;
use crate::config;
use crate::error;
use crate::exchange::{Exchange, Purpose, elsewhere};

/// The host of the identity endpoint of virtual machines, as the SDK has it.
const IMDS: &str = "169.254.169.254";

/// What a page may be, whatever a value may: 25 secrets with all the tags that they can have.
const MAX_PAGE: usize = 1024 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// Sends the SDK's requests, and keeps the answers from it. Clones are the same transport.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

pub(crate) struct Inner {
    /// For everything that is not this machine.
    pub(crate) usual: reqwest::Client,
    /// For this machine: never through a proxy.
    pub(crate) direct: reqwest::Client,
    /// Nothing else than this is ever shown a token.
    pub(crate) vault: Url,
    /// Whether the vault's challenge has to be for its cloud.
    pub(crate) verify: bool,
    /// Reached directly, though its name does not say that it is this machine.
    pub(crate) vault_is_local: bool,
    pub(crate) authority: Url,
    pub(crate) imds: Option<Url>,
    pub(crate) agent: String,
    pub(crate) max_answer: usize,
    pub(crate) limit: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Transport {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn authority(&self) -> &Url {
        &self.0.authority
    }

    /// Whether anything at all answers where virtual machines have their identity endpoint, within this limit.
    ///
    /// Without the header `Metadata` it answers at once, and never with a token.
    pub(crate) async fn imds_answers(&self, limit: Duration) -> bool {
        let Ok(url) = Url::parse(&format!("http://{IMDS}/metadata/identity/oauth2/token")) else {
            return false;
        };
        let url = self.moved(url);
        tokio::select! {
            biased;
            sent = self.client(&url).get(url.clone()).send() => sent.is_ok(),
            () = self.0.clock.sleep(limit) => false,
        }
    }

    async fn exchange(&self, exchange: &Exchange, request: &Request) -> Result<(Answer, Headers)> {
        let url = self.moved(request.url().clone());
        self.allow(exchange.purpose(), &url)?;
        let sent = self.send_to(exchange, request, url);
        tokio::select! {
            biased;
            answer = sent => answer,
            () = self.0.clock.sleep(self.0.limit) => Err(error::timeout(self.0.limit)),
        }
    }

    async fn send_to(&self, exchange: &Exchange, request: &Request, url: Url) -> Result<(Answer, Headers)> {
        let mut sent = self.client(&url).request(method(request.method())?, url);
        for (name, value) in request.headers().iter() {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| unwritable())?;
            let value = match (&name, exchange.token()) {
                // What the SDK holds is a placeholder.
                (&AUTHORIZATION, Some(token)) => token.header.clone(),
                (&AUTHORIZATION, None) => return Err(unwritable()),
                (&USER_AGENT, _) => HeaderValue::from_str(&format!("{} {}", self.0.agent, value.as_str()))
                    .map_err(|_| unwritable())?,
                _ => HeaderValue::from_str(value.as_str()).map_err(|_| unwritable())?,
            };
            sent = sent.header(name, value);
        }
        let response = match request.body() {
            Body::Bytes(bytes) if bytes.is_empty() => sent,
            Body::Bytes(bytes) => sent.body(bytes.clone()),
            Body::SeekableStream(_) => return Err(unwritable()),
        };
        let response = response.send().await.map_err(|error| error::transport(&error))?;
        let limit = match exchange.purpose() {
            Purpose::Page => self.0.max_answer.max(MAX_PAGE),
            Purpose::Login | Purpose::Vault => self.0.max_answer,
        };
        self.receive(response, limit).await
    }

    async fn receive(&self, mut response: reqwest::Response, limit: usize) -> Result<(Answer, Headers)> {
        let status = response.status().as_u16();
        let mut headers = Headers::new();
        // All that the SDK needs to know of an answer.
        let challenge = response.headers().get(WWW_AUTHENTICATE).filter(|_| status == 401);
        if let Some(challenge) = challenge.and_then(|value| value.to_str().ok()) {
            let told = challenge::told(challenge, &self.0.vault, self.0.verify);
            headers.insert("www-authenticate", told);
        }
        let retry_after = error::retry_after_in(response.headers(), self.0.clock.wall());
        let request_id = response.headers().get(REQUEST_ID);
        let request_id = request_id.and_then(|id| id.to_str().ok()).map(Into::into);
        let announced = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(error::too_large(limit));
        }
        let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(4096).min(limit)));
        while let Some(chunk) = response.chunk().await.map_err(|error| error::transport(&error))? {
            let length = body.len() + chunk.len();
            if length > limit {
                return Err(error::too_large(limit));
            }
            if length > body.capacity() {
                // A vector that grows by itself leaves its old buffer behind unwiped.
                let mut larger = Zeroizing::new(Vec::with_capacity(length.max(body.capacity() * 2)));
                larger.extend_from_slice(&body);
                body = larger;
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer {
            status,
            retry_after,
            request_id,
            body,
        };
        Ok((answer, headers))
    }

    /// Where a request may go: with a token to the vault, for a token over TLS or no further than this machine.
    fn allow(&self, purpose: Purpose, url: &Url) -> Result<()> {
        let allowed = match purpose {
            Purpose::Page | Purpose::Vault => url.origin() == self.0.vault.origin(),
            Purpose::Login => {
                url.scheme() == "https" || (url.scheme() == "http" && config::this_machine(url))
            }
        };
        if allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidConfig,
            match purpose {
                Purpose::Page | Purpose::Vault => "an address outside the vault was not followed",
                Purpose::Login => {
                    "the identity endpoint is neither https nor on this machine; check IDENTITY_ENDPOINT and the authority"
                }
            },
        ))
    }

    /// The address to ask instead, where the identity endpoint was moved.
    fn moved(&self, mut url: Url) -> Url {
        if let Some(imds) = self.0.imds.as_ref().filter(|_| url.host_str() == Some(IMDS)) {
            let mut moved = imds.clone();
            moved.set_path(url.path());
            moved.set_query(url.query());
            url = moved;
        }
        url
    }

    fn client(&self, url: &Url) -> &reqwest::Client {
        let local =
            config::this_machine(url) || (self.0.vault_is_local && url.host_str() == self.0.vault.host_str());
        if local { &self.0.direct } else { &self.0.usual }
    }
}

#[allow(
    elided_lifetimes_in_paths,
    reason = "the trait elides it, and so binds it early"
)]
#[async_trait]
impl Policy for Transport {
    async fn send(&self, ctx: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some(exchange) = Exchange::of(ctx) else {
            let message = "a request that belongs to no call";
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                message,
            ));
        };
        let authorized = request
            .headers()
            .get_optional_str(&azure_core::http::headers::AUTHORIZATION)
            .is_some();
        if authorized && exchange.purpose() != Purpose::Login && exchange.token().is_none() {
            let message = "the SDK has not asked for the token of this call";
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                message,
            ));
        }
        let outcome = self.exchange(exchange, request).await;
        let told = match (exchange.purpose(), &outcome) {
            // Whatever comes: credentials would try again on their own account, for up to 72 s.
            (Purpose::Login, _) => Ok((StatusCode::Ok, Headers::new(), &b"{}"[..])),
            (_, Ok((answer, headers))) => Ok((answer.status.into(), headers.clone(), &[][..])),
            (_, Err(error)) => Err(elsewhere(error)),
        };
        exchange.set(outcome.map(|(answer, _)| answer));
        let (status, headers, body) = told?;
        Ok(AsyncRawResponse::from_bytes(
            status,
            headers,
            Bytes::from_static(body),
        ))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("vault", &self.0.vault.as_str())
            .field("authority", &self.0.authority.as_str())
            .finish_non_exhaustive()
    }
}

/// A header that carries a token: marked as such, and wiped when the last request that carries it is done.
///
/// # Errors
///
/// `InvalidData` for bytes that no header can hold.
pub(crate) fn bearer(token: &[u8]) -> Result<HeaderValue> {
    let mut text = Zeroizing::new(Vec::with_capacity(7 + token.len()));
    text.extend_from_slice(b"Bearer ");
    text.extend_from_slice(token);
    let header = HeaderValue::from_maybe_shared(Bytes::from_owner(text));
    let mut header = header.map_err(|_| {
        let message = "the token that was issued contains a character that no HTTP header can hold";
        Error::new(ErrorKind::InvalidData, message)
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn method(method: Method) -> Result<reqwest::Method> {
    match method {
        Method::Get => Ok(reqwest::Method::GET),
        Method::Post => Ok(reqwest::Method::POST),
        _ => Err(Error::new(
            ErrorKind::Internal,
            "nothing here is written or deleted",
        )),
    }
}

fn unwritable() -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "a request cannot be written: a header of it, such as IDENTITY_HEADER, contains what none can hold",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_header_with_a_token_does_not_print_it() {
        let header = bearer(b"CANARY").unwrap();
        assert!(!format!("{header:?}").contains("CANARY"));
        let error = bearer(b"CANARY\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
