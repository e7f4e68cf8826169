//! An Azure Key Vault, and what issues its tokens: their documented HTTP APIs, over TLS on loopback, under their real names.
//!
//! Secrets with versions, attributes, paging and soft delete, behind the real challenge; Microsoft Entra ID with client
//! secrets and federated tokens; the identity endpoints of virtual machines and of App Service; failures on demand. A client
//! has to resolve the names ([`HOSTS`], and any `….vault.azure.net`, `….vault.azure.cn`, `….vault.usgovcloudapi.net`) to
//! [`FakeAzure::socket`]. Where it differs:
//!
//! - all vaults are one, and all tenants are;
//! - whoever has a token may do everything: [`Failure::forbidden`] says who may not;
//! - a federated token is not verified: an application lists the texts it accepts;
//! - nothing is ever purged by time.
//!
//! ```
//! use secrets_testkit::fakes::azure::FakeAzure;
//!
//! let azure = FakeAzure::start()?;
//! azure.app("my-app", "the client secret");
//! let version = azure.put("smtp--database--password", "hunter2");
//! let (socket, ca) = (azure.socket(), azure.ca_pem());
//! # let _ = (version, socket, ca);
//! # Ok::<_, std::io::Error>(())
//! ```

mod core;
mod failure;
mod issuer;
mod secrets;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_core::{Clock, SystemClock};
use serde_json::Value;

use self::core::{Asked, Core};
pub use self::failure::{Call, Failure};
use crate::wire::{HttpServer, Issued, Request, TestCa, WireProxy};

/// The host of the vault, in the public cloud.
pub const HOST: &str = "myvault.vault.azure.net";

/// The tenant of every application.
pub const TENANT: &str = "7b795fb9-09d3-42f4-a494-38864f99ba3c";

/// What App Service gives its apps to ask its identity endpoint with.
pub const IDENTITY_HEADER: &str = "fake-identity-header";

/// The names a client of the three clouds resolves, beside those of other vaults.
pub const HOSTS: &[&str] = &[
    HOST,
    "myvault.vault.azure.cn",
    "myvault.vault.usgovcloudapi.net",
    "login.microsoftonline.com",
    "login.chinacloudapi.cn",
    "login.microsoftonline.us",
];

/// A Key Vault and its issuers, until it is dropped. See [the module](self).
pub struct FakeAzure {
    server: Mutex<Option<HttpServer>>,
    identity: HttpServer,
    socket: SocketAddr,
    shared: Arc<Shared>,
    ca: TestCa,
    issued: Issued,
}

struct Shared {
    core: Mutex<Core>,
    clock: Arc<dyn Clock>,
}

/// How a [`FakeAzure`] is set up.
#[must_use]
pub struct FakeAzureBuilder {
    clock: Arc<dyn Clock>,
    prefix: String,
    page: usize,
}

impl FakeAzure {
    /// A vault without secrets, on the machine's clock.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// A vault with options.
    pub fn builder() -> FakeAzureBuilder {
        FakeAzureBuilder {
            clock: Arc::new(SystemClock::new()),
            prefix: "fake".to_owned(),
            page: 25,
        }
    }

    /// Where vault and authority listen, under all their names.
    pub fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Where the identity endpoints listen, without TLS: of virtual machines at `/metadata/identity/oauth2/token`, of App
    /// Service at `/msi/token`.
    pub fn identity_url(&self) -> String {
        self.identity.url()
    }

    /// The authority of its certificates, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// A wire to it, to be broken; it shows a certificate of the same authority, for the same names.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn proxy(&self) -> io::Result<WireProxy> {
        WireProxy::builder(self.socket)
            .tls(self.issued.server_config())
            .upstream_tls(self.ca.client_config(), HOST)
            .start()
    }

    /// An application that proves itself by this secret; another one replaces it.
    pub fn app(&self, client: &str, secret: &str) {
        self.shared.core().issuer.app(client, secret);
    }

    /// An application that trusts this federated token.
    pub fn federate(&self, client: &str, token: &str) {
        self.shared.core().issuer.federate(client, token);
    }

    /// Assigns an identity to where this runs: the one of this id, or the one of the system.
    pub fn assign(&self, id: Option<&str>) {
        self.shared.core().issuer.assign(id);
    }

    /// How long tokens live that are issued from now on. By default an hour.
    pub fn token_lifetime(&self, lifetime: Duration) {
        self.shared.core().issuer.lifetime = lifetime;
    }

    /// Ends every token.
    pub fn revoke_all(&self) {
        self.shared.core().issuer.revoke_all();
    }

    /// How many tokens were issued.
    pub fn issued(&self) -> u64 {
        self.shared.core().issuer.issued
    }

    /// The resource that challenges name, instead of that of the vault's cloud.
    pub fn challenge(&self, resource: Option<&str>) {
        self.shared.core().resource = resource.map(Into::into);
    }

    /// Writes a value: the version.
    ///
    /// # Panics
    ///
    /// When the name is deleted and not purged.
    pub fn put(&self, name: &str, value: &str) -> String {
        self.put_with(name, &serde_json::json!({ "value": value }).to_string())
    }

    /// Writes a secret as the body of `PUT /secrets/{name}` says: the version.
    ///
    /// # Panics
    ///
    /// When the body is malformed, or the name deleted and not purged.
    pub fn put_with(&self, name: &str, body: &str) -> String {
        let (status, answer) = self.admin("PUT", &format!("secrets/{name}"), body);
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("the fake writes JSON");
        let id = answer["id"].as_str().expect("a secret has an id");
        id.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Changes the attributes of a version, such as `{"enabled":false}`.
    ///
    /// # Panics
    ///
    /// When there is no such version.
    pub fn set_attributes(&self, name: &str, version: &str, attributes: &str) {
        let body = format!(r#"{{"attributes":{attributes}}}"#);
        let (status, answer) = self.admin("PATCH", &format!("secrets/{name}/{version}"), &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// Deletes a secret; it can be recovered, and its name is taken.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn delete(&self, name: &str) {
        let (status, answer) = self.admin("DELETE", &format!("secrets/{name}"), "");
        assert_eq!(status, 200, "{answer}");
    }

    /// Purges a deleted secret.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn purge(&self, name: &str) {
        let (status, answer) = self.admin("DELETE", &format!("deletedsecrets/{name}"), "");
        assert_eq!(status, 204, "{answer}");
    }

    /// A request to the vault by somebody who may do everything, past the network and past all failures: status and body.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut core = self.shared.core();
        let now = self.shared.clock.wall();
        let reply = core.secrets.handle(method, path, "", HOST, body.as_bytes(), now);
        (reply.status, reply.body)
    }

    /// Lets something go wrong, until [`heal`](FakeAzure::heal).
    pub fn fail(&self, failure: Failure) {
        self.shared.core().failures.push(failure);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.shared.core().failures.clear();
    }

    /// Stops listening under the names: connections are refused, and the open ones end.
    pub fn stop(&self) {
        drop(self.server().take());
    }

    /// Listens again where it did; nothing if it does.
    ///
    /// # Errors
    ///
    /// When the port has been taken meanwhile.
    pub fn start_again(&self) -> io::Result<()> {
        let mut running = self.server();
        if running.is_none() {
            *running = Some(serve(self.shared.clone(), self.socket, &self.issued)?);
        }
        Ok(())
    }

    /// Every request that came over the network so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.core().calls.clone()
    }

    /// How many requests to a path that begins so came over the network.
    pub fn count(&self, path: &str) -> usize {
        let core = self.shared.core();
        core.calls
            .iter()
            .filter(|call| call.path.starts_with(path))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_calls(&self) {
        self.shared.core().calls.clear();
        if let Some(server) = &*self.server() {
            server.forget_requests();
        }
    }

    /// The requests that vault and authority have read since they were last started, with their headers.
    pub fn requests(&self) -> Vec<Request> {
        self.server()
            .as_ref()
            .map(HttpServer::requests)
            .unwrap_or_default()
    }

    fn server(&self) -> MutexGuard<'_, Option<HttpServer>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeAzure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAzure")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl FakeAzureBuilder {
    /// The clock by which tokens and secrets end.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What all tokens begin with.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many secrets one page of a list has. By default 25.
    pub fn page(mut self, secrets: usize) -> Self {
        self.page = secrets.max(1);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start(self) -> io::Result<FakeAzure> {
        let ca = TestCa::new();
        let names = [
            "*.vault.azure.net",
            "*.vault.azure.cn",
            "*.vault.usgovcloudapi.net",
        ];
        let names = names.iter().chain(HOSTS).chain(&["localhost"]);
        let issued = ca.issue(names.map(|name| (*name).to_owned()));
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(&self.prefix, self.page)),
            clock: self.clock,
        });
        let server = serve(shared.clone(), (Ipv4Addr::LOCALHOST, 0).into(), &issued)?;
        let identity = HttpServer::builder().start({
            let shared = shared.clone();
            move |request| answer(shared.clone(), request, true)
        })?;
        Ok(FakeAzure {
            socket: server.address(),
            server: Mutex::new(Some(server)),
            identity,
            shared,
            ca,
            issued,
        })
    }
}

impl fmt::Debug for FakeAzureBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAzureBuilder").finish_non_exhaustive()
    }
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(shared: Arc<Shared>, address: SocketAddr, issued: &Issued) -> io::Result<HttpServer> {
    HttpServer::builder()
        .tls(issued.server_config())
        .bind(address)
        .start(move |request| answer(shared.clone(), request, false))
}

async fn answer(shared: Arc<Shared>, request: Request, identity: bool) -> crate::wire::Response {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = Asked {
        identity,
        host: header("host").unwrap_or_default(),
        method: request.method().as_str(),
        path: request.uri().path().trim_start_matches('/'),
        query: request.uri().query().unwrap_or_default(),
        bearer: header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
        metadata: header("metadata") == Some("true"),
        identity_header: header("x-identity-header"),
        body: request.body(),
        now: shared.clock.boot(),
        wall: shared.clock.wall(),
    };
    let reply = shared.core().handle(&asked);
    match reply {
        Some(reply) => reply.into_response(),
        None => std::future::pending().await,
    }
}
