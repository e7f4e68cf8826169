use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrets_core::{Result, SecretBackend};
use secrets_testkit::wire::{Body, BodySender, HttpServer, Request, Response, TestCa};
use secrets_vault::VaultBackend;
use serde_json::{Value, json};

use super::network_rows;
use crate::message::Settings;
use crate::subject::{Canaries, Situation, Stage, Subject};

/// The few answers of Vault that these scenarios need, over TLS.
pub(super) fn subject() -> Subject {
    Subject {
        name: "Vault",
        stage: |canaries: &Canaries, situation: Situation| Box::new(Vault::new(canaries, situation)),
        build,
        rows: || network_rows(&[Situation::Usual, Situation::Login, Situation::LoginRefused]),
    }
}

struct Vault {
    server: HttpServer,
    ca: TestCa,
    store: Arc<Store>,
}

struct Store {
    canaries: Canaries,
    situation: Situation,
    rotated: AtomicBool,
    /// The answers that have begun and do not end.
    begun: Mutex<Vec<BodySender>>,
}

impl Vault {
    fn new(canaries: &Canaries, situation: Situation) -> Self {
        let ca = TestCa::new();
        let store = Arc::new(Store {
            canaries: canaries.clone(),
            situation,
            rotated: AtomicBool::new(false),
            begun: Mutex::default(),
        });
        let answering = store.clone();
        let server = HttpServer::builder()
            .tls(ca.issue(["localhost"]).server_config())
            .start(move |request| {
                let response = answering.answer(&request);
                async move { response }
            })
            .expect("a server can be started");
        Self { server, ca, store }
    }
}

impl Stage for Vault {
    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("address", self.server.url_for("localhost")),
            ("ca", self.ca.pem().to_owned()),
            ("situation", format!("{:?}", self.store.situation)),
        ]
    }

    fn rotate(&self) {
        self.store.rotated.store(true, Ordering::Relaxed);
    }
}

impl Store {
    fn answer(&self, request: &Request) -> Response {
        match request.uri().path().trim_start_matches("/v1/") {
            "auth/approle/login" => self.login(request),
            "auth/token/lookup-self" => reply(
                200,
                &json!({"data": {"ttl": 0, "renewable": false, "type": "service"}}),
            ),
            "secret/data/app/canary" => self.read(),
            "secret/data/app/other" => value("nothing to see"),
            _ => reply(404, &json!({"errors": []})),
        }
    }

    fn login(&self, request: &Request) -> Response {
        let credential = self.canaries.credential.expose();
        let sent = String::from_utf8_lossy(request.body()).into_owned();
        if self.situation == Situation::LoginRefused || !sent.contains(credential) {
            return reply(
                400,
                &json!({"errors": [format!("invalid secret id {credential}")]}),
            );
        }
        let token = self.canaries.issued.expose();
        reply(
            200,
            &json!({"auth": {"client_token": token, "lease_duration": 3600, "renewable": true, "token_type": "service"}}),
        )
    }

    fn read(&self) -> Response {
        if self.rotated.load(Ordering::Relaxed) {
            return value("another value");
        }
        let canary = self.canaries.value.expose();
        let whole = json!({"data": {"data": {"value": canary}, "metadata": {"version": 1}}}).to_string();
        match self.situation {
            Situation::CutOff => {
                let (sender, body) = Body::stream();
                // Up to the end of the value, and nothing more.
                let value = whole.find(r#""},"#).unwrap_or(whole.len());
                sender.send(whole[..value].to_owned());
                self.begun
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(sender);
                Response::new(body)
            }
            Situation::Denied => reply(403, &json!({"errors": [format!("permission denied: {canary}")]})),
            Situation::Malformed => Response::new(whole.trim_end_matches('}').to_owned().into()),
            _ => Response::new(whole.into()),
        }
    }
}

fn value(text: &str) -> Response {
    reply(
        200,
        &json!({"data": {"data": {"value": text}, "metadata": {"version": 2}}}),
    )
}

fn reply(status: u16, body: &Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

fn build(settings: &Settings) -> Result<Arc<dyn SecretBackend>> {
    let situation = settings.text("situation")?;
    let credential = settings.credential("credential")?;
    let builder = VaultBackend::builder(settings.text("address")?)
        .ca_pem(settings.text("ca")?)
        .idle_connections(situation != "NoIdle")
        .timeout(Duration::from_secs(1));
    let builder = if situation.starts_with("Login") {
        builder.app_role("residue", credential)
    } else {
        builder.token(credential)
    };
    Ok(Arc::new(builder.build()?))
}
