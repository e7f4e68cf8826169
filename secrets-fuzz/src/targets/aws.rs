//! What AWS answers: Secrets Manager and Parameter Store in memory, what gives out credentials through a socket.

use std::sync::Mutex;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use base64ct::{Base64, Encoding as _};
use secrecy::SecretString;
use secrets::aws::{ParameterStoreBackend, SecretsManagerBackend, SecretsManagerBuilder};
use secrets::{FakeClock, ReadRequest, SecretBackend, SecretName};
use secrets_testkit::wire::HttpServer;
use serde_json::Value;

use super::{HOUR, address, long_after};
use crate::law;
use crate::script::{Answer, Kept, Script, runtime};

/// A client without a network.
#[derive(Clone, Debug)]
pub(super) struct Scripted(pub(super) Script);

impl HttpClient for Scripted {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = request.body().bytes().map(String::from_utf8_lossy);
        let answer = self.0.next(asked.unwrap_or_default().into_owned());
        let status = answer.status.try_into().expect("it is a status");
        let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
        for (name, value) in answer.headers {
            if let Ok(value) = String::from_utf8(value) {
                // What is no header is left out.
                let _ = response.headers_mut().try_insert(name, value);
            }
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn key() -> Credentials {
    Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "fuzz")
}

pub(super) fn secrets_manager(script: &Script) -> SecretsManagerBackend {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest())
        .region(aws_sdk_secretsmanager::config::Region::new("eu-central-1"))
        .credentials_provider(key())
        .http_client(Scripted(script.clone()))
        .build();
    let client = aws_sdk_secretsmanager::Client::from_conf(config);
    let built = SecretsManagerBackend::with_client(client).build();
    built.expect("the options are fine")
}

pub(super) fn parameter_store(script: &Script) -> ParameterStoreBackend {
    let config = aws_sdk_ssm::Config::builder()
        .behavior_version(aws_sdk_ssm::config::BehaviorVersion::latest())
        .region(aws_sdk_ssm::config::Region::new("eu-central-1"))
        .credentials_provider(key())
        .http_client(Scripted(script.clone()))
        .build();
    let client = aws_sdk_ssm::Client::from_conf(config);
    let built = ParameterStoreBackend::with_client(client).build();
    built.expect("the options are fine")
}

struct Service<B> {
    runtime: tokio::runtime::Runtime,
    script: Script,
    backend: B,
}

/// Reads one, two and a list; `told` is what the reference parser finds in the answer to the first.
fn answered<B: SecretBackend>(service: &Service<B>, input: &[u8], told: impl Fn(&Value) -> Option<Vec<u8>>) {
    let Service {
        runtime,
        script,
        backend,
    } = service;
    if !script.load(input) {
        return;
    }
    let names = ["smtp/database", "smtp/api-key"].map(|name| SecretName::new(name).expect("it is a name"));
    let requests = [ReadRequest::new(&names[0]), ReadRequest::new(&names[1])];
    runtime.block_on(async {
        if let Some(secret) = law::fetched(backend.get(requests[0]).await)
            && let Some(told) = script
                .lax_document_of_a_value()
                .and_then(|document| told(&document))
        {
            assert_eq!(secret.expose_secret(), told, "another value than was sent");
        }
        script.load(input);
        let many = backend.get_many(&requests).await;
        assert_eq!(many.len(), requests.len());
        for outcome in many {
            law::fetched(outcome);
        }
        for prefix in [None, Some(&names[0])] {
            script.load(input);
            law::outcome(backend.list(prefix).await);
        }
        script.load(input);
        law::outcome(backend.check().await);
    });
}

/// Any answer of Secrets Manager is whole values or errors.
pub(crate) fn secrets(input: &[u8]) {
    static SERVICE: Kept<Service<SecretsManagerBackend>> = Kept::new(|| {
        let script = Script::default();
        Mutex::new(Service {
            runtime: runtime(),
            backend: secrets_manager(&script),
            script,
        })
    });
    answered(&SERVICE.get(), input, |document| {
        match (document.get("SecretString"), document.get("SecretBinary")) {
            (Some(Value::String(text)), _) => Some(text.clone().into_bytes()),
            (None, Some(Value::String(text))) => Base64::decode_vec(text).ok(),
            _ => None,
        }
    });
}

/// Any answer of Parameter Store is whole values or errors.
pub(crate) fn parameters(input: &[u8]) {
    static SERVICE: Kept<Service<ParameterStoreBackend>> = Kept::new(|| {
        let script = Script::default();
        Mutex::new(Service {
            runtime: runtime(),
            backend: parameter_store(&script),
            script,
        })
    });
    answered(&SERVICE.get(), input, |document| {
        let value = document.pointer("/Parameter/Value")?;
        Some(value.as_str()?.as_bytes().to_vec())
    });
}

struct Login {
    runtime: tokio::runtime::Runtime,
    script: Script,
    clock: FakeClock,
    backend: SecretsManagerBackend,
    server: HttpServer,
}

impl Login {
    /// A backend that logs in as `how` says. `None` is any port.
    fn new(
        variable: Option<&str>,
        how: impl Fn(SecretsManagerBuilder, &str) -> SecretsManagerBuilder,
    ) -> Mutex<Self> {
        let script = Script::default();
        let server = HttpServer::builder();
        let server = match variable {
            Some(variable) => server.bind(address(variable)),
            None => server,
        };
        let server = script.serve(server, |request| {
            let headers = request.headers();
            if headers.contains_key("x-amz-target") {
                return Some(Answer::ok(r#"{"Name":"app/a","SecretString":"plain"}"#));
            }
            // The first step of two, which brings a token that nobody reads.
            (request.uri().path() == "/latest/api/token").then(|| {
                let mut token = Answer::ok("token");
                let ttl = (
                    "x-aws-ec2-metadata-token-ttl-seconds".to_owned(),
                    b"21600".to_vec(),
                );
                token.headers.push(ttl);
                token
            })
        });
        let clock = FakeClock::new();
        let builder = SecretsManagerBackend::builder()
            .region("eu-central-1")
            .endpoint(server.url())
            .timeout(HOUR)
            .login_timeout(HOUR)
            .clock(clock.clone());
        Mutex::new(Self {
            runtime: runtime(),
            backend: how(builder, &server.url()).build().expect("the options are fine"),
            script,
            clock,
            server,
        })
    }

    fn answered(&self, input: &[u8]) {
        let telling = self.script.load(input);
        long_after(&self.clock);
        let name = SecretName::new("app/a").expect("it is a name");
        let outcome = self.runtime.block_on(self.backend.get(ReadRequest::new(&name)));
        self.server.forget_requests();
        if !telling {
            return;
        }
        law::prints_nothing(&self.backend);
        if let Some(secret) = law::fetched(outcome) {
            assert_eq!(secret.expose_secret(), b"plain");
        }
    }
}

/// Any answer of STS is credentials or an error.
pub(crate) fn roles(input: &[u8]) {
    static LOGIN: Kept<Login> = Kept::new(|| {
        Login::new(None, |builder, url| {
            builder
                .sts_endpoint(url)
                .credentials("AKIAIOSFODNN7EXAMPLE", SecretString::from("secret"), None)
                .role("arn:aws:iam::123456789012:role/app")
        })
    });
    LOGIN.get().answered(input);
}

/// Any answer of a container's credential endpoint is credentials or an error.
pub(crate) fn container(input: &[u8]) {
    static LOGIN: Kept<Login> =
        Kept::new(|| Login::new(Some("AWS_CONTAINER_CREDENTIALS_FULL_URI"), |builder, _| builder));
    LOGIN.get().answered(input);
}

/// Any answer of an instance's metadata service is credentials or an error.
pub(crate) fn instance(input: &[u8]) {
    static LOGIN: Kept<Login> =
        Kept::new(|| Login::new(Some("AWS_EC2_METADATA_SERVICE_ENDPOINT"), |builder, _| builder));
    LOGIN.get().answered(input);
}
