use std::sync::Arc;

use secrets_core::{Result, SecretBackend};
use secrets_testkit::wire::{Request, Response};
use secrets_vault::VaultBackend;
use serde_json::{Value, json};

use super::network::{Network, Store, json as reply, timeout};
use super::{Decodes, document, network_rows};
use crate::message::Settings;
use crate::subject::{Canaries, OTHER, Situation, Subject};

/// A token, or an `AppRole`.
pub(super) fn subject() -> Subject {
    Subject {
        name: "Vault",
        stage: |canaries: &Canaries, situation: Situation| {
            Box::new(Network::new(canaries, situation, ["localhost"], answer))
        },
        build,
        rows: || network_rows(Decodes::Itself, &[Situation::Login], &document()),
    }
}

fn answer(store: &Store, request: &Request) -> Response {
    match request.uri().path().trim_start_matches("/v1/") {
        "auth/approle/login" => login(store, request),
        "auth/token/lookup-self" => reply(
            200,
            &json!({"data": {"ttl": 0, "renewable": false, "type": "service"}}),
        ),
        "secret/data/app/canary" => {
            let data = match store.situation {
                Situation::Document => json!({"user": "app", "password": store.value()}),
                _ => json!({"value": store.value()}),
            };
            store.answer(
                &version(&data),
                || json!({"errors": [format!("permission denied: {}", store.value())]}),
            )
        }
        path if path.strip_prefix("secret/data/") == Some(OTHER) => {
            reply(200, &version(&json!({"value": "nothing to see"})))
        }
        _ => reply(404, &json!({"errors": []})),
    }
}

fn login(store: &Store, request: &Request) -> Response {
    if !store.lets_in(request) {
        let credential = store.canaries.credential.expose();
        return reply(
            400,
            &json!({"errors": [format!("invalid secret id {credential}")]}),
        );
    }
    let token = store.canaries.issued.expose();
    reply(
        200,
        &json!({"auth": {"client_token": token, "lease_duration": 3600, "renewable": true, "token_type": "service"}}),
    )
}

fn version(data: &Value) -> Value {
    json!({"data": {"data": data, "metadata": {"version": 1}}})
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    let credential = settings.credential("credential")?;
    let builder = VaultBackend::builder(settings.text("address")?)
        .ca_pem(settings.text("ca")?)
        .idle_connections(settings.idle_connections)
        .timeout(timeout(settings));
    let builder = match settings.situation {
        Situation::Login | Situation::LoginRefused => builder.app_role("residue", credential),
        _ => builder.token(credential),
    };
    Ok(Arc::new(builder.build()?))
}
