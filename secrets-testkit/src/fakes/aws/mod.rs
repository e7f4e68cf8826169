//! AWS, as far as secrets go: Secrets Manager, Parameter Store, STS, and the metadata services that give out credentials, over
//! TLS and plain http on loopback.
//!
//! Values with versions and stages, policies, sessions with their lifetimes on a clock of your own, and failures on demand. It
//! speaks the documented wire formats: the official clients accept it. Where it differs:
//!
//! - a signature is not verified; its key, token, service and time are;
//! - a policy is a list of actions and resources that are allowed, each with `*` at its end or not;
//! - a web identity token is not parsed: a role lists the texts it accepts;
//! - there is one account, 123456789012.
//!
//! ```
//! use secrets_testkit::fakes::aws::FakeAws;
//!
//! let aws = FakeAws::start()?;
//! aws.put_secret("smtp/database", b"hunter2");
//! let (access_key_id, secret_access_key) = aws.user("app", &[("secretsmanager:*", "*")]);
//! let (endpoint, ca) = (aws.url(), aws.ca_pem());
//! # let _ = (access_key_id, secret_access_key, endpoint, ca);
//! # Ok::<_, std::io::Error>(())
//! ```

#![allow(
    clippy::result_large_err,
    reason = "an answer is made once for each request, and a request crosses a socket"
)]

mod failure;
mod iam;
mod instant;
mod logins;
mod parameters;
mod reply;
mod secrets;
mod state;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_core::{Clock, SystemClock};

pub use self::failure::{Call, Failure};
use self::iam::{ACCOUNT, Role, Statement};
use self::instant::http_date;
pub use self::secrets::Kms;
use self::state::{Asked, State};
use crate::wire::{HttpServer, Issued, Request, Response, TestCa, WireProxy};

/// An AWS that answers on loopback until it is dropped. See [the module](self).
pub struct FakeAws {
    server: Mutex<Option<HttpServer>>,
    address: SocketAddr,
    plain: HttpServer,
    shared: Arc<Shared>,
    ca: TestCa,
    issued: Issued,
}

struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

/// How a [`FakeAws`] is set up.
#[must_use]
pub struct FakeAwsBuilder {
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    prefix: String,
    region: String,
}

impl FakeAws {
    /// An AWS in `eu-central-1` on the machine's clock.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// An AWS with options.
    pub fn builder() -> FakeAwsBuilder {
        FakeAwsBuilder {
            clock: Arc::new(SystemClock::new()),
            lifetime: Duration::from_secs(3_600),
            prefix: "fake".to_owned(),
            region: "eu-central-1".to_owned(),
        }
    }

    /// The endpoint of every service, over TLS.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The same over plain http, which is how the metadata services are reached.
    pub fn plain_url(&self) -> String {
        self.plain.url()
    }

    /// The region it is in.
    pub fn region(&self) -> String {
        self.state().region.clone()
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// The authority of its certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// A wire to the endpoint over TLS, to be broken; it shows a certificate of the same authority.
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

    /// A user who may do this, and nothing else: access key id and secret access key.
    pub fn user(&self, name: &str, allowed: &[(&str, &str)]) -> (String, String) {
        let mut state = self.state();
        let prefix = state.prefix.clone();
        state.iam.user(name, &prefix, statements(allowed))
    }

    /// A key that AWS no longer accepts.
    pub fn revoke(&self, access_key_id: &str) {
        self.state().iam.keys.remove(access_key_id);
    }

    /// Ends every session now. What gives out credentials makes new ones.
    pub fn end_sessions(&self) {
        let now = self.shared.clock.wall();
        let mut state = self.state();
        state.instance_key = None;
        for key in state.iam.keys.values_mut() {
            key.ends = key.ends.map(|_| now);
        }
    }

    /// A role whose sessions may do this, and nothing else: its ARN.
    pub fn role(&self, name: &str, allowed: &[(&str, &str)]) -> String {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let role = Role {
            allowed: statements(allowed),
            ..Role::default()
        };
        self.state().iam.roles.insert(arn.clone(), role);
        arn
    }

    /// Whoever assumes the role has to give this id.
    pub fn require_external_id(&self, role: &str, id: &str) {
        if let Some(role) = self.state().iam.roles.get_mut(role) {
            role.external_id = Some(id.to_owned());
        }
    }

    /// Whoever shows this token may assume the role.
    pub fn trust_web_identity(&self, role: &str, token: &str) {
        if let Some(role) = self.state().iam.roles.get_mut(role) {
            role.web_identities.push(token.to_owned());
        }
    }

    /// The instance it runs on has this role.
    pub fn set_instance_role(&self, role: &str) {
        self.state().instance_role = Some(role.to_owned());
    }

    /// The container it runs in has this role, for whoever shows this token: `/v2/credentials` at the plain URL.
    pub fn set_container_role(&self, role: &str, token: &str) {
        self.state().container_role = Some((role.to_owned(), token.to_owned()));
    }

    /// Writes the value of a secret: a text where it is UTF-8, bytes otherwise. The id of the version.
    pub fn put_secret(&self, name: &str, value: &[u8]) -> String {
        let now = self.shared.clock.wall();
        let mut state = self.state();
        let region = state.region.clone();
        state.secrets.put(name, &region, Some(value), now)
    }

    /// The same, as bytes in any case.
    pub fn put_secret_binary(&self, name: &str, value: &[u8]) -> String {
        let id = self.put_secret(name, value);
        self.state().secrets.make_binary(name);
        id
    }

    /// Creates a secret without a value.
    pub fn create_secret(&self, name: &str) {
        let now = self.shared.clock.wall();
        let mut state = self.state();
        let region = state.region.clone();
        state.secrets.put(name, &region, None, now);
    }

    /// Puts a stage onto a version.
    pub fn stage_secret(&self, name: &str, version: &str, stage: &str) {
        self.state().secrets.stage(name, version, stage);
    }

    /// Deletes a secret at once. Whether there was one.
    pub fn delete_secret(&self, name: &str) -> bool {
        self.state().secrets.all.remove(name).is_some()
    }

    /// Schedules a secret for deletion.
    pub fn schedule_deletion(&self, name: &str) {
        if let Some(secret) = self.state().secrets.all.get_mut(name) {
            secret.deletion = true;
        }
    }

    /// No secret is scheduled for deletion any more, and every key decrypts.
    pub fn restore_all(&self) {
        let mut state = self.state();
        for secret in state.secrets.all.values_mut() {
            secret.deletion = false;
            secret.kms = Kms::Allowed;
        }
        for parameter in state.parameters.0.values_mut() {
            parameter.kms = Kms::Allowed;
        }
    }

    /// What the key of a secret or parameter does.
    pub fn set_kms(&self, name: &str, kms: Kms) {
        let mut state = self.state();
        if let Some(secret) = state.secrets.all.get_mut(name) {
            secret.kms = kms;
        }
        if let Some(parameter) = state.parameters.0.get_mut(name) {
            parameter.kms = kms;
        }
    }

    /// How many values one answer to `BatchGetSecretValue` holds; the rest is in its continuation.
    pub fn set_batch_page(&self, size: usize) {
        self.state().secrets.batch_page = Some(size.max(1));
    }

    /// Writes a `SecureString`. The number of the version.
    pub fn put_parameter(&self, name: &str, value: &str) -> usize {
        self.put_parameter_of(name, "SecureString", value)
    }

    /// Writes a `String`, a `StringList` or a `SecureString`. The number of the version.
    pub fn put_parameter_of(&self, name: &str, kind: &'static str, value: &str) -> usize {
        let now = self.shared.clock.wall();
        let mut state = self.state();
        let region = state.region.clone();
        state.parameters.put(name, kind, &region, value, now)
    }

    /// Puts a label onto a version.
    pub fn label_parameter(&self, name: &str, version: usize, label: &str) {
        self.state().parameters.label(name, version, label);
    }

    /// Deletes a parameter. Whether there was one.
    pub fn delete_parameter(&self, name: &str) -> bool {
        self.state().parameters.0.remove(name).is_some()
    }

    /// Lets something go wrong, until [`heal`](FakeAws::heal).
    pub fn fail(&self, failure: Failure) {
        self.state().failures.push(failure);
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state().failures.clear();
    }

    /// Every request so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How many requests for operations whose name begins so came.
    pub fn count(&self, operation: &str) -> usize {
        let state = self.state();
        state
            .calls
            .iter()
            .filter(|call| call.operation.starts_with(operation))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_calls(&self) {
        self.state().calls.clear();
        self.plain.forget_requests();
        if let Some(server) = &*self.server() {
            server.forget_requests();
        }
    }

    /// The requests it has read, with their headers: those over TLS since it was last started, then those over plain http.
    pub fn requests(&self) -> Vec<Request> {
        let mut requests = self
            .server()
            .as_ref()
            .map(HttpServer::requests)
            .unwrap_or_default();
        requests.extend(self.plain.requests());
        requests
    }

    /// Stops listening for TLS: connections are refused, and the open ones end.
    pub fn stop(&self) {
        drop(self.server().take());
    }

    /// Listens again where it did; nothing if it does.
    ///
    /// # Errors
    ///
    /// When the port has been taken meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        let mut running = self.server();
        if running.is_none() {
            *running = Some(serve(self.shared.clone(), self.address, Some(&self.issued))?);
        }
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<HttpServer>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl FakeAwsBuilder {
    /// Where lifetimes are counted.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Stands at the beginning of every secret key and token: tests look for it where none belongs.
    pub fn credential_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The region it is in.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// How long sessions live; an hour by default.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start(self) -> io::Result<FakeAws> {
        let ca = TestCa::new();
        let issued = ca.issue(["localhost", "127.0.0.1"]);
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(&self.region, &self.prefix, self.lifetime)),
            clock: self.clock,
        });
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = serve(shared.clone(), any, Some(&issued))?;
        Ok(FakeAws {
            address: server.address(),
            server: Mutex::new(Some(server)),
            plain: serve(shared.clone(), any, None)?,
            shared,
            ca,
            issued,
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(shared: Arc<Shared>, address: SocketAddr, tls: Option<&Issued>) -> io::Result<HttpServer> {
    let mut builder = HttpServer::builder().bind(address);
    if let Some(issued) = tls {
        builder = builder.tls(issued.server_config());
    }
    builder.start(move |request| {
        let shared = shared.clone();
        async move {
            match answer(&shared, &request) {
                Some(response) => response,
                None => std::future::pending().await,
            }
        }
    })
}

fn answer(shared: &Shared, request: &Request) -> Option<Response> {
    let asked = Asked::new(
        request.method().as_str(),
        request.uri().path(),
        request.headers(),
        request.body(),
        shared.clock.wall(),
    );
    let mut state = shared.state();
    let reply = state.handle(&asked)?;
    Some(
        reply
            .with_header("date", &http_date(asked.wall))
            .into_response(state.calls.len()),
    )
}

fn statements(allowed: &[(&str, &str)]) -> Vec<Statement> {
    let owned = |(action, resource): &(&str, &str)| ((*action).to_owned(), (*resource).to_owned());
    allowed.iter().map(owned).collect()
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAws")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FakeAwsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAwsBuilder")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
