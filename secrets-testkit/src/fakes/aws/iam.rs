//! Who calls, and what they may do.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::reply::{Form, Reply};

/// The account of everything.
pub(super) const ACCOUNT: &str = "123456789012";

/// How far the clock of a signature may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Users, roles and sessions.
#[derive(Default)]
pub(super) struct Iam {
    /// By access key id.
    pub(super) keys: BTreeMap<String, Key>,
    /// By ARN.
    pub(super) roles: BTreeMap<String, Role>,
    next: u64,
}

/// Something to sign with.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) ends: Option<SystemTime>,
    pub(super) who: String,
    pub(super) allowed: Vec<Statement>,
}

#[derive(Clone, Default)]
pub(super) struct Role {
    pub(super) allowed: Vec<Statement>,
    pub(super) external_id: Option<String>,
    pub(super) web_identities: Vec<String>,
}

/// An action and a resource, each with `*` at its end or not.
pub(super) type Statement = (String, String);

/// What a request is signed with.
pub(super) struct Signed<'a> {
    pub(super) key: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) token: Option<&'a str>,
    pub(super) at: Option<SystemTime>,
}

impl Iam {
    /// A user's key: long-lived, without a token.
    pub(super) fn user(&mut self, name: &str, prefix: &str, allowed: Vec<Statement>) -> (String, String) {
        let who = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
        self.key("AKIA", prefix, who, allowed, None)
    }

    /// A session of a role.
    pub(super) fn session(
        &mut self,
        role: &str,
        name: &str,
        prefix: &str,
        ends: SystemTime,
    ) -> (String, Key) {
        let allowed = self
            .roles
            .get(role)
            .map(|role| role.allowed.clone())
            .unwrap_or_default();
        let role = role.rsplit('/').next().unwrap_or_default();
        let who = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}");
        let (id, _) = self.key("ASIA", prefix, who, allowed, Some(ends));
        let key = self.keys[&id].clone();
        (id, key)
    }

    fn key(
        &mut self,
        kind: &str,
        prefix: &str,
        who: String,
        allowed: Vec<Statement>,
        ends: Option<SystemTime>,
    ) -> (String, String) {
        self.next += 1;
        let id = format!("{kind}FAKE{:012}", self.next);
        let secret = format!("{prefix}-secret-key-{}", self.next);
        let key = Key {
            secret: secret.clone(),
            token: ends.map(|_| format!("{prefix}-session-token-{}", self.next)),
            ends,
            who,
            allowed,
        };
        self.keys.insert(id.clone(), key);
        (id, secret)
    }

    /// Who signed a request. The signature itself is not verified.
    pub(super) fn caller(
        &self,
        signed: Option<&Signed<'_>>,
        service: &str,
        form: Form,
        now: SystemTime,
    ) -> Result<&Key, Reply> {
        // The JSON services answer all of this with 400, STS with 403.
        let status = if form == Form::Json { 400 } else { 403 };
        let refuse = |code: &str, message: &str| Err(Reply::error(form, status, code, message));
        let unknown = if form == Form::Json {
            "UnrecognizedClientException"
        } else {
            "InvalidClientTokenId"
        };
        let invalid = "The security token included in the request is invalid.";
        let Some(signed) = signed else {
            return refuse(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            );
        };
        let mismatch = if form == Form::Json {
            "InvalidSignatureException"
        } else {
            "SignatureDoesNotMatch"
        };
        if signed.service != service {
            return refuse(mismatch, "Credential should be scoped to correct service");
        }
        let skewed = signed.at.is_none_or(|at| {
            let off = at.duration_since(now).or_else(|_| now.duration_since(at));
            off.is_ok_and(|off| off > SKEW)
        });
        if skewed {
            return refuse(
                mismatch,
                "Signature expired: it is now later than the request says",
            );
        }
        let Some(key) = self.keys.get(signed.key) else {
            return refuse(unknown, invalid);
        };
        if key.token.as_deref() != signed.token {
            return refuse(unknown, invalid);
        }
        if key.ends.is_some_and(|ends| ends <= now) {
            let code = if form == Form::Json {
                "ExpiredTokenException"
            } else {
                "ExpiredToken"
            };
            return refuse(code, "The security token included in the request is expired");
        }
        Ok(key)
    }
}

impl Key {
    pub(super) fn allow(&self, action: &str, resource: &str, form: Form) -> Result<(), Reply> {
        let fits = |(actions, resources): &Statement| glob(actions, action) && glob(resources, resource);
        if self.allowed.iter().any(fits) {
            return Ok(());
        }
        let (status, code) = match form {
            Form::Json => (400, "AccessDeniedException"),
            _ => (403, "AccessDenied"),
        };
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows \
             the {action} action",
            self.who
        );
        Err(Reply::error(form, status, code, &message))
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => pattern == text,
    }
}
