//! The conformance suite, and what else matters, on servers that others wrote: moto (plain and over TLS) and ministack.
//!
//! What one of them gets wrong is named, must fail, and is proved by another or by the fake.

use std::sync::Arc;

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_secretsmanager::primitives::Blob;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use secrecy::SecretString;
use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{ErrorKind, ReadRequest, SecretBackend, SecretName, Version};
use secrets_testkit::{Facts, Harness, Outcome, async_trait, cases};

use crate::conformance::{Service, managed};
use crate::support::{kind, name, read, read_version, value};

/// One of the servers, by its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Ministack,
    Moto,
    MotoTls,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the servers first"))
}

impl Server {
    fn url(self) -> String {
        variable(match self {
            Self::Ministack => "SECRETS_TEST_MINISTACK_URL",
            Self::Moto => "SECRETS_TEST_MOTO_URL",
            Self::MotoTls => "SECRETS_TEST_MOTO_TLS_URL",
        })
    }

    fn ca(self) -> Option<Vec<u8>> {
        (self == Self::MotoTls).then(|| std::fs::read(variable("SECRETS_TEST_CA_FILE")).unwrap())
    }

    fn config(self) -> aws_types::SdkConfig {
        let trust = self.ca().map_or_else(TrustStore::empty, |pem| {
            TrustStore::empty().with_pem_certificate(pem)
        });
        let tls = TlsContext::builder().with_trust_store(trust).build().unwrap();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls)
            .build_https();
        aws_types::SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(aws_sdk_secretsmanager::config::SharedCredentialsProvider::new(
                Credentials::new("test", "test", None, None, "test"),
            ))
            .endpoint_url(self.url())
            .http_client(http)
            .region(Region::new("us-east-1"))
            .sleep_impl(aws_sdk_secretsmanager::config::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .build()
    }

    fn secrets(self, key: (&str, &str)) -> SecretsManagerBackend {
        let builder = SecretsManagerBackend::builder()
            .region("us-east-1")
            .endpoint(self.url())
            .credentials(key.0, SecretString::from(key.1), None);
        match self.ca() {
            Some(pem) => builder.ca_pem(pem),
            None => builder,
        }
        .build()
        .unwrap()
    }

    fn parameters(self) -> ParameterStoreBackend {
        let builder = ParameterStoreBackend::builder()
            .region("us-east-1")
            .endpoint(self.url())
            .credentials("test", SecretString::from("test"), None);
        match self.ca() {
            Some(pem) => builder.ca_pem(pem),
            None => builder,
        }
        .build()
        .unwrap()
    }
}

/// A server as the kit wants it.
struct Live {
    server: Server,
    service: Service,
    managed: bool,
}

#[async_trait]
impl Harness for Live {
    fn facts(&self) -> Facts {
        self.service.facts()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        let backend: Arc<dyn SecretBackend> = match self.service {
            Service::Secrets => Arc::new(self.server.secrets(("test", "test"))),
            Service::Parameters => Arc::new(self.server.parameters()),
        };
        if self.managed {
            managed(backend)
        } else {
            Ok(backend)
        }
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let config = self.server.config();
        let version = match self.service {
            Service::Secrets => {
                let request = aws_sdk_secretsmanager::Client::new(&config)
                    .create_secret()
                    .name(name.as_str());
                let request = match std::str::from_utf8(value) {
                    Ok(text) => request.secret_string(text),
                    Err(_) => request.secret_binary(Blob::new(value)),
                };
                request.send().await?.version_id.ok_or("no version")?
            }
            Service::Parameters => put_parameter(&config, name, value).await?,
        };
        Ok(Some(Version::new(version)?))
    }

    async fn update(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let config = self.server.config();
        let version = match self.service {
            Service::Secrets => {
                let client = aws_sdk_secretsmanager::Client::new(&config);
                let request = client.put_secret_value().secret_id(name.as_str());
                let request = match std::str::from_utf8(value) {
                    Ok(text) => request.secret_string(text),
                    Err(_) => request.secret_binary(Blob::new(value)),
                };
                request.send().await?.version_id.ok_or("no version")?
            }
            Service::Parameters => put_parameter(&config, name, value).await?,
        };
        Ok(Some(Version::new(version)?))
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let config = self.server.config();
        match self.service {
            Service::Secrets => {
                let client = aws_sdk_secretsmanager::Client::new(&config);
                let request = client.delete_secret().secret_id(name.as_str());
                request.force_delete_without_recovery(true).send().await?;
            }
            Service::Parameters => {
                let client = aws_sdk_ssm::Client::new(&config);
                client.delete_parameter().name(format!("/{name}")).send().await?;
            }
        }
        Ok(())
    }
}

async fn put_parameter(config: &aws_types::SdkConfig, name: &SecretName, value: &[u8]) -> Outcome<String> {
    let client = aws_sdk_ssm::Client::new(config);
    let request = client
        .put_parameter()
        .name(format!("/{name}"))
        .value(std::str::from_utf8(value)?)
        .r#type(aws_sdk_ssm::types::ParameterType::SecureString)
        .overwrite(true);
    Ok(request.send().await?.version.to_string())
}

/// Runs every case that applies. Those named have to fail: the server is wrong there.
async fn every_case(live: Live, wrong: &[&str]) {
    let mut failed = Vec::new();
    let mut ran = 0;
    for case in cases() {
        if !case.applies_to(&live).await.unwrap() {
            continue;
        }
        ran += 1;
        if let Err(failure) = case.run(&live).await {
            failed.push((failure.case().to_owned(), failure.to_string()));
        }
    }
    assert!(ran > 20, "only {ran} cases apply");
    let names: Vec<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, wrong, "{failed:#?}");
}

macro_rules! kit {
    ($($test:ident: $server:ident, $service:ident, $managed:literal, $wrong:expr;)*) => {
        $(
            #[tokio::test]
            #[ignore = "needs moto and ministack: the variables that tools/servers exports"]
            async fn $test() {
                let live = Live { server: Server::$server, service: Service::$service, managed: $managed };
                every_case(live, &$wrong).await;
            }
        )*
    };
}

/// moto answers for a stage that no version has as for a secret that is absent; ministack and the fake tell them apart.
const MOTO: [&str; 1] = ["r1_what_is_no_version_is_never_latest"];

/// ministack drops versions that have no stage left at once, which AWS keeps for a time; moto and the fake keep them.
const MINISTACK: [&str; 1] = ["r1_versions_address_distinct_things"];

kit! {
    kit_on_moto_secrets_manager: Moto, Secrets, false, MOTO;
    kit_on_moto_secrets_manager_over_tls: MotoTls, Secrets, false, MOTO;
    kit_on_moto_secrets_manager_through_the_manager: Moto, Secrets, true, MOTO;
    kit_on_moto_parameter_store: Moto, Parameters, false, [];
    kit_on_moto_parameter_store_over_tls: MotoTls, Parameters, false, [];
    kit_on_moto_parameter_store_through_the_manager: Moto, Parameters, true, [];
    kit_on_ministack_secrets_manager: Ministack, Secrets, false, MINISTACK;
    kit_on_ministack_secrets_manager_through_the_manager: Ministack, Secrets, true, MINISTACK;
}

/// A name of one test alone.
fn unique(what: &str) -> String {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    format!("app/{what}-{}-{}", std::process::id(), since.as_nanos())
}

async fn put(server: Server, id: &str, text: &str) -> String {
    let client = aws_sdk_secretsmanager::Client::new(&server.config());
    let request = client.create_secret().name(id).secret_string(text);
    request.send().await.unwrap().arn.unwrap()
}

#[tokio::test]
#[ignore = "needs ministack: the variables that tools/servers exports"]
async fn e2_a_reader_is_denied_and_reads_one_by_one() {
    let reader = (
        variable("SECRETS_TEST_MINISTACK_READER_ACCESS_KEY_ID"),
        variable("SECRETS_TEST_MINISTACK_READER_SECRET_ACCESS_KEY"),
    );
    let backend = Server::Ministack.secrets((&reader.0, &reader.1));
    let (first, second) = (unique("reader"), unique("reader"));
    for id in [&first, &second] {
        put(Server::Ministack, id, "for the reader").await;
    }
    let foreign = unique("x").replace("app/", "other/");
    put(Server::Ministack, &foreign, "for others").await;
    assert_eq!(
        read(&backend, &first).await.unwrap().expose_secret(),
        b"for the reader"
    );
    let error = read(&backend, &foreign).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.message().contains("secretsmanager:GetSecretValue"),
        "{error}"
    );
    let names = [name(&first), name(&foreign), name(&second)];
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    let kinds: Vec<_> = backend
        .get_many(&requests)
        .await
        .into_iter()
        .map(|answer| value(answer).map(drop).map_err(|error| error.kind()))
        .collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::PermissionDenied), Ok(())]);
    assert_eq!(backend.check().await.map_err(|error| error.kind()), Ok(()));
    let stranger = Server::Ministack.secrets(("AKIAAAAAAAAAAAAAAAAA", "wrong"));
    assert_eq!(kind(&stranger, &first).await, Err(ErrorKind::Unauthenticated));
    let forger = Server::Ministack.secrets((&reader.0, "wrong"));
    assert_eq!(kind(&forger, &first).await, Err(ErrorKind::Unauthenticated));
}

#[tokio::test]
#[ignore = "needs moto and ministack: the variables that tools/servers exports"]
async fn r4_scheduled_for_deletion_is_disabled_and_arns_are_names() {
    for server in [Server::Moto, Server::MotoTls, Server::Ministack] {
        let backend = server.secrets(("test", "test"));
        let id = unique("deletion");
        let arn = put(server, &id, "there").await;
        assert_eq!(read(&backend, &arn).await.unwrap().expose_secret(), b"there");
        let absent = read_version(&backend, &id, "00000000-0000-4000-8000-000000000000")
            .await
            .unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::VersionNotFound, "{server:?}");
        let client = aws_sdk_secretsmanager::Client::new(&server.config());
        client
            .delete_secret()
            .secret_id(&id)
            .recovery_window_in_days(7)
            .send()
            .await
            .unwrap();
        let error = read(&backend, &id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disabled, "{server:?}: {error}");
        assert!(error.message().contains("scheduled for deletion"), "{error}");
    }
}

#[tokio::test]
#[ignore = "needs moto: the variables that tools/servers exports"]
async fn labels_and_lists_of_strings_are_read_from_moto() {
    for server in [Server::Moto, Server::MotoTls] {
        let client = aws_sdk_ssm::Client::new(&server.config());
        let id = unique("label");
        for text in ["one,1", "two,2"] {
            let request = client
                .put_parameter()
                .name(format!("/{id}"))
                .value(text)
                .overwrite(true);
            let kind = aws_sdk_ssm::types::ParameterType::StringList;
            request.r#type(kind).send().await.unwrap();
        }
        let label = client.label_parameter_version().name(format!("/{id}"));
        label.parameter_version(1).labels("stable").send().await.unwrap();
        let backend = server.parameters();
        assert_eq!(read(&backend, &id).await.unwrap().expose_secret(), b"two,2");
        let labelled = read_version(&backend, &id, "label:stable").await.unwrap();
        assert_eq!(labelled.expose_secret(), b"one,1");
        assert_eq!(labelled.metadata().version().unwrap().as_str(), "1");
    }
}
