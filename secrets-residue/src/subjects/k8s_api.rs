use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use secrets_core::{Result, SecretBackend};
use secrets_k8s::K8sApiBackend;
use secrets_testkit::wire::{Request, Response};
use serde_json::{Value, json};

use super::network::{Network, Store, json as reply, timeout};
use super::{Decodes, document, many, network_rows};
use crate::message::Settings;
use crate::row::{Job, Row};
use crate::scenario::Scenario;
use crate::subject::{Canaries, Situation, Stage, Subject};

/// What a watch brings when the Secret is replaced.
const REPLACED: &str = concat!(
    r#"{"type":"MODIFIED","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","#,
    r#""metadata":{"name":"app","namespace":"app","resourceVersion":"2"}}}"#,
    "\n"
);

/// A token, a token in a file, or what a plugin brings.
pub(super) fn subject() -> Subject {
    Subject {
        name: "Kubernetes, API",
        stage,
        build,
        rows,
    }
}

fn rows() -> Vec<Row> {
    let [field, whole] = document();
    let watched = Job::new(Scenario::Watch, Situation::Usual);
    network_rows(
        Decodes::Itself,
        &[Situation::Login, Situation::OtherLogin],
        &[field, whole, many(Situation::Usual), watched],
    )
}

fn stage(canaries: &Canaries, situation: Situation) -> Box<dyn Stage> {
    let mut network = Network::new(canaries, situation, ["localhost"], answer);
    let credential = canaries.credential.expose();
    match situation {
        Situation::Document => {
            network.tell("secret", "app");
            network.tell("field", "canary");
        }
        Situation::Login | Situation::LoginRefused => {
            network.tell("token", network.file("token", credential).display().to_string());
        }
        Situation::OtherLogin => {
            let kubeconfig = plugin(&network, credential);
            network.tell("kubeconfig", kubeconfig);
        }
        _ => {}
    }
    Box::new(network)
}

/// A kubeconfig whose user is whoever a command says.
fn plugin(network: &Network, token: &str) -> String {
    let says = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    });
    let says = network.file("credential.json", &says.to_string());
    let command = network.file(
        "plugin",
        &format!("#!/bin/sh\nexec /bin/cat {}\n", says.display()),
    );
    let runnable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&command, runnable).expect("the file is ours");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "residue",
        "contexts": [{"name": "residue", "context": {"cluster": "residue", "user": "residue", "namespace": "app"}}],
        "clusters": [{"name": "residue", "cluster": {
            "server": network.url(),
            "certificate-authority-data": Base64::encode_string(network.ca_pem().as_bytes()),
        }}],
        "users": [{"name": "residue", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": command.display().to_string(),
            "interactiveMode": "Never",
        }}}],
    });
    let config = network.file("kubeconfig", &config.to_string());
    config.display().to_string()
}

fn answer(store: &Store, request: &Request) -> Response {
    if !store.lets_in(request) {
        let credential = store.canaries.credential.expose();
        return status(401, "Unauthorized", &format!("unknown token {credential}"));
    }
    let uri = request.uri();
    if uri.query().is_some_and(|query| query.contains("watch=true")) {
        return store.watch(REPLACED);
    }
    let accept = request
        .headers()
        .get("accept")
        .and_then(|accept| accept.to_str().ok());
    let partial = accept.is_some_and(|accept| accept.contains("PartialObjectMetadata"));
    match uri.path().strip_prefix("/api/v1/namespaces/app/secrets") {
        Some("/app") if partial => reply(200, &metadata(store)),
        Some("/app") => store.answer(&secret(store), || {
            denied(&format!("secrets \"app\" is forbidden: {}", store.value()))
        }),
        Some("") => store.answer(&list(store), || {
            denied(&format!("secrets is forbidden: {}", store.value()))
        }),
        Some(path) => reply(200, &other(path.trim_start_matches('/'))),
        None => {
            let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
            reply(
                201,
                &json!({"kind": "SelfSubjectRulesReview", "status": {"resourceRules": rules, "incomplete": false}}),
            )
        }
    }
}

fn version(store: &Store) -> &'static str {
    if store.rotated() { "2" } else { "1" }
}

fn secret(store: &Store) -> Value {
    json!({
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "app", "namespace": "app", "resourceVersion": version(store)},
        "type": "Opaque",
        "data": {
            "canary": Base64::encode_string(store.value().as_bytes()),
            "other": Base64::encode_string(b"nothing to see"),
        },
    })
}

fn metadata(store: &Store) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "app", "namespace": "app", "resourceVersion": version(store)},
    })
}

fn other(name: &str) -> Value {
    json!({
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "app", "resourceVersion": "1"},
        "type": "Opaque",
        "data": {"other": Base64::encode_string(b"nothing to see")},
    })
}

fn list(store: &Store) -> Value {
    json!({
        "kind": "SecretList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version(store)},
        "items": [secret(store), other("first"), other("second")],
    })
}

fn denied(message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message})
}

fn status(code: u16, reason: &str, message: &str) -> Response {
    reply(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": message}),
    )
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    let builder = match settings.situation {
        Situation::OtherLogin => K8sApiBackend::kubeconfig().kubeconfig(settings.text("kubeconfig")?),
        _ => K8sApiBackend::server(settings.text("address")?).ca_pem(settings.text("ca")?),
    };
    let builder = match settings.situation {
        Situation::OtherLogin => builder,
        Situation::Login => builder.token_file(settings.text("token")?),
        _ => builder.token(settings.credential("credential")?),
    };
    let backend = builder
        .namespace("app")
        .list_namespace(true)
        .idle_connections(settings.idle_connections)
        .timeout(timeout(settings))
        .build()?;
    Ok(Arc::new(backend))
}
