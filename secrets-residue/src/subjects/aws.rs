use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{Result, SecretBackend};
use secrets_testkit::wire::{Request, Response};
use serde_json::{Value, json};

use super::network::{Network, Store, json as reply, text, timeout};
use super::{Decodes, many, network_rows};
use crate::message::Settings;
use crate::row::Job;
use crate::scenario::Scenario;
use crate::subject::{Canaries, SECRET, Situation, Stage, Subject};

const REGION: &str = "eu-central-1";

/// What each of these logs in with, besides the key that is given to it.
const LOGINS: &[Situation] = &[Situation::Login, Situation::OtherLogin];

/// A key, a web identity at STS, or what a container is given.
pub(super) fn secrets_manager() -> Subject {
    Subject {
        name: "Secrets Manager",
        stage,
        build: build_secrets_manager,
        rows: || {
            let others = [
                many(Situation::Usual),
                many(Situation::Binary),
                Job::new(Scenario::Read, Situation::Binary),
            ];
            network_rows(Decodes::Elsewhere, LOGINS, &others)
        },
    }
}

/// The same at Systems Manager.
pub(super) fn parameter_store() -> Subject {
    Subject {
        name: "Parameter Store",
        stage,
        build: build_parameter_store,
        rows: || network_rows(Decodes::Elsewhere, LOGINS, &[many(Situation::Usual)]),
    }
}

fn stage(canaries: &Canaries, situation: Situation) -> Box<dyn Stage> {
    let mut network = Network::new(canaries, situation, ["localhost"], answer);
    let url = network.url();
    // No file of the user's, and no metadata service of the machine's.
    network.set("HOME", "/nonexistent");
    network.set("AWS_EC2_METADATA_DISABLED", "true");
    network.set("AWS_ENDPOINT_URL", url.clone());
    let file = network.file("credential", canaries.credential.expose());
    let file = file.display().to_string();
    match situation {
        Situation::Login | Situation::LoginRefused => {
            network.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app");
            network.set("AWS_WEB_IDENTITY_TOKEN_FILE", file);
        }
        Situation::OtherLogin => {
            network.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/credentials"));
            network.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
        }
        _ => {}
    }
    Box::new(network)
}

fn answer(store: &Store, request: &Request) -> Response {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let refusal = || json!({"__type": "AccessDeniedException", "Message": store.value()});
    match target {
        Some("secretsmanager.GetSecretValue") => {
            let id = asked["SecretId"].as_str().unwrap_or_default();
            store.answer_about(id, &secret(store, id), refusal)
        }
        Some("secretsmanager.BatchGetSecretValue") => {
            let ids = asked["SecretIdList"].as_array().into_iter().flatten();
            let secrets: Vec<_> = ids
                .filter_map(Value::as_str)
                .map(|id| secret(store, id))
                .collect();
            store.answer(&json!({"SecretValues": secrets, "Errors": []}), refusal)
        }
        Some("secretsmanager.ListSecrets") => reply(200, &json!({"SecretList": []})),
        Some("AmazonSSM.GetParameter") => {
            let name = asked["Name"].as_str().unwrap_or_default();
            store.answer_about(name, &json!({"Parameter": parameter(store, name)}), refusal)
        }
        Some("AmazonSSM.GetParameters") => {
            let names = asked["Names"].as_array().into_iter().flatten();
            let parameters: Vec<_> = names
                .filter_map(Value::as_str)
                .map(|name| parameter(store, name))
                .collect();
            store.answer(
                &json!({"Parameters": parameters, "InvalidParameters": []}),
                refusal,
            )
        }
        Some("AmazonSSM.GetParametersByPath") => reply(200, &json!({"Parameters": []})),
        _ if request.uri().path() == "/credentials" => container(store, request),
        _ => web_identity(store, request),
    }
}

impl Store {
    /// Only the answer that holds the value is ever broken.
    fn answer_about(&self, id: &str, whole: &Value, refusal: impl FnOnce() -> Value) -> Response {
        if id.trim_start_matches('/') == SECRET {
            self.answer(whole, refusal)
        } else {
            reply(200, whole)
        }
    }
}

fn secret(store: &Store, id: &str) -> Value {
    let mut secret = json!({
        "ARN": format!("arn:aws:secretsmanager:{REGION}:123456789012:secret:{id}-AbCdEf"),
        "Name": id,
        "VersionId": "fa4e0000-0000-4000-8000-000000000001",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_700_000_000,
    });
    match (id, store.situation) {
        (SECRET, Situation::Binary) => {
            secret["SecretBinary"] = Base64::encode_string(store.value().as_bytes()).into();
        }
        (SECRET, _) => secret["SecretString"] = store.value().into(),
        _ => secret["SecretString"] = "nothing to see".into(),
    }
    secret
}

fn parameter(store: &Store, name: &str) -> Value {
    let value = match name.strip_prefix('/') {
        Some(SECRET) => store.value(),
        _ => "nothing to see",
    };
    json!({
        "ARN": format!("arn:aws:ssm:{REGION}:123456789012:parameter{name}"),
        "Name": name,
        "Type": "SecureString",
        "Version": 1,
        "LastModifiedDate": 1_700_000_000,
        "Value": value,
    })
}

/// STS.
fn web_identity(store: &Store, request: &Request) -> Response {
    let (credential, issued) = (store.canaries.credential.expose(), store.canaries.issued.expose());
    if !store.lets_in(request) {
        return text(
            400,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>\
                 <Message>not known: {credential}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            ),
        );
    }
    text(
        200,
        format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAFAKE</AccessKeyId>\
             <SecretAccessKey>{issued}</SecretAccessKey><SessionToken>{issued}</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>AROA:app</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/app/app</Arn></AssumedRoleUser>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

fn container(store: &Store, request: &Request) -> Response {
    if !store.lets_in(request) {
        return reply(401, &json!({"code": "Unauthorized"}));
    }
    let issued = store.canaries.issued.expose();
    reply(
        200,
        &json!({
            "AccessKeyId": "ASIAFAKE",
            "SecretAccessKey": issued,
            "Token": issued,
            "Expiration": "2099-01-01T00:00:00Z",
        }),
    )
}

/// Both builders have the same methods.
macro_rules! build {
    ($backend:ident, $settings:ident) => {{
        let builder = $backend::builder()
            .region(REGION)
            .endpoint($settings.text("address")?)
            .ca_pem($settings.text("ca")?)
            .idle_connections($settings.idle_connections)
            .max_value(1 << 20)
            .timeout(timeout($settings));
        let builder = match $settings.situation {
            Situation::Login | Situation::LoginRefused | Situation::OtherLogin => builder,
            _ => builder.credentials("AKIAFAKE", $settings.credential("credential")?, None),
        };
        Ok(Arc::new(builder.build()?))
    }};
}

fn build_secrets_manager(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    build!(SecretsManagerBackend, settings)
}

fn build_parameter_store(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    build!(ParameterStoreBackend, settings)
}
