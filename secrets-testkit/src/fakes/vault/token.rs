use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::reply::Reply;

/// A token and what hangs on it. Instants are those of the fake's clock.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) accessor: String,
    pub(super) namespace: String,
    pub(super) policies: Vec<String>,
    pub(super) batch: bool,
    pub(super) renewable: bool,
    /// The life that a login or renewal gives; zero for ever.
    pub(super) ttl: Duration,
    pub(super) expires: Option<Duration>,
    /// No renewal goes beyond this.
    pub(super) last: Option<Duration>,
    /// A wrapping token: what it holds, and who made it.
    pub(super) wraps: Option<(String, String)>,
}

/// What a role gives to the tokens it makes.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) policies: Vec<String>,
    pub(super) ttl: Duration,
    pub(super) max_ttl: Duration,
    pub(super) period: Duration,
    pub(super) batch: bool,
    pub(super) no_default_policy: bool,
    pub(super) not_renewable: bool,
}

impl Terms {
    /// From the body that makes a role (`token_ttl`, …) or a token (`ttl`, …).
    pub(super) fn parse(body: &Value, prefix: &str) -> Self {
        let field = |name: &str| body.get(format!("{prefix}{name}"));
        let span = |name: &str| field(name).and_then(super::auth::seconds).unwrap_or_default();
        let policies = field("policies").map(super::auth::strings).unwrap_or_default();
        Self {
            policies,
            ttl: span("ttl"),
            max_ttl: span("max_ttl").max(
                body.get("explicit_max_ttl")
                    .and_then(super::auth::seconds)
                    .unwrap_or_default(),
            ),
            period: span("period"),
            batch: field("type").and_then(Value::as_str) == Some("batch"),
            no_default_policy: field("no_default_policy")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            not_renewable: body.get("renewable").and_then(Value::as_bool) == Some(false),
        }
    }
}

impl Token {
    pub(super) fn ttl_left(&self, now: Duration) -> u64 {
        self.expires
            .map_or(0, |expires| expires.saturating_sub(now).as_secs())
    }

    /// The `auth` of a login or renewal.
    pub(super) fn auth(&self, id: &str, now: Duration) -> Value {
        json!({
            "client_token": id,
            "accessor": self.accessor,
            "policies": self.policies,
            "token_policies": self.policies,
            "metadata": null,
            "lease_duration": self.ttl_left(now),
            "renewable": self.renewable,
            "entity_id": "",
            "token_type": if self.batch { "batch" } else { "service" },
            "orphan": true,
            "mfa_requirement": null,
            "num_uses": 0,
        })
    }

    /// The `data` of a look-up.
    pub(super) fn lookup(&self, id: &str, now: Duration) -> Value {
        json!({
            "id": id,
            "accessor": self.accessor,
            "policies": self.policies,
            "ttl": self.ttl_left(now),
            "creation_ttl": self.ttl.as_secs(),
            "renewable": self.renewable,
            "type": if self.batch { "batch" } else { "service" },
            "num_uses": 0,
            "orphan": true,
        })
    }

    /// Extends its life: by what it was made with, up to its last moment.
    pub(super) fn renew(&mut self, now: Duration) -> Result<(), Reply> {
        if !self.renewable || self.batch {
            return Err(Reply::error(400, ["lease is not renewable"]));
        }
        let end = now + self.ttl;
        self.expires = Some(self.last.map_or(end, |last| end.min(last)));
        Ok(())
    }
}

/// All tokens that live.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) live: BTreeMap<String, Token>,
    made: u64,
    prefix: String,
}

impl Tokens {
    pub(super) fn new(prefix: &str, root: &str) -> Self {
        let mut tokens = Self {
            live: BTreeMap::new(),
            made: 0,
            prefix: prefix.to_owned(),
        };
        let forever = Token {
            accessor: "root".to_owned(),
            namespace: String::new(),
            policies: vec!["root".to_owned()],
            batch: false,
            renewable: false,
            ttl: Duration::ZERO,
            expires: None,
            last: None,
            wraps: None,
        };
        tokens.live.insert(root.to_owned(), forever);
        tokens
    }

    pub(super) fn create(&mut self, terms: &Terms, namespace: &str, now: Duration) -> String {
        // Vault's own default.
        let ttl = if terms.period > Duration::ZERO {
            terms.period
        } else if terms.ttl > Duration::ZERO {
            terms.ttl
        } else {
            Duration::from_secs(2_764_800)
        };
        let last = (terms.max_ttl > Duration::ZERO && terms.period.is_zero()).then(|| now + terms.max_ttl);
        let mut policies = terms.policies.clone();
        if !terms.no_default_policy && !policies.iter().any(|policy| policy == "default") {
            policies.insert(0, "default".to_owned());
        }
        let end = now + ttl;
        let token = Token {
            accessor: format!("accessor-{}", self.made + 1),
            namespace: namespace.to_owned(),
            policies,
            batch: terms.batch,
            renewable: !terms.batch && !terms.not_renewable,
            ttl,
            expires: Some(last.map_or(end, |last| end.min(last))),
            last,
            wraps: None,
        };
        self.insert(token)
    }

    pub(super) fn wrap(&mut self, body: String, path: &str, ttl: Duration, now: Duration) -> String {
        let token = Token {
            accessor: format!("accessor-{}", self.made + 1),
            namespace: String::new(),
            policies: vec!["response-wrapping".to_owned()],
            batch: false,
            renewable: false,
            ttl,
            expires: Some(now + ttl),
            last: None,
            wraps: Some((body, path.to_owned())),
        };
        self.insert(token)
    }

    fn insert(&mut self, token: Token) -> String {
        self.made += 1;
        let kind = if token.batch { "hvb" } else { "hvs" };
        let id = format!("{kind}.{}{:08}", self.prefix, self.made);
        self.live.insert(id.clone(), token);
        id
    }
}
