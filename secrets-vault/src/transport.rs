//! The way to Vault: one HTTP client per kind of node, no redirects, no proxy to this machine, bounded answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use rustify::endpoint::Endpoint;
use secrets_core::{Clock, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::error;

const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");

/// Speaks HTTP to one of the nodes, and to the next one when that cannot be reached or cannot serve.
pub(crate) struct Transport {
    nodes: Box<[Node]>,
    current: AtomicUsize,
    namespace: Option<HeaderValue>,
    max_answer: usize,
    clock: Arc<dyn Clock>,
}

/// One address.
pub(crate) struct Node {
    /// Up to and including `v1`.
    pub(crate) base: Url,
    pub(crate) client: reqwest::Client,
}

impl Transport {
    pub(crate) fn new(
        nodes: Vec<Node>,
        namespace: Option<HeaderValue>,
        max_answer: usize,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            nodes: nodes.into(),
            current: AtomicUsize::new(0),
            namespace,
            max_answer,
            clock,
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// Every node is tried at most once. The next one is tried only where this one has certainly not acted: it could
    /// not be reached, or says that it is sealed or a standby.
    ///
    /// # Errors
    ///
    /// `Timeout` after `limit`; `Unavailable` when no node can be reached or the connection breaks; `InvalidData` when
    /// the answer is larger than allowed.
    pub(crate) async fn send<E: Endpoint>(
        &self,
        endpoint: &E,
        token: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Answer> {
        tokio::select! {
            biased;
            answer = self.send_to_nodes(endpoint, token) => answer,
            () = self.clock.sleep(limit) => Err(error::timeout(limit)),
        }
    }

    async fn send_to_nodes<E: Endpoint>(&self, endpoint: &E, token: Option<&HeaderValue>) -> Result<Answer> {
        let request = Request::new(endpoint)?;
        let first = self.current.load(Ordering::Relaxed);
        let mut outcome = None;
        for step in 0..self.nodes.len() {
            let index = (first + step) % self.nodes.len();
            let node = &self.nodes[index];
            let (sent, next) = match self.send_to(node, &request, token).await {
                Ok(answer) => {
                    let elsewhere = cannot_serve(answer.status);
                    (Ok(answer), elsewhere)
                }
                Err(Broken { error, unreached }) => (Err(error), unreached),
            };
            if !next {
                self.current.store(index, Ordering::Relaxed);
                return sent;
            }
            // What a node says of itself tells more than that another cannot be reached.
            if outcome.is_none() || sent.is_ok() {
                outcome = Some(sent);
            }
        }
        outcome.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "there is no node to ask")))
    }

    async fn send_to(
        &self,
        node: &Node,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, Broken> {
        let mut sent = node
            .client
            .request(request.method.clone(), request.url(&node.base))
            .header(REQUEST, HeaderValue::from_static("true"));
        if let Some(namespace) = &self.namespace {
            sent = sent.header(NAMESPACE, namespace.clone());
        }
        if let Some(token) = token {
            sent = sent.header(TOKEN, token.clone());
        }
        if let Some(body) = &request.body {
            let json = HeaderValue::from_static("application/json");
            sent = sent.header(http::header::CONTENT_TYPE, json).body(body.clone());
        }
        let response = sent.send().await.map_err(|error| Broken {
            unreached: error.is_connect(),
            error: error::transport(&error),
        })?;
        self.receive(response).await.map_err(|error| Broken {
            unreached: false,
            error,
        })
    }

    async fn receive(&self, mut response: reqwest::Response) -> Result<Answer> {
        let status = response.status().as_u16();
        let header = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|header| header.to_str().ok());
        let retry_after = header.and_then(|text| error::retry_after(text, self.clock.wall()));
        let announced = response
            .content_length()
            .and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > self.max_answer) {
            return Err(self.too_large());
        }
        let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(4096).min(self.max_answer)));
        while let Some(chunk) = response.chunk().await.map_err(|error| error::transport(&error))? {
            let length = body.len() + chunk.len();
            if length > self.max_answer {
                return Err(self.too_large());
            }
            if length > body.capacity() {
                // A vector that grows by itself leaves its old buffer behind unwiped.
                let mut larger = Zeroizing::new(Vec::with_capacity(length.max(body.capacity() * 2)));
                larger.extend_from_slice(&body);
                body = larger;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            retry_after,
            body,
        })
    }

    fn too_large(&self) -> Error {
        let message = format!("the answer is larger than the {} bytes allowed", self.max_answer);
        Error::new(ErrorKind::InvalidData, message)
    }
}

/// A request that got no answer; `unreached` when it certainly never arrived.
struct Broken {
    error: Error,
    unreached: bool,
}

/// Standbys that redirect or refuse, sealed and uninitialised nodes: another one may serve.
fn cannot_serve(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308 | 472 | 473 | 501 | 503)
}

/// What an endpoint asks for, independent of the node.
struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    /// Wiped when the last request that carries it is done.
    body: Option<Bytes>,
}

impl Request {
    fn new<E: Endpoint>(endpoint: &E) -> Result<Self> {
        let defect = |_| Error::new(ErrorKind::Internal, "a request to Vault could not be written");
        let body = endpoint.body().map_err(defect)?.filter(|body| !body.is_empty());
        Ok(Self {
            method: endpoint.method().into(),
            path: endpoint.path(),
            query: endpoint
                .query()
                .map_err(defect)?
                .filter(|query| !query.is_empty()),
            body: body.map(|body| Bytes::from_owner(Zeroizing::new(body))),
        })
    }

    /// The whole address. Each segment is percent-encoded by itself: no name can leave its place.
    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Some of vaultrs' paths begin with a tab or a slash.
            segments
                .pop_if_empty()
                .extend(self.path.trim_start_matches(['\t', '/']).split('/'));
        }
        url.set_query(self.query.as_deref());
        url
    }
}

/// A header that carries a credential: marked as such, and wiped when the last request that carries it is done.
///
/// # Errors
///
/// `InvalidConfig` for bytes that no header can hold.
pub(crate) fn secret_header(bytes: &[u8]) -> Result<HeaderValue> {
    let owned = Bytes::from_owner(Zeroizing::new(bytes.to_vec()));
    let header = HeaderValue::from_maybe_shared(owned);
    let mut header = header.map_err(|_| {
        error::config(
            "the token contains a character that no HTTP header can hold; check its source for line breaks",
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field(
                "nodes",
                &self
                    .nodes
                    .iter()
                    .map(|node| node.base.as_str())
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use vaultrs::api::kv2::requests::ReadSecretRequest;
    use vaultrs::api::token::requests::RenewTokenSelfRequest;

    use super::*;

    fn url<E: Endpoint>(base: &str, endpoint: &E) -> String {
        Request::new(endpoint)
            .unwrap()
            .url(&Url::parse(base).unwrap())
            .to_string()
    }

    fn read(path: &str) -> ReadSecretRequest {
        ReadSecretRequest {
            mount: "team/secret".into(),
            path: path.into(),
            version: None,
        }
    }

    #[test]
    fn n2_segments_are_encoded_each_by_itself() {
        let v1 = "https://vault:8200/v1";
        for (path, encoded) in [
            ("a/b", "a/b"),
            ("a b", "a%20b"),
            ("a?b#c", "a%3Fb%23c"),
            ("a%2fb", "a%252fb"),
            ("é", "%C3%A9"),
            ("a&b=c+d@e:f*", "a&b=c+d@e:f*"),
        ] {
            assert_eq!(
                url(v1, &read(path)),
                format!("https://vault:8200/v1/team/secret/data/{encoded}")
            );
        }
    }

    #[test]
    fn a_base_path_and_vaultrs_odd_paths_survive() {
        let endpoint = RenewTokenSelfRequest { increment: None };
        assert_eq!(
            url("https://host/vault/v1", &endpoint),
            "https://host/vault/v1/auth/token/renew-self"
        );
        let pinned = ReadSecretRequest {
            version: Some(3),
            ..read("a")
        };
        assert_eq!(
            url("https://h/v1", &pinned),
            "https://h/v1/team/secret/data/a?version=3"
        );
    }

    #[test]
    fn s1_a_header_with_a_token_does_not_print_it() {
        let header = secret_header(b"hvs.CANARY").unwrap();
        assert!(!format!("{header:?}").contains("CANARY"));
        let error = secret_header(b"hvs.CANARY\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
