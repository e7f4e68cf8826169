use std::net::SocketAddr;
use std::sync::Arc;

use secrets_azure::{Auth, AzureBackend};
use secrets_core::{Error, ErrorKind, Result, SecretBackend};
use secrets_testkit::wire::{Request, Response};
use serde_json::json;

use super::network::{Network, Store, json as reply, timeout};
use super::{Decodes, network_rows};
use crate::message::Settings;
use crate::subject::{Canaries, Situation, Subject};

const VAULT: &str = "myvault.vault.azure.net";
const ISSUER: &str = "login.microsoftonline.com";
const TENANT: &str = "72f988bf-0000-4000-8000-2d7cd011db47";
const APP: &str = "11111111-2222-4333-8444-555555555555";

/// A client secret, or a managed identity.
pub(super) fn subject() -> Subject {
    Subject {
        name: "Azure Key Vault",
        stage: |canaries: &Canaries, situation: Situation| {
            let mut network = Network::new(canaries, situation, ["localhost", VAULT, ISSUER], answer);
            network.tell("imds", network.url());
            Box::new(network)
        },
        build,
        rows: || network_rows(Decodes::Itself, &[Situation::Login], &[]),
    }
}

fn answer(store: &Store, request: &Request) -> Response {
    let issued = store.canaries.issued.expose();
    match request.uri().path() {
        path if path.starts_with("/secrets/") => {
            if !request.headers().contains_key("authorization") {
                return challenge();
            }
            secret(store, path.trim_start_matches("/secrets/"))
        }
        "/metadata/identity/oauth2/token" => reply(
            200,
            &json!({"access_token": issued, "expires_in": "3600", "resource": "https://vault.azure.net", "token_type": "Bearer"}),
        ),
        path if path.ends_with("/oauth2/v2.0/token") => {
            if store.lets_in(request) {
                return reply(
                    200,
                    &json!({"token_type": "Bearer", "expires_in": 3600, "access_token": issued}),
                );
            }
            let credential = store.canaries.credential.expose();
            let says = format!("AADSTS7000215: Invalid client secret provided: {credential}");
            reply(
                401,
                &json!({"error": "invalid_client", "error_description": says, "error_codes": [7_000_215]}),
            )
        }
        _ => reply(404, &json!({})),
    }
}

fn challenge() -> Response {
    let mut response = reply(
        401,
        &json!({"error": {"code": "Unauthorized", "message": "no token"}}),
    );
    let challenge =
        format!(r#"Bearer authorization="https://{ISSUER}/{TENANT}", resource="https://vault.azure.net""#);
    if let Ok(challenge) = challenge.parse() {
        response.headers_mut().insert("www-authenticate", challenge);
    }
    response
}

fn secret(store: &Store, asked: &str) -> Response {
    let name = asked.trim_end_matches('/');
    let bundle = |value: &str| {
        json!({
            "value": value,
            "id": format!("https://{VAULT}/secrets/{name}/0123456789abcdef0123456789abcdef"),
            "attributes": {"enabled": true},
        })
    };
    if name == "app--canary" {
        store.answer(
            &bundle(store.value()),
            || json!({"error": {"code": "Forbidden", "message": store.value()}}),
        )
    } else {
        reply(200, &bundle("nothing to see"))
    }
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    let socket = settings.text("socket")?.parse::<SocketAddr>();
    let socket = socket.map_err(|_| Error::new(ErrorKind::InvalidConfig, "the stage is nowhere"))?;
    let auth = match settings.situation {
        Situation::Login => Auth::managed_identity(),
        _ => Auth::client_secret(TENANT, APP, settings.credential("credential")?),
    };
    let backend = AzureBackend::builder(VAULT)
        .auth(auth)
        .ca_pem(settings.text("ca")?)
        .idle_connections(settings.idle_connections)
        .imds_endpoint(settings.text("imds")?)
        .login_timeout(timeout(settings))
        .resolve(VAULT, socket)
        .resolve(ISSUER, socket)
        .timeout(timeout(settings))
        .build()?;
    Ok(Arc::new(backend))
}
