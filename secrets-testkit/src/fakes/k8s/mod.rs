//! An API server of Kubernetes: its documented HTTP API for Secrets over TLS, on loopback.
//!
//! Get, list in pages and watch, whole or metadata only; field and label selectors; bookmarks, and 410 for what is too long
//! ago; bearer tokens with rules as RBAC has them; reviews of one's own rules; failures on demand. Where it differs:
//!
//! - Secrets are written through methods of this type, past the network;
//! - label selectors are equalities only, field selectors only `metadata.name`;
//! - a watch ends when it is told to, not at `timeoutSeconds`, and bookmarks come when asked for.
//!
//! ```
//! use secrets_testkit::fakes::k8s::FakeK8s;
//!
//! let cluster = FakeK8s::start()?;
//! cluster.put("app", "smtp-database", &[("password", b"hunter2")]);
//! let (address, ca, token) = (cluster.address(), cluster.ca_pem(), cluster.admin_token());
//! # let _ = (address, ca, token);
//! # Ok::<_, std::io::Error>(())
//! ```

mod answer;
mod failure;
mod rules;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::failure::{Call, Failure};
pub use self::rules::Rule;
use self::store::Store;
use crate::wire::{Body, HttpServer, Issued, Request, Response, TestCa, WireProxy};

/// An API server that answers on loopback until it is dropped. See [the module](self).
pub struct FakeK8s {
    server: Mutex<Option<HttpServer>>,
    address: SocketAddr,
    shared: Arc<Shared>,
    ca: TestCa,
    issued: Issued,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changes: tokio::sync::watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    store: Store,
    users: BTreeMap<String, Vec<Rule>>,
    failures: Vec<Failure>,
    calls: Vec<Call>,
}

impl FakeK8s {
    /// An API server without Secrets, and with one token that may do everything.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::start_with(TestCa::new(), "admin-token")
    }

    /// The same, with this authority, and this token for the administrator.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start_with(ca: TestCa, admin_token: &str) -> io::Result<Self> {
        let issued = ca.issue(["localhost", "127.0.0.1"]);
        let shared = Arc::new(Shared::default());
        shared
            .lock()
            .users
            .insert(admin_token.to_owned(), vec![Rule::everything()]);
        let server = listen(&shared, &issued, None)?;
        Ok(Self {
            address: server.address(),
            server: Mutex::new(Some(server)),
            shared,
            ca,
            issued,
        })
    }

    /// Its address, without a slash at the end.
    pub fn address(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Where it listens, for a [`WireProxy`] in front of it.
    pub fn socket(&self) -> SocketAddr {
        self.address
    }

    /// A wire to it, to be broken; it shows a certificate of the same authority.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn proxy(&self) -> io::Result<WireProxy> {
        WireProxy::builder(self.address)
            .tls(self.issued.server_config())
            .upstream_tls(self.ca.client_config(), "localhost")
            .start()
    }

    /// The authority of its certificates, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// The authority of its certificates.
    pub fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// The first token, which may do everything.
    pub fn admin_token(&self) -> String {
        let state = self.shared.lock();
        let all = state.users.iter();
        let admin = all.filter(|(_, rules)| rules.iter().any(Rule::is_everything));
        admin.map(|(token, _)| token.clone()).next().unwrap_or_default()
    }

    /// Lets whoever has this token do what the rules say, and nothing else.
    pub fn user(&self, token: &str, rules: impl IntoIterator<Item = Rule>) {
        let rules = rules.into_iter().collect();
        self.shared.lock().users.insert(token.to_owned(), rules);
    }

    /// From now on nobody knows this token.
    pub fn forget_user(&self, token: &str) {
        self.shared.lock().users.remove(token);
    }

    /// Writes a Secret of exactly these keys; its labels stay. Returns its version.
    pub fn put(&self, namespace: &str, secret: &str, data: &[(&str, &[u8])]) -> String {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_vec()));
        let data = data.collect::<BTreeMap<_, _>>();
        self.change(namespace, secret, |found| found.data = data)
    }

    /// Writes one key of a Secret. Returns the Secret's version.
    pub fn put_key(&self, namespace: &str, secret: &str, key: &str, value: &[u8]) -> String {
        self.change(namespace, secret, |found| {
            found.data.insert(key.to_owned(), value.to_vec());
        })
    }

    /// Removes one key of a Secret, which stays, if only with its labels.
    pub fn remove_key(&self, namespace: &str, secret: &str, key: &str) {
        self.change(namespace, secret, |found| {
            found.data.remove(key);
        });
    }

    /// Replaces the labels of a Secret.
    pub fn label(&self, namespace: &str, secret: &str, labels: &[(&str, &str)]) {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labels = labels.collect();
        self.change(namespace, secret, |found| found.labels = labels);
    }

    /// Writes a Secret anew as it is: a new version with the old values.
    pub fn touch(&self, namespace: &str, secret: &str) {
        self.change(namespace, secret, |_| {});
    }

    /// Deletes a Secret. Returns whether there was one.
    pub fn delete(&self, namespace: &str, secret: &str) -> bool {
        let deleted = self.shared.lock().store.delete(namespace, secret);
        self.shared.tell();
        deleted
    }

    /// Forgets what has happened so far: whoever asks for what came after an older version is answered 410.
    pub fn compact(&self) {
        self.shared.lock().store.compact();
    }

    /// Sends a bookmark on every watch.
    pub fn bookmark(&self) {
        self.shared.lock().store.bookmark();
    }

    /// Ends every watch properly, as at its `timeoutSeconds`.
    pub fn end_watches(&self) {
        self.shared.lock().store.end_watches();
        self.shared.tell();
    }

    /// Breaks the connection of every watch in the middle of its answer.
    pub fn break_watches(&self) {
        self.shared.lock().store.break_watches();
        self.shared.tell();
    }

    /// From now on the watches that are open bring nothing any more, and do not end: as behind a firewall that has
    /// forgotten them.
    pub fn silence_watches(&self) {
        self.shared.lock().store.silence_watches();
    }

    /// Ends every watch with this status, in its stream.
    pub fn fail_watches(&self, status: u16) {
        self.shared.lock().store.fail_watches(status);
        self.shared.tell();
    }

    /// How many watches were begun so far.
    pub fn watches(&self) -> usize {
        self.shared.lock().store.begun()
    }

    /// Resolves as soon as so many watches were begun.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_watches(&self, count: usize) {
        let mut changes = self.shared.changes.subscribe();
        while self.watches() < count {
            // The sender lives as long as `self`, so this cannot fail.
            let _ = changes.changed().await;
        }
    }

    /// Resolves as soon as so many calls were answered whose line contains `what`, such as `GET /api/v1/namespaces/app`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_calls(&self, what: &str, count: usize) {
        let mut changes = self.shared.changes.subscribe();
        while self.count(what) < count {
            let _ = changes.changed().await;
        }
    }

    /// Lets requests fail from now on.
    pub fn fail(&self, failure: Failure) {
        self.shared.lock().failures.push(failure);
    }

    /// Ends all failures.
    pub fn heal(&self) {
        self.shared.lock().failures.clear();
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// How many calls there were whose line contains `what`.
    pub fn count(&self, what: &str) -> usize {
        let state = self.shared.lock();
        state.calls.iter().filter(|call| call.line.contains(what)).count()
    }

    /// Stops listening; every connection ends.
    pub fn stop(&self) {
        drop(self.server().take());
        self.shared.lock().store.break_watches();
    }

    /// Listens again where it did.
    ///
    /// # Errors
    ///
    /// When somebody else has taken the port.
    pub fn start_again(&self) -> io::Result<()> {
        let mut server = self.server();
        if server.is_none() {
            *server = Some(listen(&self.shared, &self.issued, Some(self.address))?);
        }
        Ok(())
    }

    /// Listens again with a certificate of another authority.
    ///
    /// # Errors
    ///
    /// When somebody else has taken the port.
    pub fn start_again_as(&self, ca: &TestCa) -> io::Result<()> {
        let mut server = self.server();
        drop(server.take());
        *server = Some(listen(
            &self.shared,
            &ca.issue(["localhost", "127.0.0.1"]),
            Some(self.address),
        )?);
        Ok(())
    }

    fn change(&self, namespace: &str, secret: &str, change: impl FnOnce(&mut store::Secret)) -> String {
        let version = self.shared.lock().store.change(namespace, secret, change);
        self.shared.tell();
        version
    }

    fn server(&self) -> MutexGuard<'_, Option<HttpServer>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeK8s {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeK8s")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let line = format!("{} {}", request.method(), request.uri());
        let answered = {
            let mut state = self.lock();
            let mut failures = state.failures.iter_mut();
            let failure = failures.find_map(|failure| failure.hits(&line).then(|| failure.clone()));
            let answered = match failure {
                Some(failure) => failure.response(),
                None => Some(state.answer(&request)),
            };
            let status = answered.as_ref().map_or(0, |answer| answer.status().as_u16());
            state.calls.push(Call {
                line,
                partial: answer::wants_metadata(&request),
                status,
            });
            answered
        };
        self.tell();
        match answered {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        let token = request.headers().get("authorization");
        let token = token.and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
        let Some(rules) = token.and_then(|token| self.users.get(token)) else {
            return answer::status(401, "Unauthorized", "");
        };
        let asked = match answer::Asked::of(request) {
            Ok(asked) => asked,
            Err(answer) => return *answer,
        };
        let answer::Asked {
            verb,
            namespace,
            secret,
            ..
        } = &asked;
        if *verb == "review" {
            return answer::review(rules, request);
        }
        // A list or watch of one name is one of that name to RBAC.
        if !rules
            .iter()
            .any(|rule| rule.allows(verb, namespace, secret.as_deref()))
        {
            return answer::status(403, "Forbidden", secret.as_deref().unwrap_or(""));
        }
        match *verb {
            "get" => answer::get(&self.store, &asked),
            "list" => answer::list(&self.store, &asked),
            _ => {
                let (sender, body) = Body::stream();
                self.store.watch(&asked, sender);
                let mut response = Response::new(body);
                let json = http::HeaderValue::from_static("application/json");
                response.headers_mut().insert("content-type", json);
                response
            }
        }
    }
}

fn listen(shared: &Arc<Shared>, issued: &Issued, at: Option<SocketAddr>) -> io::Result<HttpServer> {
    let mut builder = HttpServer::builder().tls(issued.server_config());
    if let Some(address) = at {
        builder = builder.bind(address);
    }
    let shared = shared.clone();
    builder.start(move |request| shared.clone().answer(request))
}
