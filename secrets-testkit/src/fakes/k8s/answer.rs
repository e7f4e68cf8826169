//! Requests read, and answers written, as the API server does it.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::rules::Rule;
use super::store::{Secret, Store};
use crate::wire::{Body, Request, Response};

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) verb: &'static str,
    pub(super) namespace: String,
    /// The only one that is of interest.
    pub(super) secret: Option<String>,
    labels: Vec<(String, String)>,
    limit: usize,
    next: Option<String>,
    pub(super) version: Option<u64>,
    pub(super) partial: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Result<Self, Box<Response>> {
        let path = request.uri().path();
        let unknown = || Box::new(status(404, "NotFound", ""));
        if request.method() == Method::POST {
            let review = path == "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
            return if review {
                Ok(Self::review())
            } else {
                Err(unknown())
            };
        }
        let rest = path.strip_prefix("/api/v1/namespaces/").ok_or_else(unknown)?;
        let (namespace, rest) = rest.split_once("/secrets").ok_or_else(unknown)?;
        let named = match rest {
            "" => None,
            rest => Some(rest.strip_prefix('/').ok_or_else(unknown)?.to_owned()),
        };
        let query = query(request.uri().query().unwrap_or_default());
        let value = |name: &str| query.get(name).filter(|value| !value.is_empty());
        let watching = value("watch").is_some_and(|watch| matches!(watch.as_str(), "true" | "1"));
        let field = value("fieldSelector").map(|selector| {
            let name = selector.strip_prefix("metadata.name=");
            name.map(str::to_owned)
                .ok_or_else(|| Box::new(status(400, "BadRequest", "")))
        });
        let field = field.transpose()?;
        let verb = match (&named, watching) {
            (Some(_), _) => "get",
            (None, true) => "watch",
            (None, false) => "list",
        };
        let labels = value("labelSelector").map(String::as_str).unwrap_or_default();
        Ok(Self {
            verb,
            namespace: namespace.to_owned(),
            secret: named.or(field),
            labels: labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            limit: value("limit")
                .and_then(|limit| limit.parse().ok())
                .unwrap_or(usize::MAX),
            next: value("continue").cloned(),
            version: value("resourceVersion").and_then(|version| version.parse().ok()),
            partial: wants_metadata(request),
        })
    }

    fn review() -> Self {
        Self {
            verb: "review",
            namespace: String::new(),
            secret: None,
            labels: Vec::new(),
            limit: 0,
            next: None,
            version: None,
            partial: false,
        }
    }

    pub(super) fn matches(&self, secret: &Secret) -> bool {
        let labels = self.labels.iter();
        secret.namespace == self.namespace
            && self.secret.as_ref().is_none_or(|name| *name == secret.name)
            && labels
                .into_iter()
                .all(|(name, value)| secret.labels.get(name) == Some(value))
    }
}

pub(super) fn wants_metadata(request: &Request) -> bool {
    let accept = request
        .headers()
        .get("accept")
        .and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata"))
}

pub(super) fn get(store: &Store, asked: &Asked) -> Response {
    let name = asked.secret.as_deref().unwrap_or_default();
    match store.find(&asked.namespace, name) {
        Some(secret) => json_response(200, &secret.json(asked.partial)),
        None => status(404, "NotFound", name),
    }
}

pub(super) fn list(store: &Store, asked: &Asked) -> Response {
    let (mut version, mut after) = (store.version(), String::new());
    if let Some((began, last)) = asked.next.as_ref().and_then(|next| next.split_once('.')) {
        version = began.parse().unwrap_or(0);
        if version < store.compacted {
            return status(410, "Expired", "");
        }
        last.clone_into(&mut after);
    }
    let mut found = store
        .matching(asked)
        .filter(|secret| secret.name > after)
        .peekable();
    let mut items: Vec<Value> = Vec::new();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    while let Some(secret) = found.next() {
        let mut item = secret.json(asked.partial);
        if let Some(item) = item.as_object_mut().filter(|_| !asked.partial) {
            // Items of a list do not say what they are.
            item.remove("kind");
            item.remove("apiVersion");
        }
        items.push(item);
        if items.len() >= asked.limit && found.peek().is_some() {
            metadata["continue"] = json!(format!("{version}.{}", secret.name));
            break;
        }
    }
    let (kind, of) = if asked.partial {
        ("PartialObjectMetadataList", "meta.k8s.io/v1")
    } else {
        ("SecretList", "v1")
    };
    json_response(
        200,
        &json!({"kind": kind, "apiVersion": of, "metadata": metadata, "items": items}),
    )
}

pub(super) fn review(rules: &[Rule], request: &Request) -> Response {
    let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let namespace = asked["spec"]["namespace"].as_str().unwrap_or_default();
    let rules: Vec<_> = rules
        .iter()
        .filter(|rule| rule.concerns(namespace))
        .map(|rule| {
            json!({"verbs": rule.verbs(), "apiGroups": [""], "resources": ["secrets"], "resourceNames": rule.names()})
        })
        .collect();
    let answer = json!({
        "kind": "SelfSubjectRulesReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {},
        "status": {"resourceRules": rules, "nonResourceRules": [], "incomplete": false},
    });
    json_response(201, &answer)
}

/// A failure, as the API server describes it.
pub(super) fn status(code: u16, reason: &str, name: &str) -> Response {
    let mut answer = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("secrets \"{name}\": {reason}"),
        "code": code,
    });
    if !reason.is_empty() {
        answer["reason"] = json!(reason);
    }
    if !name.is_empty() {
        answer["details"] = json!({"name": name, "kind": "secrets"});
    }
    json_response(code, &answer)
}

fn json_response(code: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// Undoes the encoding of forms.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|byte| char::from(byte).to_digit(16))
                        .unwrap_or(0)
                };
                let (high, low) = (digit(), digit());
                u8::try_from(high * 16 + low).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
