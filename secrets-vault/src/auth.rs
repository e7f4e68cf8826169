//! Ways to log in, one file each.

mod app_role;
mod cert;
mod jwt;
mod kubernetes;
mod token;
mod wrapped;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use secrets_core::{Error, ErrorKind, Result};

use crate::answer::{Answer, life};
use crate::api;
use crate::credential::Credential;
use crate::error::{self, Asked};
use crate::json;
use crate::transport::{Transport, secret_header};

/// How to log in to Vault.
///
/// Where a method is mounted elsewhere than at its usual place, say so with [`mount`](Auth::mount).
pub struct Auth {
    method: Box<dyn Method>,
    mount: Option<Box<str>>,
}

impl Auth {
    /// `AppRole`, with a secret id; mounted at `approle`.
    ///
    /// The secret id is kept, to log in again. Give a file, and it is read again at every login.
    pub fn app_role(role_id: impl Into<String>, secret_id: impl Into<Credential>) -> Self {
        Self::new(app_role::AppRole::new(role_id.into(), Some(secret_id.into())))
    }

    /// `AppRole` for a role with `bind_secret_id=false`: the role id alone; mounted at `approle`.
    pub fn app_role_without_secret_id(role_id: impl Into<String>) -> Self {
        Self::new(app_role::AppRole::new(role_id.into(), None))
    }

    /// `AppRole`, with a secret id that is wrapped in a single-use token; mounted at `approle`.
    ///
    /// Before it is opened, the token must have been made by `auth/{mount}/role/…/secret-id`; a token that was opened
    /// already is an error that says so. The secret id inside is kept in memory, to log in again. Give a file, and a new
    /// wrapping token in it is opened at the next login.
    pub fn app_role_wrapped(role_id: impl Into<String>, wrapping_token: impl Into<Credential>) -> Self {
        Self::new(wrapped::WrappedAppRole::new(
            role_id.into(),
            wrapping_token.into(),
        ))
    }

    /// The TLS client certificate given to the builder; mounted at `cert`. Without a role, Vault tries all of them.
    pub fn cert(role: Option<String>) -> Self {
        Self::new(cert::Cert::new(role))
    }

    /// A JWT or OIDC token; mounted at `jwt`. Without a role, the mount's default one.
    pub fn jwt(role: Option<String>, jwt: impl Into<Credential>) -> Self {
        Self::new(jwt::Jwt::new(role, jwt.into()))
    }

    /// The service account of a Kubernetes pod; mounted at `kubernetes`. The token is read again at every login, from
    /// where the kubelet mounts it.
    pub fn kubernetes(role: impl Into<String>) -> Self {
        Self::kubernetes_with(role, Credential::file(kubernetes::SERVICE_ACCOUNT_TOKEN))
    }

    /// As [`kubernetes`](Auth::kubernetes), with the service account token from elsewhere: a projected volume.
    pub fn kubernetes_with(role: impl Into<String>, token: impl Into<Credential>) -> Self {
        Self::new(kubernetes::Kubernetes::new(role.into(), token.into()))
    }

    /// A token somebody else obtained. It is renewed for as long as Vault allows, and not revoked at shutdown.
    ///
    /// Give the file of an agent's sink, and it is read again when the token it held ends or is refused.
    pub fn token(token: impl Into<Credential>) -> Self {
        Self::new(token::Token::new(token.into()))
    }

    /// Where the method is mounted, without `auth/`.
    #[must_use]
    pub fn mount(mut self, mount: impl Into<Box<str>>) -> Self {
        self.mount = Some(mount.into());
        self
    }

    fn new(method: impl Method) -> Self {
        Self {
            method: Box::new(method),
            mount: None,
        }
    }

    /// Checks what can be checked without Vault; `has_certificate` says whether the builder has a client certificate.
    pub(crate) fn check(&self, has_certificate: bool) -> Result<()> {
        self.method.check(has_certificate)?;
        match (&self.mount, self.method.usual_mount()) {
            (Some(_), None) => Err(error::config("a token has no auth mount; remove it")),
            (Some(mount), Some(_)) => crate::config::segments(mount, "the auth mount"),
            (None, _) => Ok(()),
        }
    }

    /// Whether logging in again brings the same token.
    pub(crate) fn fixed(&self) -> bool {
        self.method.fixed()
    }

    /// Whether the tokens this obtains are ours to revoke.
    pub(crate) fn obtains(&self) -> bool {
        self.method.usual_mount().is_some()
    }

    /// Logs in. Nothing bounds the time here but that of single requests.
    pub(crate) async fn login(&self, transport: &Transport, limit: Duration) -> Result<Grant> {
        let mount = self
            .mount
            .as_deref()
            .or(self.method.usual_mount())
            .unwrap_or_default();
        self.method
            .login(Way {
                transport,
                mount,
                limit,
            })
            .await
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("method", &self.method)
            .field("mount", &self.mount.as_deref().or(self.method.usual_mount()))
            .finish()
    }
}

/// One way to log in.
#[async_trait]
pub(crate) trait Method: fmt::Debug + Send + Sync + 'static {
    /// Where it is mounted unless said otherwise; `None` for a token, which is no login.
    fn usual_mount(&self) -> Option<&'static str>;

    /// Whether logging in again brings the same token.
    fn fixed(&self) -> bool {
        false
    }

    /// What can be checked without Vault.
    fn check(&self, has_certificate: bool) -> Result<()>;

    /// Logs in once.
    async fn login(&self, way: Way<'_>) -> Result<Grant>;
}

/// How a login reaches its mount.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) mount: &'a str,
    pub(crate) limit: Duration,
}

impl Way<'_> {
    /// `POST auth/{mount}/login` with these fields.
    pub(crate) async fn login(self, method: &'static str, fields: &[(&'static str, &[u8])]) -> Result<Grant> {
        let login = api::Login {
            mount: self.mount,
            fields,
        };
        let sent = self.transport.clock().boot();
        let answer = self.transport.send(&login, None, self.limit).await?;
        let asked = Asked::Login {
            method,
            mount: self.mount,
        };
        grant(asked, &answer, sent)
    }
}

/// A token, as Vault gave it.
pub(crate) struct Grant {
    pub(crate) token: HeaderValue,
    /// Boot time at which it was asked for: it lives from then on at least.
    pub(crate) since: Duration,
    /// `None` for a token that never ends, or whose end cannot be told.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) renewable: bool,
    /// Vault did not say whether it knows the token: it may not look itself up.
    pub(crate) unverified: bool,
}

/// Reads a login, or a renewal, which answers the same.
pub(crate) fn grant(asked: Asked<'_>, answer: &Answer, since: Duration) -> Result<Grant> {
    let missing = || crate::answer::malformed("the answer to a login");
    let login = answer.frame(asked)?.login()?.ok_or_else(missing)?;
    let token = json::text(login.client_token)?;
    if token.is_empty() {
        let message =
            "the login needs a second factor, which a program does not have; exempt the role from MFA";
        return Err(Error::new(ErrorKind::Unauthenticated, message).with_cause(answer.cause()));
    }
    // A batch token says it is not renewable; should one not, believe the type.
    let renewable = login.renewable && login.token_type != Some("batch");
    Ok(Grant {
        token: secret_header(&token)?,
        since,
        lifetime: (login.lease_duration > 0).then(|| life(login.lease_duration)),
        renewable,
        unverified: false,
    })
}

/// A role or role id: text that goes into a login.
fn check_role(role: &str, what: &str) -> Result<()> {
    if role.is_empty() || role.chars().any(char::is_control) {
        return Err(error::config(format!(
            "the {what} is empty or contains a control character"
        )));
    }
    Ok(())
}
