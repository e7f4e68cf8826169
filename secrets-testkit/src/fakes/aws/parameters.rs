//! Parameter Store.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::iam::{ACCOUNT, Key};
use super::instant::seconds;
use super::reply::{Form, Reply};
use super::secrets::{Kms, token};

/// The parameters, by name.
#[derive(Default)]
pub(super) struct Parameters(pub(super) BTreeMap<String, Parameter>);

pub(super) struct Parameter {
    kind: &'static str,
    region: String,
    versions: Vec<Version>,
    pub(super) kms: Kms,
}

struct Version {
    value: String,
    labels: Vec<String>,
    written: SystemTime,
}

impl Parameters {
    /// Writes a value; returns its number.
    pub(super) fn put(
        &mut self,
        name: &str,
        kind: &'static str,
        region: &str,
        value: &str,
        now: SystemTime,
    ) -> usize {
        let parameter = self.0.entry(name.to_owned()).or_insert(Parameter {
            kind,
            region: region.to_owned(),
            versions: Vec::new(),
            kms: Kms::Allowed,
        });
        parameter.versions.push(Version {
            value: value.to_owned(),
            labels: Vec::new(),
            written: now,
        });
        parameter.versions.len()
    }

    pub(super) fn label(&mut self, name: &str, version: usize, label: &str) {
        let Some(parameter) = self.0.get_mut(name) else {
            return;
        };
        for (at, other) in parameter.versions.iter_mut().enumerate() {
            other.labels.retain(|other| other != label);
            if at + 1 == version {
                other.labels.push(label.to_owned());
            }
        }
    }

    pub(super) fn handle(&self, operation: &str, caller: &Key, input: &Value) -> Result<Reply, Reply> {
        let decrypt = input["WithDecryption"].as_bool().unwrap_or(false);
        match operation {
            "GetParameter" => {
                let name = input["Name"].as_str().unwrap_or_default();
                let found = self.read(caller, "ssm:GetParameter", name, decrypt)?;
                Ok(Reply::json(&json!({ "Parameter": found })))
            }
            "GetParameters" => {
                let names = input["Names"].as_array().cloned().unwrap_or_default();
                if !(1..=10).contains(&names.len()) {
                    return Err(Reply::error(
                        Form::Json,
                        400,
                        "ValidationException",
                        "Names must have 1 to 10 members",
                    ));
                }
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                for name in names.iter().filter_map(Value::as_str) {
                    match self.read(caller, "ssm:GetParameters", name, decrypt) {
                        Ok(parameter) => found.push(parameter),
                        Err(reply)
                            if reply
                                .code
                                .as_deref()
                                .is_some_and(|code| code.contains("NotFound")) =>
                        {
                            invalid.push(name);
                        }
                        // One that may not be read has all of them refused.
                        Err(reply) => return Err(reply),
                    }
                }
                Ok(Reply::json(
                    &json!({ "Parameters": found, "InvalidParameters": invalid }),
                ))
            }
            "GetParametersByPath" => self.by_path(caller, input, decrypt),
            _ => Err(Reply::error(Form::Json, 400, "UnknownOperationException", "")),
        }
    }

    fn read(&self, caller: &Key, action: &str, selector: &str, decrypt: bool) -> Result<Value, Reply> {
        let fail = |code: &str| Err(Reply::error(Form::Json, 400, code, ""));
        let (name, version) = match selector.split_once(":parameter") {
            // The colons of an ARN are none of a version.
            Some((_, rest)) if selector.starts_with("arn:") => {
                rest.split_once(':').map_or((rest, None), |(n, v)| (n, Some(v)))
            }
            _ => selector
                .split_once(':')
                .map_or((selector, None), |(name, version)| (name, Some(version))),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
        let rooted = !name.contains('/') || name.starts_with('/');
        if name.is_empty() || !name.chars().all(plain) || !rooted {
            return fail("ValidationException");
        }
        caller.allow(action, &arn("eu-central-1", name), Form::Json)?;
        let Some(parameter) = self.0.get(name) else {
            return fail("ParameterNotFound");
        };
        let at = match version {
            None => Some(parameter.versions.len() - 1),
            Some(version) => match version.parse::<usize>() {
                Ok(number) => number.checked_sub(1).filter(|at| *at < parameter.versions.len()),
                Err(_) => parameter
                    .versions
                    .iter()
                    .position(|other| other.labels.iter().any(|label| label == version)),
            },
        };
        let Some(at) = at else {
            return fail("ParameterVersionNotFound");
        };
        if parameter.kind == "SecureString" && decrypt {
            match parameter.kms {
                Kms::Allowed => {}
                Kms::Denied => {
                    let message =
                        "The ciphertext refers to a customer master key that you are not allowed to access.";
                    return Err(Reply::error(Form::Json, 400, "AccessDeniedException", message));
                }
                Kms::Disabled => return fail("InvalidKeyId"),
            }
        }
        let mut found = parameter.tell(name, at, decrypt);
        if let Some(version) = version {
            found["Selector"] = format!(":{version}").into();
        }
        Ok(found)
    }

    fn by_path(&self, caller: &Key, input: &Value, decrypt: bool) -> Result<Reply, Reply> {
        let path = input["Path"].as_str().unwrap_or_default();
        let most = input["MaxResults"].as_u64().unwrap_or(10);
        if !path.starts_with('/') || !(1..=10).contains(&most) {
            return Err(Reply::error(
                Form::Json,
                400,
                "ValidationException",
                "Path or MaxResults",
            ));
        }
        caller.allow("ssm:GetParametersByPath", &arn("eu-central-1", path), Form::Json)?;
        let below = format!("{}/", path.trim_end_matches('/'));
        let recursive = input["Recursive"].as_bool().unwrap_or(false);
        let names: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| {
                let rest = name
                    .strip_prefix(&below)
                    .or((path == "/").then_some(name.as_str()));
                rest.is_some_and(|rest| recursive || !rest.contains('/'))
            })
            .collect();
        let (from, most) = (token(input)?, usize::try_from(most).unwrap_or(10));
        let page: Vec<_> = names
            .iter()
            .skip(from)
            .take(most)
            .map(|(name, parameter)| parameter.tell(name, parameter.versions.len() - 1, decrypt))
            .collect();
        let mut answer = json!({ "Parameters": page });
        if from + most < names.len() {
            answer["NextToken"] = (from + most).to_string().into();
        }
        Ok(Reply::json(&answer))
    }
}

impl Parameter {
    fn tell(&self, name: &str, at: usize, decrypt: bool) -> Value {
        let version = &self.versions[at];
        let value = if self.kind == "SecureString" && !decrypt {
            "AQICAHfakefakefake"
        } else {
            &version.value
        };
        json!({
            "Name": name,
            "Type": self.kind,
            "Value": value,
            "Version": at + 1,
            "LastModifiedDate": seconds(version.written),
            "ARN": arn(&self.region, name),
            "DataType": "text",
        })
    }
}

fn arn(region: &str, name: &str) -> String {
    let separator = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter{separator}{name}")
}
