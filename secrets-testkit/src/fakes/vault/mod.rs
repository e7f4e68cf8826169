//! A Vault: its documented HTTP API over TLS, on loopback.
//!
//! KV v1 and v2, leased credentials, tokens with their lifetimes on a clock of your own, logins by `AppRole`, Kubernetes,
//! JWT and certificate, response wrapping, policies, namespaces, several nodes that are sealed or standby, and failures on
//! demand. Set it up as you would set up a real one, through [`FakeVault::admin`]: the same calls work on both. Where it
//! differs:
//!
//! - policies are JSON (which Vault takes, too), HCL is not parsed;
//! - a JWT is not verified: a role lists the texts it accepts in `fake_jwts`;
//! - the engine behind any mount that is not `kv` makes a user name and a password at `creds/{role}`;
//! - mounts and roles are shared by all namespaces.
//!
//! ```
//! use secrets_testkit::fakes::vault::FakeVault;
//!
//! let vault = FakeVault::start()?;
//! vault.put("secret", "smtp/database", r#"{"password":"hunter2"}"#);
//! let (address, ca, token) = (vault.address(), vault.ca_pem(), vault.root_token());
//! # let _ = (address, ca, token);
//! # Ok::<_, std::io::Error>(())
//! ```

#![allow(
    clippy::result_large_err,
    reason = "an answer is made once for each request, and a request crosses a socket"
)]

mod auth;
mod core;
mod dynamic;
mod failure;
mod instant;
mod kv;
mod policy;
mod reply;
mod token;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_core::{Clock, SystemClock};

use self::core::{Asked, Core};
pub use self::failure::{Call, Failure, NodeState};
use crate::wire::{Connection, HttpServer, Issued, Request, Response, TestCa, WireProxy};

/// A Vault that answers on loopback until it is dropped. See [the module](self).
pub struct FakeVault {
    nodes: Vec<Mutex<Option<HttpServer>>>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    ca: TestCa,
    clients: TestCa,
    issued: Issued,
    root: String,
}

struct Shared {
    core: Mutex<Core>,
    clock: Arc<dyn Clock>,
}

/// How a [`FakeVault`] is set up.
#[must_use]
pub struct FakeVaultBuilder {
    clock: Arc<dyn Clock>,
    nodes: usize,
    port: u16,
    prefix: String,
}

impl FakeVault {
    /// A Vault with one node and the machine's clock; a KV v2 engine is mounted at `secret`.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A Vault with options.
    pub fn builder() -> FakeVaultBuilder {
        FakeVaultBuilder {
            clock: Arc::new(SystemClock::new()),
            nodes: 1,
            port: 0,
            prefix: "fake".to_owned(),
        }
    }

    /// The address of the first node.
    pub fn address(&self) -> String {
        self.address_of(0)
    }

    /// The address of one of the nodes.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn address_of(&self, node: usize) -> String {
        format!("https://localhost:{}", self.addresses[node].port())
    }

    /// Where one of the nodes listens, for a [`WireProxy`] in front of it.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn socket_of(&self, node: usize) -> SocketAddr {
        self.addresses[node]
    }

    /// A wire to one of the nodes, to be broken; it shows a certificate of the same authority.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    ///
    /// # Panics
    ///
    /// When there are not so many nodes.
    pub fn proxy(&self, node: usize) -> io::Result<WireProxy> {
        WireProxy::builder(self.addresses[node])
            .tls(self.issued.server_config())
            .upstream_tls(self.ca.client_config(), "localhost")
            .start()
    }

    /// The authority of its certificates.
    pub fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// The authority of its certificates, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// A client certificate that the method at `auth/cert` accepts for any of its roles.
    pub fn client_certificate(&self) -> Issued {
        self.clients.issue_client("fake client")
    }

    /// The token that may do everything and never ends.
    pub fn root_token(&self) -> &str {
        &self.root
    }

    /// A request with the root token, past the network and past all failures: status and body.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.admin_with(method, path, body, None)
    }

    /// The same, with the answer wrapped for this long: the wrapping token.
    ///
    /// # Panics
    ///
    /// When the request fails.
    pub fn admin_wrapped(&self, method: &str, path: &str, body: &str, ttl: Duration) -> String {
        let (status, answer) = self.admin_with(method, path, body, Some(ttl));
        assert_eq!(status, 200, "{path}: {answer}");
        let info: serde_json::Value = serde_json::from_str(&answer).expect("the fake writes JSON");
        info["token"]
            .as_str()
            .expect("a wrapped answer has a token")
            .to_owned()
    }

    /// Writes a value of a KV engine, v1 or v2; `json` is an object.
    ///
    /// # Panics
    ///
    /// When there is no such mount, or `json` is not JSON.
    pub fn put(&self, mount: &str, path: &str, json: &str) {
        let versioned = self
            .admin("GET", &format!("sys/internal/ui/mounts/{mount}"), "")
            .1
            .contains(r#""version":"2""#);
        let (path, body) = if versioned {
            (format!("{mount}/data/{path}"), format!(r#"{{"data":{json}}}"#))
        } else {
            (format!("{mount}/{path}"), json.to_owned())
        };
        let (status, answer) = self.admin("POST", &path, &body);
        assert!(status < 300, "{path}: {status} {answer}");
    }

    /// Makes a policy: what may be done at which paths.
    ///
    /// # Panics
    ///
    /// Never, for paths that are text.
    pub fn policy(&self, name: &str, rules: &[(&str, &[&str])]) {
        let rule = |(path, capabilities): &(&str, &[&str])| {
            let rule = serde_json::json!({ "capabilities": capabilities });
            ((*path).to_owned(), rule)
        };
        let paths: serde_json::Map<_, _> = rules.iter().map(rule).collect();
        let policy = serde_json::json!({ "path": paths }).to_string();
        let body = serde_json::json!({ "policy": policy }).to_string();
        let (status, answer) = self.admin("PUT", &format!("sys/policies/acl/{name}"), &body);
        assert!(status < 300, "{status} {answer}");
    }

    /// Adds a namespace.
    pub fn namespace(&self, name: &str) {
        self.shared
            .core()
            .namespaces
            .insert(name.trim_matches('/').to_owned());
    }

    /// What a node is from now on.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn set_node(&self, node: usize, state: NodeState) {
        self.shared.core().nodes[node] = state;
    }

    /// Stops listening: connections are refused, and the open ones end.
    ///
    /// # Panics
    ///
    /// When there are not so many nodes.
    pub fn stop_node(&self, node: usize) {
        drop(self.server(node).take());
    }

    /// Listens again where it did; nothing if it does.
    ///
    /// # Errors
    ///
    /// When the port has been taken meanwhile.
    ///
    /// # Panics
    ///
    /// When there are not so many nodes.
    pub fn start_node(&self, node: usize) -> io::Result<()> {
        let mut running = self.server(node);
        if running.is_none() {
            let tls = self.issued.server_config_for_clients_of(&self.clients);
            *running = Some(serve(self.shared.clone(), node, self.addresses[node], tls)?);
        }
        Ok(())
    }

    /// Lets something go wrong, until [`heal`](FakeVault::heal).
    pub fn fail(&self, failure: Failure) {
        self.shared.core().failures.push(failure);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.shared.core().failures.clear();
    }

    /// Ends a token, with the leases that hang on it.
    pub fn revoke_token(&self, token: &str) {
        self.shared.core().revoke(token);
    }

    /// Ends every token but the root token.
    pub fn revoke_all(&self) {
        let tokens = self.live_tokens();
        let mut core = self.shared.core();
        for token in &tokens {
            core.revoke(token);
        }
    }

    /// Every token that lives, but the root token.
    pub fn live_tokens(&self) -> Vec<String> {
        let mut core = self.shared.core();
        core.expire(self.shared.clock.boot());
        core.tokens
            .live
            .keys()
            .filter(|id| **id != self.root)
            .cloned()
            .collect()
    }

    /// Every lease that lives.
    pub fn live_leases(&self) -> Vec<String> {
        let mut core = self.shared.core();
        core.expire(self.shared.clock.boot());
        core.leases.keys().cloned().collect()
    }

    /// Ends a lease.
    pub fn revoke_lease(&self, id: &str) {
        self.shared.core().leases.remove(id);
    }

    /// Every request that came over the network so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.core().calls.clone()
    }

    /// How many requests to a path that begins so came over the network.
    pub fn count(&self, path: &str) -> usize {
        self.shared
            .core()
            .calls
            .iter()
            .filter(|call| call.path.starts_with(path))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_calls(&self) {
        self.shared.core().calls.clear();
        for node in 0..self.nodes.len() {
            if let Some(server) = &*self.server(node) {
                server.forget_requests();
            }
        }
    }

    /// The requests that a node has read since it was last started, with their headers.
    ///
    /// # Panics
    ///
    /// When there are not so many nodes.
    pub fn requests(&self, node: usize) -> Vec<Request> {
        self.server(node)
            .as_ref()
            .map(HttpServer::requests)
            .unwrap_or_default()
    }

    fn server(&self, node: usize) -> MutexGuard<'_, Option<HttpServer>> {
        self.nodes[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admin_with(&self, method: &str, path: &str, body: &str, wrap: Option<Duration>) -> (u16, String) {
        let mut core = self.shared.core();
        let failures = std::mem::take(&mut core.failures);
        let nodes = vec![NodeState::Active; core.nodes.len()];
        let nodes = std::mem::replace(&mut core.nodes, nodes);
        let reply = core.handle(&Asked {
            node: 0,
            method,
            path,
            list: false,
            version: None,
            token: Some(&self.root),
            namespace: "",
            wrap,
            body: body.as_bytes(),
            client_certificate: None,
            now: self.shared.clock.boot(),
            wall: self.shared.clock.wall(),
        });
        core.calls.pop();
        core.failures = failures;
        core.nodes = nodes;
        let Some(reply) = reply else {
            return (0, String::new());
        };
        let parts = [
            reply.data.or_else(|| reply.auth.map(|auth| auth.to_string())),
            reply.wrap_info.map(|info| info.to_string()),
            reply.errors.map(|errors| errors.join("; ")),
        ];
        (reply.status, parts.into_iter().flatten().collect())
    }
}

impl FakeVaultBuilder {
    /// Where lifetimes are counted.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many nodes the cluster has. All of them answer, until [`FakeVault::set_node`].
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// The port of the first node; any free one by default.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Stands at the beginning of every token: tests look for it where no token belongs.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start(self) -> io::Result<FakeVault> {
        let (ca, clients) = (TestCa::new(), TestCa::new());
        let issued = ca.issue(["localhost", "127.0.0.1"]);
        let root = format!("hvs.{}-root", self.prefix);
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(&root, &self.prefix, self.nodes)),
            clock: self.clock,
        });
        let mut nodes = Vec::with_capacity(self.nodes);
        for node in 0..self.nodes {
            let port = if node == 0 { self.port } else { 0 };
            let tls = issued.server_config_for_clients_of(&clients);
            nodes.push(serve(shared.clone(), node, ([127, 0, 0, 1], port).into(), tls)?);
        }
        Ok(FakeVault {
            addresses: nodes.iter().map(HttpServer::address).collect(),
            nodes: nodes.into_iter().map(|node| Mutex::new(Some(node))).collect(),
            shared,
            ca,
            clients,
            issued,
            root,
        })
    }
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(
    shared: Arc<Shared>,
    node: usize,
    address: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
) -> io::Result<HttpServer> {
    HttpServer::builder()
        .bind(address)
        .tls(tls)
        .start(move |request| {
            let shared = shared.clone();
            async move {
                match answer(&shared, node, &request) {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        })
}

fn answer(shared: &Shared, node: usize, request: &Request) -> Option<Response> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let path = decode(
        request
            .uri()
            .path()
            .trim_start_matches('/')
            .strip_prefix("v1/")
            .unwrap_or_default(),
    );
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let connection = request.extensions().get::<Connection>();
    let wrap =
        header("x-vault-wrap-ttl").and_then(|ttl| auth::seconds(&serde_json::Value::String(ttl.to_owned())));
    let mut core = shared.core();
    let reply = core.handle(&Asked {
        node,
        method: request.method().as_str(),
        path: path.trim_end_matches('/'),
        list: parameter("list") == Some("true"),
        version: parameter("version"),
        token: header("x-vault-token"),
        namespace: header("x-vault-namespace").unwrap_or_default().trim_matches('/'),
        wrap,
        body: request.body(),
        client_certificate: connection.and_then(|connection| connection.client_certificate.as_deref()),
        now: shared.clock.boot(),
        wall: shared.clock.wall(),
    })?;
    let number = core.calls.len() as u64;
    drop(core);
    Some(reply.into_response(number))
}

/// Undoes percent-encoding.
fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        if let (b'%', Some(byte)) = (first, hex()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Debug for FakeVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeVault")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FakeVaultBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeVaultBuilder")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}
