use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::auth::AuthMount;
use super::dynamic::{Dynamic, Lease};
use super::failure::{Call, Failure, NodeState};
use super::kv::{Kv1, Kv2};
use super::policy::{self, Policy};
use super::reply::Reply;
use super::token::{Terms, Tokens};

/// A request, without its HTTP.
pub(super) struct Asked<'a> {
    pub(super) node: usize,
    pub(super) method: &'a str,
    /// Decoded, without `v1/`.
    pub(super) path: &'a str,
    pub(super) list: bool,
    pub(super) version: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) namespace: &'a str,
    pub(super) wrap: Option<Duration>,
    pub(super) body: &'a [u8],
    pub(super) client_certificate: Option<&'a [u8]>,
    pub(super) now: Duration,
    pub(super) wall: SystemTime,
}

/// The server behind all nodes.
pub(super) struct Core {
    pub(super) tokens: Tokens,
    pub(super) leases: BTreeMap<String, Lease>,
    pub(super) nodes: Vec<NodeState>,
    pub(super) failures: Vec<Failure>,
    pub(super) calls: Vec<Call>,
    pub(super) namespaces: BTreeSet<String>,
    policies: BTreeMap<String, Policy>,
    mounts: BTreeMap<String, Mount>,
    auths: BTreeMap<String, AuthMount>,
}

enum Mount {
    Dynamic(Dynamic),
    Kv1(Kv1),
    Kv2(Kv2),
}

impl Core {
    pub(super) fn new(root: &str, prefix: &str, nodes: usize) -> Self {
        let auths = ["approle", "cert", "jwt", "kubernetes"];
        let auths = auths
            .into_iter()
            .filter_map(|kind| Some((format!("{kind}/"), AuthMount::new(kind)?)));
        Self {
            tokens: Tokens::new(prefix, root),
            leases: BTreeMap::new(),
            nodes: vec![NodeState::Active; nodes],
            failures: Vec::new(),
            calls: Vec::new(),
            namespaces: BTreeSet::from([String::new()]),
            policies: BTreeMap::from([("default".to_owned(), Policy::default_policy())]),
            mounts: BTreeMap::from([("secret/".to_owned(), Mount::Kv2(Kv2::default()))]),
            auths: auths.collect(),
        }
    }

    /// What Vault answers; `None` where it does not answer at all.
    pub(super) fn handle(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        self.expire(asked.now);
        let failure = self
            .failures
            .iter_mut()
            .find_map(|failure| failure.hits(asked.path).then(|| failure.clone()));
        let reply = match failure {
            Some(Failure { hang: true, .. }) => None,
            Some(failure) => Some(failed(&failure)),
            None => Some(self.wrapped(asked)),
        };
        self.calls.push(Call {
            at: asked.now,
            node: asked.node,
            method: asked.method.to_owned(),
            path: asked.path.to_owned(),
            status: reply.as_ref().map_or(0, |reply| reply.status),
        });
        reply
    }

    /// Ends a token and every lease that hangs on it.
    pub(super) fn revoke(&mut self, token: &str) {
        self.tokens.live.remove(token);
        self.leases.retain(|_, lease| lease.token != token);
    }

    pub(super) fn expire(&mut self, now: Duration) {
        let ended = |token: &super::token::Token| token.expires.is_some_and(|expires| expires <= now);
        let dead: Vec<_> = self
            .tokens
            .live
            .iter()
            .filter(|(_, token)| ended(token))
            .map(|(id, _)| id.clone())
            .collect();
        for token in &dead {
            self.revoke(token);
        }
        self.leases.retain(|_, lease| lease.expires > now);
    }

    fn wrapped(&mut self, asked: &Asked<'_>) -> Reply {
        let reply = self.answer(asked);
        let Some(ttl) = asked.wrap.filter(|_| reply.status == 200) else {
            return reply;
        };
        let body = reply.data.unwrap_or_else(|| "null".to_owned());
        let token = self.tokens.wrap(body, asked.path, ttl, asked.now);
        let info = json!({
            "token": token,
            "accessor": "",
            "ttl": ttl.as_secs(),
            "creation_time": super::instant::rfc3339(asked.wall),
            "creation_path": asked.path,
        });
        Reply {
            status: 200,
            wrap_info: Some(info),
            ..Reply::default()
        }
    }

    fn answer(&mut self, asked: &Asked<'_>) -> Reply {
        let state = self.nodes[asked.node].clone();
        if asked.path == "sys/health" {
            return health(&state);
        }
        if let Some(refusal) = refusal(&state, asked.path) {
            return refusal;
        }
        if !self.namespaces.contains(asked.namespace) {
            return Reply::no_route(asked.path);
        }
        let body: Value = serde_json::from_slice(asked.body).unwrap_or(Value::Null);
        if let Some(mount) = asked
            .path
            .strip_prefix("auth/")
            .and_then(|path| path.strip_suffix("/login"))
        {
            return self.login(mount, asked, &body);
        }
        if asked.path == "sys/wrapping/lookup" {
            let token = body
                .get("token")
                .and_then(Value::as_str)
                .or(asked.token)
                .unwrap_or_default();
            return self.look_inside(token);
        }
        let Some(id) = asked.token else {
            return Reply::error(400, ["missing client token"]);
        };
        let known = self.tokens.live.get(id);
        let Some(token) = known
            .filter(|token| asked.namespace.starts_with(&token.namespace))
            .cloned()
        else {
            return if asked.path == "sys/wrapping/unwrap" {
                Reply::error(400, ["wrapping token is not valid or does not exist"])
            } else {
                Reply::bad_token()
            };
        };
        if asked.path == "sys/wrapping/unwrap" {
            return self.unwrap(id);
        }
        let capability = match asked.method {
            "GET" if asked.list => "list",
            "LIST" => "list",
            "GET" => "read",
            "DELETE" => "delete",
            _ => "update",
        };
        let policies: Vec<_> = token
            .policies
            .iter()
            .filter_map(|name| self.policies.get(name))
            .collect();
        let root = token.policies.iter().any(|policy| policy == "root");
        if let Some(path) = asked.path.strip_prefix("sys/internal/ui/mounts/") {
            let reaches = |mount: &str| root || policy::touches(policies.iter().copied(), mount);
            return self.describe(path, reaches);
        }
        // Vault checks a listing as that of a folder.
        let folder = format!("{}/", asked.path);
        let subject = if capability == "list" { &folder } else { asked.path };
        if !root && !policy::allows(policies.into_iter(), subject, capability) {
            return Reply::denied();
        }
        self.route(asked, id, &body, capability == "list")
    }

    fn route(&mut self, asked: &Asked<'_>, id: &str, body: &Value, list: bool) -> Reply {
        let write = matches!(asked.method, "POST" | "PUT");
        let path = asked.path;
        if let Some(rest) = path.strip_prefix("auth/token/") {
            return self.token(rest, id, body, asked);
        }
        if let Some(rest) = path.strip_prefix("sys/") {
            return self.system(rest, write, body, asked.now);
        }
        if let Some(rest) = path.strip_prefix("auth/") {
            let found = self
                .auths
                .iter_mut()
                .find_map(|(mount, auth)| Some((rest.strip_prefix(&**mount)?, auth)));
            return match found {
                Some((rest, auth)) => auth.configure(asked.method, rest, body),
                None => Reply::no_route(path),
            };
        }
        let found = self.mounts.iter_mut().find_map(|(mount, engine)| {
            let rest = path.strip_prefix(mount.trim_end_matches('/'))?;
            let rest = if rest.is_empty() {
                rest
            } else {
                rest.strip_prefix('/')?
            };
            Some((rest, mount, engine))
        });
        let Some((rest, mount, engine)) = found else {
            return Reply::no_route(path);
        };
        let method = if list { "LIST" } else { asked.method };
        match engine {
            Mount::Kv1(kv) => kv.handle(method, rest, asked.body),
            Mount::Kv2(kv) => kv.handle(method, rest, asked.version, asked.body, asked.wall),
            Mount::Dynamic(dynamic) => match dynamic.handle(mount, method, rest, body, id, asked.now) {
                Ok((reply, made)) => {
                    self.leases.extend(made);
                    reply
                }
                Err(reply) => reply,
            },
        }
    }

    fn login(&mut self, mount: &str, asked: &Asked<'_>, body: &Value) -> Reply {
        let Some(auth) = self.auths.get(&format!("{mount}/")) else {
            return Reply::no_route(asked.path);
        };
        match auth.login(body, asked.client_certificate) {
            Ok(terms) => {
                let id = self.tokens.create(&terms, asked.namespace, asked.now);
                Reply::auth(self.tokens.live[&id].auth(&id, asked.now))
            }
            Err(reply) => reply,
        }
    }

    fn token(&mut self, what: &str, id: &str, body: &Value, asked: &Asked<'_>) -> Reply {
        let now = asked.now;
        let other = body.get("token").and_then(Value::as_str);
        match what {
            "lookup-self" => Reply::data(self.tokens.live[id].lookup(id, now).to_string()),
            "renew-self" => match self
                .tokens
                .live
                .get_mut(id)
                .map(|token| (token.renew(now), token))
            {
                Some((Ok(()), token)) => Reply::auth(token.auth(id, now)),
                Some((Err(reply), _)) => reply,
                None => Reply::bad_token(),
            },
            "revoke-self" => {
                self.revoke(id);
                Reply::empty()
            }
            "create" | "create-orphan" => {
                let id = self.tokens.create(&Terms::parse(body, ""), asked.namespace, now);
                Reply::auth(self.tokens.live[&id].auth(&id, now))
            }
            "revoke" => {
                if let Some(token) = other {
                    self.revoke(token);
                }
                Reply::empty()
            }
            _ => Reply::error(404, ["1 error occurred:\n\t* unsupported path\n\n"]),
        }
    }

    fn system(&mut self, path: &str, write: bool, body: &Value, now: Duration) -> Reply {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some(mount) = path.strip_prefix("mounts/").filter(|_| write) {
            let version = body.pointer("/options/version").and_then(Value::as_str);
            let engine = match (text("type"), version) {
                ("kv", Some("2")) | ("kv-v2", _) => Mount::Kv2(Kv2::default()),
                ("kv", _) => Mount::Kv1(Kv1::default()),
                _ => Mount::Dynamic(Dynamic::default()),
            };
            self.mounts
                .insert(format!("{}/", mount.trim_matches('/')), engine);
            return Reply::empty();
        }
        if let Some(mount) = path.strip_prefix("auth/").filter(|_| write) {
            return match AuthMount::new(text("type")) {
                Some(auth) => {
                    self.auths.insert(format!("{}/", mount.trim_matches('/')), auth);
                    Reply::empty()
                }
                None => Reply::error(400, ["unknown auth method"]),
            };
        }
        if let Some(name) = path.strip_prefix("policies/acl/").filter(|_| write) {
            return match Policy::parse(text("policy")) {
                Some(policy) => {
                    self.policies.insert(name.to_owned(), policy);
                    Reply::empty()
                }
                None => Reply::error(400, ["failed to parse policy: this fake takes JSON"]),
            };
        }
        let lease = text("lease_id");
        match path {
            "leases/renew" => match self.leases.get_mut(lease) {
                Some(found) => found.renew(lease, now),
                None => Reply::error(400, ["lease not found"]),
            },
            "leases/revoke" => {
                self.leases.remove(lease);
                Reply::empty()
            }
            _ => Reply::error(404, ["1 error occurred:\n\t* unsupported path\n\n"]),
        }
    }

    fn describe(&self, path: &str, reaches: impl Fn(&str) -> bool) -> Reply {
        let path = format!("{}/", path.trim_matches('/'));
        let found = self
            .mounts
            .iter()
            .find(|(mount, _)| path.starts_with(mount.as_str()));
        let Some((mount, engine)) = found.filter(|(mount, _)| reaches(mount)) else {
            return Reply::error(
                403,
                [
                    "preflight capability check returned 403, please ensure client's policies grant access to path",
                ],
            );
        };
        let (kind, options) = match engine {
            Mount::Dynamic(_) => ("database", Value::Null),
            Mount::Kv1(_) => ("kv", json!({"version": "1"})),
            Mount::Kv2(_) => ("kv", json!({"version": "2"})),
        };
        Reply::data(json!({"type": kind, "options": options, "path": mount}).to_string())
    }

    fn look_inside(&self, token: &str) -> Reply {
        match self.tokens.live.get(token).and_then(|token| token.wraps.as_ref()) {
            Some((_, path)) => Reply::data(
                json!({"creation_path": path, "creation_ttl": 60, "creation_time": ""}).to_string(),
            ),
            None => Reply::error(400, ["wrapping token is not valid or does not exist"]),
        }
    }

    fn unwrap(&mut self, id: &str) -> Reply {
        match self.tokens.live.remove(id).and_then(|token| token.wraps) {
            Some((body, _)) => Reply::data(body),
            None => Reply::error(400, ["wrapping token is not valid or does not exist"]),
        }
    }
}

fn failed(failure: &Failure) -> Reply {
    let mut reply = Reply::error(failure.status, failure.errors.clone());
    reply.raw.clone_from(&failure.body);
    reply
        .headers
        .extend(failure.retry_after.clone().map(|value| ("retry-after", value)));
    reply
        .headers
        .extend(failure.location.clone().map(|url| ("location", url)));
    reply
}

fn health(state: &NodeState) -> Reply {
    let status = match state {
        NodeState::Active => 200,
        NodeState::Redirecting(_) => 429,
        NodeState::RecoverySecondary => 472,
        NodeState::Sealed => 503,
        NodeState::Standby => 473,
        NodeState::Uninitialised => 501,
    };
    Reply {
        status,
        raw: Some(
            json!({"initialized": status != 501, "sealed": status == 503, "standby": status == 429})
                .to_string(),
        ),
        ..Reply::default()
    }
}

fn refusal(state: &NodeState, path: &str) -> Option<Reply> {
    match state {
        NodeState::Active => None,
        NodeState::Redirecting(to) => {
            let mut reply = Reply::error(307, [] as [&str; 0]);
            reply
                .headers
                .push(("location", format!("{}/v1/{path}", to.trim_end_matches('/'))));
            Some(reply)
        }
        NodeState::RecoverySecondary => Some(Reply::error(472, [] as [&str; 0])),
        NodeState::Sealed => Some(Reply::error(503, ["Vault is sealed"])),
        NodeState::Standby => Some(Reply::error(473, [] as [&str; 0])),
        NodeState::Uninitialised => Some(Reply::error(501, ["Vault is not initialized"])),
    }
}
