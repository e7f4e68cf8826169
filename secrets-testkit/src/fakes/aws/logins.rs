//! What gives out credentials: STS, the metadata of an instance, and of a container.

use std::time::SystemTime;

use serde_json::json;

use super::iam::Key;
use super::instant::rfc3339;
use super::reply::{Form, Reply};
use super::state::{Asked, State};

impl State {
    /// STS.
    pub(super) fn sts(&mut self, action: &str, asked: &Asked<'_>) -> Result<Reply, Reply> {
        let form = Form::Query;
        let fields: Vec<(String, String)> = form_fields(asked.body);
        let field = |name: &str| {
            fields
                .iter()
                .find(|(other, _)| other == name)
                .map(|(_, value)| value.as_str())
        };
        let arn = field("RoleArn").unwrap_or_default().to_owned();
        let session = field("RoleSessionName").unwrap_or_default().to_owned();
        let denied = |message: &str| Err(Reply::error(form, 403, "AccessDenied", message));
        match action {
            "AssumeRole" => {
                let caller = self.iam.caller(asked.signed.as_ref(), "sts", form, asked.wall)?;
                caller.allow("sts:AssumeRole", &arn, form)?;
                match self.iam.roles.get(&arn) {
                    Some(role) if role.external_id.as_deref() == field("ExternalId") => {}
                    _ => return denied("is not authorized to perform: sts:AssumeRole"),
                }
            }
            "AssumeRoleWithWebIdentity" => {
                let token = field("WebIdentityToken").unwrap_or_default();
                let Some(role) = self.iam.roles.get(&arn) else {
                    return denied("Not authorized to perform sts:AssumeRoleWithWebIdentity");
                };
                if !role.web_identities.iter().any(|known| known == token) {
                    return Err(Reply::error(
                        form,
                        400,
                        "InvalidIdentityToken",
                        "The token is not known",
                    ));
                }
            }
            _ => return Err(Reply::error(form, 400, "InvalidAction", "")),
        }
        let (id, key) = self.new_session(&arn, &session, asked.wall);
        let result = format!(
            "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:{session}</AssumedRoleId>\
             <Arn>{}</Arn></AssumedRoleUser>",
            key.secret,
            key.token.as_deref().unwrap_or_default(),
            key.ends.map(rfc3339).unwrap_or_default(),
            key.who,
        );
        Ok(Reply::xml(action, &result))
    }

    /// The metadata service of an instance, version 2 alone.
    pub(super) fn imds(&mut self, operation: &str, asked: &Asked<'_>) -> Result<Reply, Reply> {
        let refuse = |status| Err(Reply::plain(status, ""));
        if operation == "token" {
            let Some(ttl) = asked.header("x-aws-ec2-metadata-token-ttl-seconds") else {
                return refuse(400);
            };
            let token = format!("{}-imds-token", self.prefix);
            return Ok(Reply::plain(200, token).with_header("x-aws-ec2-metadata-token-ttl-seconds", ttl));
        }
        if asked.header("x-aws-ec2-metadata-token") != Some(&format!("{}-imds-token", self.prefix)) {
            return refuse(401);
        }
        let Some(arn) = self.instance_role.clone() else {
            return refuse(404);
        };
        let role = arn.rsplit('/').next().unwrap_or_default().to_owned();
        match operation {
            "region" => Ok(Reply::plain(200, self.region.clone())),
            "role" => Ok(Reply::plain(200, role)),
            "credentials" if asked.path.ends_with(&format!("/{role}")) => {
                let (id, key) = self.standing_session(&arn, asked.wall);
                let body = json!({
                    "Code": "Success",
                    "LastUpdated": rfc3339(asked.wall),
                    "Type": "AWS-HMAC",
                    "AccessKeyId": id,
                    "SecretAccessKey": key.secret,
                    "Token": key.token,
                    "Expiration": key.ends.map(rfc3339),
                });
                Ok(Reply::plain(200, body.to_string()))
            }
            _ => refuse(404),
        }
    }

    /// What the agent of a container, or of a pod, gives out.
    pub(super) fn container(&mut self, asked: &Asked<'_>) -> Result<Reply, Reply> {
        let Some((arn, token)) = self.container_role.clone() else {
            return Err(Reply::error(Form::Plain, 404, "NotFound", ""));
        };
        if asked.header("authorization") != Some(token.as_str()) {
            return Err(Reply::error(
                Form::Plain,
                401,
                "Unauthorized",
                "the token is wrong",
            ));
        }
        let (id, key) = self.new_session(&arn, "container", asked.wall);
        let body = json!({
            "RoleArn": arn,
            "AccessKeyId": id,
            "SecretAccessKey": key.secret,
            "Token": key.token,
            "Expiration": key.ends.map(rfc3339),
        });
        Ok(Reply::plain(200, body.to_string()))
    }

    fn new_session(&mut self, arn: &str, name: &str, now: SystemTime) -> (String, Key) {
        let prefix = self.prefix.clone();
        self.iam.session(arn, name, &prefix, now + self.lifetime)
    }

    /// An instance is given the same credentials until shortly before their end.
    fn standing_session(&mut self, arn: &str, now: SystemTime) -> (String, Key) {
        let margin = self.lifetime / 12;
        let standing = self.instance_key.clone().and_then(|id| {
            let key = self.iam.keys.get(&id)?.clone();
            key.ends
                .is_some_and(|ends| now + margin < ends)
                .then_some((id, key))
        });
        standing.unwrap_or_else(|| {
            let (id, key) = self.new_session(arn, "instance", now);
            self.instance_key = Some(id.clone());
            (id, key)
        })
    }
}

/// The fields of a form.
pub(super) fn form_fields(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        rest = after;
        match first {
            b'%' => match hex() {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            b'+' => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
