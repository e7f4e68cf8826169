use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::reply::Reply;

/// An engine that makes a credential at every read of `creds/{role}`, as Vault's database engine does.
#[derive(Default)]
pub(super) struct Dynamic {
    roles: BTreeMap<String, Role>,
    made: u64,
}

#[derive(Clone)]
struct Role {
    ttl: Duration,
    max_ttl: Duration,
    renewable: bool,
}

/// A credential that has not been revoked.
#[derive(Clone)]
pub(super) struct Lease {
    /// The token it hangs on.
    pub(super) token: String,
    pub(super) expires: Duration,
    ttl: Duration,
    last: Duration,
    renewable: bool,
}

impl Dynamic {
    pub(super) fn handle(
        &mut self,
        mount: &str,
        method: &str,
        path: &str,
        body: &Value,
        token: &str,
        now: Duration,
    ) -> Result<(Reply, Option<(String, Lease)>), Reply> {
        match (method, path.split_once('/')) {
            ("POST" | "PUT", Some(("roles", name))) => {
                let span = |name: &str| body.get(name).and_then(super::auth::seconds);
                let ttl = span("default_ttl").unwrap_or(Duration::from_secs(3_600));
                let role = Role {
                    ttl,
                    max_ttl: span("max_ttl").unwrap_or(ttl * 24),
                    renewable: body
                        .get("fake_renewable")
                        .and_then(Value::as_bool)
                        .unwrap_or(true),
                };
                self.roles.insert(name.to_owned(), role);
                Ok((Reply::empty(), None))
            }
            ("GET", Some(("creds", name))) => {
                let unknown = || Reply::error(400, [format!("unknown role: {name}")]);
                let role = self.roles.get(name).ok_or_else(unknown)?;
                self.made += 1;
                let id = format!("{mount}creds/{name}/{:08}", self.made);
                let last = now + role.max_ttl;
                let lease = Lease {
                    token: token.to_owned(),
                    expires: (now + role.ttl).min(last),
                    ttl: role.ttl,
                    last,
                    renewable: role.renewable,
                };
                let data = json!({
                    "username": format!("v-{name}-{}", self.made),
                    "password": format!("password-{}", self.made),
                });
                let reply = Reply {
                    lease: Some((id.clone(), role.ttl.min(role.max_ttl), lease.renewable)),
                    ..Reply::data(data.to_string())
                };
                Ok((reply, Some((id, lease))))
            }
            _ => Err(Reply::error(404, ["1 error occurred:\n\t* unsupported path\n\n"])),
        }
    }
}

impl Lease {
    pub(super) fn renew(&mut self, id: &str, now: Duration) -> Reply {
        if !self.renewable {
            return Reply::error(400, ["lease is not renewable"]);
        }
        self.expires = (now + self.ttl).min(self.last);
        Reply {
            status: 200,
            lease: Some((id.to_owned(), self.expires.saturating_sub(now), true)),
            ..Reply::default()
        }
    }
}
