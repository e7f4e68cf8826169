use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;

use super::failure::{Call, Failure};
use super::issuer::Issuer;
use super::secrets::Secrets;
use crate::wire::Response;

/// One request.
pub(super) struct Asked<'a> {
    /// It came to the identity endpoints.
    pub(super) identity: bool,
    pub(super) host: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) bearer: Option<&'a str>,
    pub(super) metadata: bool,
    pub(super) identity_header: Option<&'a str>,
    pub(super) body: &'a [u8],
    pub(super) now: Duration,
    pub(super) wall: SystemTime,
}

impl Asked<'_> {
    /// A parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }
}

/// One parameter of a query or form, decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let (_, value) = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| decoded(key) == name)?;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn json(body: impl Into<String>) -> Self {
        Self::new(200, body)
    }

    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// An error as Key Vault writes it.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            json!({ "error": { "code": code, "message": message } }).to_string(),
        )
    }

    /// The same, with the inner reason.
    pub(super) fn inner(status: u16, code: &str, message: &str, inner: &str) -> Self {
        let body = json!({ "error": { "code": code, "message": message, "innererror": { "code": inner } } });
        Self::new(status, body.to_string())
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json; charset=utf-8"),
        );
        for (name, value) in &self.headers {
            if let Ok(value) = value.parse() {
                headers.insert(*name, value);
            }
        }
        response
    }
}

/// All that the fake knows.
pub(super) struct Core {
    pub(super) secrets: Secrets,
    pub(super) issuer: Issuer,
    pub(super) failures: Vec<Failure>,
    pub(super) calls: Vec<Call>,
    pub(super) resource: Option<String>,
}

impl Core {
    pub(super) fn new(prefix: &str, page: usize) -> Self {
        Self {
            secrets: Secrets::new(page),
            issuer: Issuer::new(prefix),
            failures: Vec::new(),
            calls: Vec::new(),
            resource: None,
        }
    }

    /// What Azure answers; `None` where it does not answer at all.
    pub(super) fn handle(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        let bare = is_vault(asked) && asked.bearer.is_none();
        let failure = self
            .failures
            .iter_mut()
            .find_map(|failure| failure.hits(asked.path, bare).then(|| failure.clone()));
        let reply = match failure {
            Some(Failure { hang: true, .. }) => None,
            Some(failure) => Some(self.failed(asked, &failure)),
            None => Some(self.answer(asked)),
        };
        let number = self.calls.len();
        self.calls.push(Call {
            at: asked.now,
            host: asked.host.to_owned(),
            method: asked.method.to_owned(),
            path: asked.path.to_owned(),
            status: reply.as_ref().map_or(0, |reply| reply.status),
        });
        reply.map(|reply| {
            reply.header(
                "x-ms-request-id",
                format!("00000000-0000-4000-8000-{number:012x}"),
            )
        })
    }

    fn failed(&self, asked: &Asked<'_>, failure: &Failure) -> Reply {
        let mut reply = Reply::new(failure.status, failure.body.clone().unwrap_or_default());
        if failure.status == 401 && is_vault(asked) {
            // A refused token is always answered with the challenge.
            reply.headers = self
                .unauthorized(asked, "AKV10046: Unable to validate the signature.")
                .headers;
        }
        reply.headers.extend(failure.headers.iter().cloned());
        reply
    }

    fn answer(&mut self, asked: &Asked<'_>) -> Reply {
        if asked.identity {
            return self.issuer.identity(asked);
        }
        if !is_vault(asked) {
            return self.issuer.entra(asked);
        }
        let Some(bearer) = asked.bearer else {
            return self.unauthorized(asked, "AKV10000: Request is missing a Bearer or PoP token.");
        };
        if !self.issuer.accepts(bearer, &resource(asked.host), asked.now) {
            return self.unauthorized(asked, "AKV10022: Invalid audience, or an expired token.");
        }
        if asked.parameter("api-version").is_none() {
            return Reply::error(400, "BadParameter", "api-version must be specified");
        }
        let host = asked.host;
        self.secrets.handle(
            asked.method,
            asked.path,
            asked.query,
            host,
            asked.body,
            asked.wall,
        )
    }

    fn unauthorized(&self, asked: &Asked<'_>, message: &str) -> Reply {
        let own = resource(asked.host);
        let resource = self.resource.as_deref().unwrap_or(&own);
        let authority = match own.rsplit('.').next() {
            Some("cn") => "login.chinacloudapi.cn",
            _ if own.contains("usgov") => "login.microsoftonline.us",
            _ => "login.microsoftonline.com",
        };
        let challenge = format!(
            r#"Bearer authorization="https://{authority}/{}", resource="{resource}""#,
            super::TENANT
        );
        Reply::error(401, "Unauthorized", message).header("www-authenticate", challenge)
    }
}

fn is_vault(asked: &Asked<'_>) -> bool {
    !asked.identity && !asked.host.starts_with("login.")
}

/// `https://vault.azure.net` for `myvault.vault.azure.net:8443`.
fn resource(host: &str) -> String {
    let host = host.split(':').next().unwrap_or_default();
    let suffix = host.split_once('.').map_or(host, |(_, suffix)| suffix);
    format!("https://{suffix}")
}
