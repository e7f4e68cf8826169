//! Everything the fake knows, and which service a request is for.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use serde_json::Value;

use super::failure::{Call, Failure};
use super::iam::{Iam, Signed};
use super::instant::basic;
use super::logins::form_fields;
use super::parameters::Parameters;
use super::reply::{Form, Reply};
use super::secrets::Secrets;

pub(super) struct State {
    pub(super) iam: Iam,
    pub(super) secrets: Secrets,
    pub(super) parameters: Parameters,
    pub(super) failures: Vec<Failure>,
    pub(super) calls: Vec<Call>,
    pub(super) lifetime: Duration,
    pub(super) prefix: String,
    pub(super) region: String,
    pub(super) instance_role: Option<String>,
    pub(super) instance_key: Option<String>,
    /// The role, and the token to ask for it with.
    pub(super) container_role: Option<(String, String)>,
}

/// One request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) signed: Option<Signed<'a>>,
    pub(super) wall: SystemTime,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        method: &'a str,
        path: &'a str,
        headers: &'a HeaderMap,
        body: &'a [u8],
        wall: SystemTime,
    ) -> Self {
        let mut asked = Self {
            method,
            path,
            headers,
            body,
            signed: None,
            wall,
        };
        asked.signed = asked.signature();
        asked
    }

    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `AWS4-HMAC-SHA256 Credential=AKID/20300102/eu-central-1/sts/aws4_request, …`
    fn signature(&self) -> Option<Signed<'a>> {
        let scope = self
            .header("authorization")?
            .strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let mut scope = scope.split(',').next()?.split('/');
        Some(Signed {
            key: scope.next()?,
            region: scope.nth(1)?,
            service: scope.next()?,
            token: self.header("x-amz-security-token"),
            at: self.header("x-amz-date").and_then(basic),
        })
    }

    /// The service, its operation, and how it writes.
    fn operation(&self) -> (&'static str, String, Form) {
        if let Some(target) = self.header("x-amz-target") {
            let (service, operation) = target.split_once('.').unwrap_or_default();
            let service = match service {
                "secretsmanager" => "secretsmanager",
                "AmazonSSM" => "ssm",
                _ => "unknown",
            };
            return (service, operation.to_owned(), Form::Json);
        }
        match self.path {
            "/latest/api/token" => ("imds", "token".into(), Form::Plain),
            "/latest/meta-data/placement/region" => ("imds", "region".into(), Form::Plain),
            "/latest/meta-data/iam/security-credentials/" => ("imds", "role".into(), Form::Plain),
            path if path.starts_with("/latest/meta-data/iam/security-credentials/") => {
                ("imds", "credentials".into(), Form::Plain)
            }
            path if path.starts_with("/v1/credentials") || path.starts_with("/v2/credentials") => {
                ("container", "credentials".into(), Form::Plain)
            }
            _ if self.method == "POST" => {
                let fields = form_fields(self.body);
                let action = fields.into_iter().find(|(name, _)| name == "Action");
                (
                    "sts",
                    action.map(|(_, action)| action).unwrap_or_default(),
                    Form::Query,
                )
            }
            _ => ("unknown", String::new(), Form::Plain),
        }
    }
}

impl State {
    pub(super) fn new(region: &str, prefix: &str, lifetime: Duration) -> Self {
        Self {
            iam: Iam::default(),
            secrets: Secrets::default(),
            parameters: Parameters::default(),
            failures: Vec::new(),
            calls: Vec::new(),
            lifetime,
            prefix: prefix.to_owned(),
            region: region.to_owned(),
            instance_role: None,
            instance_key: None,
            container_role: None,
        }
    }

    /// The answer; `None` for a request that is never answered.
    pub(super) fn handle(&mut self, asked: &Asked<'_>) -> Option<Reply> {
        let (service, operation, form) = asked.operation();
        let name = format!("{service}.{operation}");
        let failure = self
            .failures
            .iter_mut()
            .find_map(|failure| failure.hits(&name).then(|| failure.clone()));
        let reply = match failure {
            Some(failure) if failure.hang => None,
            Some(failure) => Some(Reply::failed(form, &failure)),
            None => Some(
                self.serve(service, &operation, form, asked)
                    .unwrap_or_else(|refusal| refusal),
            ),
        };
        self.calls.push(Call {
            operation: name,
            access_key_id: asked.signed.as_ref().map(|signed| signed.key.to_owned()),
            region: asked.signed.as_ref().map(|signed| signed.region.to_owned()),
            status: reply.as_ref().map_or(0, |reply| reply.status),
            code: reply.as_ref().and_then(|reply| reply.code.clone()),
        });
        reply
    }

    fn serve(
        &mut self,
        service: &'static str,
        operation: &str,
        form: Form,
        asked: &Asked<'_>,
    ) -> Result<Reply, Reply> {
        match service {
            "sts" => self.sts(operation, asked),
            "imds" => self.imds(operation, asked),
            "container" => self.container(asked),
            "secretsmanager" | "ssm" => {
                let caller = self
                    .iam
                    .caller(asked.signed.as_ref(), service, form, asked.wall)?;
                let input: Value = serde_json::from_slice(asked.body)
                    .map_err(|_| Reply::error(form, 400, "SerializationException", ""))?;
                match service {
                    "ssm" => self.parameters.handle(operation, caller, &input),
                    _ => self.secrets.handle(operation, caller, &input),
                }
            }
            _ => Err(Reply::error(form, 404, "UnknownOperationException", "")),
        }
    }
}
