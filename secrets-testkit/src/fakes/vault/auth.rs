use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::reply::Reply;
use super::token::Terms;

/// An auth method, mounted.
pub(super) struct AuthMount {
    kind: Kind,
    roles: BTreeMap<String, Role>,
    made: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    AppRole,
    Cert,
    /// Kubernetes too: here a JWT is good when its role lists it.
    Jwt,
}

#[derive(Default)]
struct Role {
    id: String,
    bind_secret_id: bool,
    secret_ids: Vec<String>,
    jwts: Vec<String>,
    terms: Terms,
}

impl AuthMount {
    pub(super) fn new(kind: &str) -> Option<Self> {
        let kind = match kind {
            "approle" => Kind::AppRole,
            "cert" => Kind::Cert,
            "jwt" | "kubernetes" | "oidc" => Kind::Jwt,
            _ => return None,
        };
        Some(Self {
            kind,
            roles: BTreeMap::new(),
            made: 0,
        })
    }

    /// The terms of the token that this login earns.
    pub(super) fn login(&self, body: &Value, client_certificate: Option<&[u8]>) -> Result<Terms, Reply> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        match self.kind {
            Kind::AppRole => {
                let role = self.roles.values().find(|role| role.id == text("role_id"));
                let role = role.ok_or_else(|| Reply::error(400, ["invalid role or secret ID"]))?;
                let known = role.secret_ids.iter().any(|id| id == text("secret_id"));
                if role.bind_secret_id && !known {
                    return Err(Reply::error(400, ["invalid role or secret ID"]));
                }
                Ok(role.terms.clone())
            }
            Kind::Cert => {
                let Some(_) = client_certificate else {
                    return Err(Reply::error(400, ["client certificate must be supplied"]));
                };
                let role = match text("name") {
                    "" => self.roles.values().next(),
                    name => self.roles.get(name),
                };
                let role = role.ok_or_else(|| {
                    Reply::error(
                        400,
                        ["no chain matching all constraints could be found for this login certificate"],
                    )
                })?;
                Ok(role.terms.clone())
            }
            Kind::Jwt => {
                let role = match text("role") {
                    "" => self.roles.values().next(),
                    name => self.roles.get(name),
                };
                let role = role.ok_or_else(|| {
                    Reply::error(400, [format!("role \"{}\" could not be found", text("role"))])
                })?;
                if !role.jwts.iter().any(|jwt| jwt == text("jwt")) {
                    return Err(Reply::denied());
                }
                Ok(role.terms.clone())
            }
        }
    }

    /// Everything but logging in.
    pub(super) fn configure(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let parts: Vec<_> = path.split('/').collect();
        match (method, parts.as_slice()) {
            ("POST" | "PUT", ["role" | "certs", name]) => {
                let old = self.roles.remove(*name).unwrap_or_default();
                let id = if old.id.is_empty() {
                    format!("role-id-{name}")
                } else {
                    old.id
                };
                let role = Role {
                    id,
                    bind_secret_id: body
                        .get("bind_secret_id")
                        .and_then(Value::as_bool)
                        .unwrap_or(true),
                    secret_ids: old.secret_ids,
                    jwts: body.get("fake_jwts").map(strings).unwrap_or_default(),
                    terms: Terms::parse(body, "token_"),
                };
                self.roles.insert((*name).to_owned(), role);
                Reply::empty()
            }
            ("GET", ["role", name, "role-id"]) => match self.roles.get(*name) {
                Some(role) => Reply::data(json!({ "role_id": role.id }).to_string()),
                None => Reply::not_found(),
            },
            ("POST" | "PUT", ["role", name, "secret-id"]) => match self.roles.get_mut(*name) {
                Some(role) => {
                    self.made += 1;
                    let id = format!("secret-id-{}", self.made);
                    role.secret_ids.push(id.clone());
                    Reply::data(json!({ "secret_id": id, "secret_id_accessor": format!("a{}", self.made), "secret_id_ttl": 0 }).to_string())
                }
                None => Reply::not_found(),
            },
            ("POST" | "PUT", ["config"]) => Reply::empty(),
            _ => Reply::error(404, ["1 error occurred:\n\t* unsupported path\n\n"]),
        }
    }
}

/// A span as Vault takes it: seconds, or text such as `90`, `90s`, `15m`, `24h`.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    if let Some(seconds) = value.as_u64() {
        return Some(Duration::from_secs(seconds));
    }
    let text = value.as_str()?;
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * unit))
}

/// A list of texts: as an array, or separated by commas.
pub(super) fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Value::String(text) => text
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| part.trim().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}
