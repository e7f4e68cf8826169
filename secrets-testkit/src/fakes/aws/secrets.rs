//! Secrets Manager.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use super::iam::{ACCOUNT, Key};
use super::instant::seconds;
use super::reply::{Form, Reply};

/// The secrets, by name.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) all: BTreeMap<String, Secret>,
    made: u64,
    /// How many values one answer to a batch holds, where that is not what was asked for.
    pub(super) batch_page: Option<usize>,
}

pub(super) struct Secret {
    arn: String,
    versions: Vec<Version>,
    pub(super) deletion: bool,
    pub(super) kms: Kms,
}

/// What the key of a secret does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kms {
    /// It decrypts.
    #[default]
    Allowed,
    /// The caller may not use it.
    Denied,
    /// It is disabled.
    Disabled,
}

struct Version {
    id: String,
    value: Option<Stored>,
    stages: Vec<String>,
    created: SystemTime,
}

#[derive(Clone)]
enum Stored {
    Binary(Vec<u8>),
    Text(String),
}

impl Secrets {
    /// Writes a value, or none; returns the id of the version.
    pub(super) fn put(&mut self, name: &str, region: &str, value: Option<&[u8]>, now: SystemTime) -> String {
        self.made += 1;
        let id = format!("fa4e0000-0000-4000-8000-{:012}", self.made);
        let arn = format!(
            "arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-Fa{:04}",
            self.made % 10_000
        );
        let secret = self.all.entry(name.to_owned()).or_insert(Secret {
            arn,
            versions: Vec::new(),
            deletion: false,
            kms: Kms::Allowed,
        });
        let value = value.map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Stored::Text(text.to_owned()),
            Err(_) => Stored::Binary(bytes.to_vec()),
        });
        if value.is_some() {
            secret.promote();
        }
        let stages = if value.is_some() {
            vec!["AWSCURRENT".to_owned()]
        } else {
            Vec::new()
        };
        secret.versions.push(Version {
            id: id.clone(),
            value,
            stages,
            created: now,
        });
        id
    }

    /// Turns the latest text into bytes, as a `SecretBinary` that happens to be text.
    pub(super) fn make_binary(&mut self, name: &str) {
        let version = self
            .all
            .get_mut(name)
            .and_then(|secret| secret.versions.last_mut());
        if let Some(Version {
            value: Some(value), ..
        }) = version
        {
            if let Stored::Text(text) = value {
                *value = Stored::Binary(text.clone().into_bytes());
            }
        }
    }

    /// Puts a stage onto a version, and takes it off any other.
    pub(super) fn stage(&mut self, name: &str, id: &str, stage: &str) {
        let Some(secret) = self.all.get_mut(name) else {
            return;
        };
        for version in &mut secret.versions {
            version.stages.retain(|other| other != stage);
            if version.id == id {
                version.stages.push(stage.to_owned());
            }
        }
    }

    pub(super) fn handle(&self, operation: &str, caller: &Key, input: &Value) -> Result<Reply, Reply> {
        match operation {
            "BatchGetSecretValue" => self.batch(caller, input),
            "GetSecretValue" => {
                let id = input["SecretId"].as_str().unwrap_or_default();
                self.value(caller, id, input).map(|value| Reply::json(&value))
            }
            "ListSecrets" => self.list(caller, input),
            _ => Err(Reply::error(Form::Json, 400, "UnknownOperationException", "")),
        }
    }

    /// By name, ARN, or ARN without its random end.
    fn find(&self, id: &str) -> Option<(&String, &Secret)> {
        if !id.starts_with("arn:") {
            return self.all.get_key_value(id);
        }
        self.all
            .iter()
            .find(|(_, secret)| secret.arn == id || secret.arn[..secret.arn.len() - 7] == *id)
    }

    fn value(&self, caller: &Key, id: &str, input: &Value) -> Result<Value, Reply> {
        let fail = |code: &str, message: &str| Err(Reply::error(Form::Json, 400, code, message));
        let found = self.find(id);
        let resource = found.map_or_else(
            || format!("arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:{id}"),
            |(_, secret)| secret.arn.clone(),
        );
        caller.allow("secretsmanager:GetSecretValue", &resource, Form::Json)?;
        let Some((name, secret)) = found else {
            return fail(
                "ResourceNotFoundException",
                "Secrets Manager can't find the specified secret.",
            );
        };
        if secret.deletion {
            return fail(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            );
        }
        let (wanted, version) = match (input["VersionId"].as_str(), input["VersionStage"].as_str()) {
            (Some(id), _) => (
                format!("VersionId: {id}"),
                secret.versions.iter().find(|version| version.id == id),
            ),
            (None, stage) => {
                let stage = stage.unwrap_or("AWSCURRENT");
                let found = secret
                    .versions
                    .iter()
                    .find(|version| version.stages.iter().any(|other| other == stage));
                (format!("staging label: {stage}"), found)
            }
        };
        let valued = version.and_then(|version| version.value.clone().map(|value| (version, value)));
        let Some((version, value)) = valued else {
            let message = format!("Secrets Manager can't find the specified secret value for {wanted}");
            return fail("ResourceNotFoundException", &message);
        };
        match secret.kms {
            Kms::Allowed => {}
            Kms::Denied => return fail("AccessDeniedException", "Access to KMS is not allowed"),
            Kms::Disabled => {
                return fail(
                    "DecryptionFailure",
                    "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
                );
            }
        }
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": version.id,
            "VersionStages": version.stages,
            "CreatedDate": seconds(version.created),
        });
        match value {
            Stored::Text(text) => answer["SecretString"] = text.into(),
            Stored::Binary(bytes) => answer["SecretBinary"] = Base64::encode_string(&bytes).into(),
        }
        Ok(answer)
    }

    fn batch(&self, caller: &Key, input: &Value) -> Result<Reply, Reply> {
        caller.allow("secretsmanager:BatchGetSecretValue", "*", Form::Json)?;
        let ids: Vec<&str> = input["SecretIdList"]
            .as_array()
            .map(|ids| ids.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        if !(1..=20).contains(&ids.len()) {
            return Err(Reply::error(
                Form::Json,
                400,
                "InvalidParameterException",
                "SecretIdList must have 1 to 20 members",
            ));
        }
        let from = token(input)?;
        let page = self.batch_page.unwrap_or(20);
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in ids.iter().skip(from).take(page) {
            match self.value(caller, id, &Value::Null) {
                Ok(value) => values.push(value),
                Err(reply) => errors.push(json!({
                    "SecretId": id,
                    "ErrorCode": reply.code,
                    "Message": reply.message(),
                })),
            }
        }
        let mut answer = json!({ "SecretValues": values, "Errors": errors });
        if from + page < ids.len() {
            answer["NextToken"] = (from + page).to_string().into();
        }
        Ok(Reply::json(&answer))
    }

    fn list(&self, caller: &Key, input: &Value) -> Result<Reply, Reply> {
        caller.allow("secretsmanager:ListSecrets", "*", Form::Json)?;
        let most = input["MaxResults"].as_u64().unwrap_or(100);
        if !(1..=100).contains(&most) {
            return Err(Reply::error(
                Form::Json,
                400,
                "InvalidParameterException",
                "MaxResults",
            ));
        }
        let filters = input["Filters"].as_array().cloned().unwrap_or_default();
        let fits = |name: &str| {
            filters.iter().all(|filter| {
                let values = filter["Values"].as_array().cloned().unwrap_or_default();
                values
                    .iter()
                    .any(|value| value.as_str().is_some_and(|value| name.starts_with(value)))
            })
        };
        let names: Vec<_> = self
            .all
            .iter()
            .filter(|(name, secret)| fits(name) && !secret.deletion)
            .collect();
        let (from, most) = (token(input)?, usize::try_from(most).unwrap_or(100));
        let listed: Vec<_> = names
            .iter()
            .skip(from)
            .take(most)
            .map(|(name, secret)| json!({ "Name": name, "ARN": secret.arn }))
            .collect();
        let mut answer = json!({ "SecretList": listed });
        if from + most < names.len() {
            answer["NextToken"] = (from + most).to_string().into();
        }
        Ok(Reply::json(&answer))
    }
}

impl Secret {
    /// The current version becomes the previous one.
    fn promote(&mut self) {
        for version in &mut self.versions {
            version.stages.retain(|stage| stage != "AWSPREVIOUS");
            for stage in &mut version.stages {
                if stage == "AWSCURRENT" {
                    "AWSPREVIOUS".clone_into(stage);
                }
            }
        }
    }
}

/// Where a page begins.
pub(super) fn token(input: &Value) -> Result<usize, Reply> {
    match input["NextToken"].as_str() {
        None => Ok(0),
        Some(token) => token.parse().map_err(|_| {
            Reply::error(
                Form::Json,
                400,
                "InvalidNextTokenException",
                "The NextToken value is invalid.",
            )
        }),
    }
}
