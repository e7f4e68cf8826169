//! S1: a value, a key and a token show up nowhere, whatever is answered.

use std::fmt::Write as _;
use std::sync::Arc;

use secrecy::SecretString;
use secrets_aws::{ParameterStoreBackend, SecretsManagerBackend};
use secrets_core::{ErrorKind, ReadRequest, Result, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::aws::{Failure, FakeAws};
use secrets_testkit::wire::{Endpoint, LeakTable, Request};
use tokio::sync::Mutex;

use crate::support::{ALL, name, read};

const ROLE: &str = "arn:aws:iam::123456789012:role/app";

/// Each table looks through all that the process says meanwhile, and the SDK says much: one at a time.
static TABLE: Mutex<()> = Mutex::const_new(());

/// Every kind that the table of errors can give to a read that is well-formed and not of a version.
const KINDS: [ErrorKind; 11] = [
    ErrorKind::Disabled,
    ErrorKind::InvalidConfig,
    ErrorKind::InvalidData,
    ErrorKind::NotFound,
    ErrorKind::PermissionDenied,
    ErrorKind::RateLimited,
    ErrorKind::Timeout,
    ErrorKind::Unauthenticated,
    ErrorKind::Unavailable,
    ErrorKind::Unsupported,
    ErrorKind::VersionNotFound,
];

/// The bodies that a service sends: errors of those kinds that no status gives by itself, and its own.
fn table<const N: usize>(canaries: [Canary; 2], bodies: [&str; N]) -> LeakTable {
    let codes = [
        "DecryptionFailure",
        "ParameterVersionNotFound",
        "RegionDisabledException",
        "ResourceNotFoundException",
        "UnknownOperationException",
    ];
    let errors = codes.map(|code| {
        format!(r#"{{"__type":"com.amazonaws#{code}","message":"CANARY, kms, was deleted: CANARY","Message":"CANARY"}}"#)
    });
    let table = errors
        .into_iter()
        .fold(LeakTable::new(canaries), LeakTable::with_body);
    bodies.into_iter().fold(table, LeakTable::with_body)
}

fn holds_every_kind(kinds: &[ErrorKind]) {
    for kind in KINDS {
        assert!(kinds.contains(&kind), "{kind} was not among {kinds:?}");
    }
    assert_eq!(kinds.len(), KINDS.len(), "{kinds:?}");
}

fn secrets(endpoint: &Endpoint, key: &Canary) -> secrets_aws::SecretsManagerBuilder {
    SecretsManagerBackend::builder()
        .region("eu-central-1")
        .endpoint(&endpoint.url)
        .ca_pem(endpoint.ca_pem.as_str())
        .credentials("AKIDFAKE", key.expose(), Some(key.expose().into()))
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_secrets_manager_answers_is_printed() {
    let _alone = TABLE.lock().await;
    let [value, key] = [(); 2].map(|()| Canary::random());
    let build =
        |endpoint: &Endpoint| Ok(Arc::new(secrets(endpoint, &key).build()?) as Arc<dyn SecretBackend>);
    let bodies = [
        r#"{"__type":"CANARY","message":"CANARY"}"#,
        r#"{"Name":"a","SecretString":"CANARY","CreatedDate":"CANARY"}"#,
        r#"{"Name":"a","SecretString":"CANARY","VersionStages":["AWSCURRENT"]}"#,
        r#"{"Name":"a","SecretBinary":"CANARY!"}"#,
        r#"{"SecretString":"CANARY\ud800"}"#,
        r#"{"SecretList":[{"Name":"a","Description":"CANARY"}]}"#,
    ];
    let table = table([value, key.clone()], bodies);
    holds_every_kind(&table.check(build, |_: &Request| None).await.unwrap());
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_parameter_store_answers_is_printed() {
    let _alone = TABLE.lock().await;
    let [value, key] = [(); 2].map(|()| Canary::random());
    let build = |endpoint: &Endpoint| {
        let backend = ParameterStoreBackend::builder()
            .region("eu-central-1")
            .endpoint(&endpoint.url)
            .ca_pem(endpoint.ca_pem.as_str())
            .credentials("AKIDFAKE", key.expose(), Some(key.expose().into()));
        Ok(Arc::new(backend.build()?) as Arc<dyn SecretBackend>)
    };
    let bodies = [
        r#"{"Parameter":{"Name":"/a","Value":"CANARY","Version":"CANARY"}}"#,
        r#"{"Parameter":{"Name":"/a","Type":"SecureString","Value":"CANARY","Version":1}}"#,
        r#"{"Parameter":{"Name":"/a","Value":"CANARY"#,
        r#"{"Parameters":[{"Name":"/a","Value":"CANARY","LastModifiedDate":"CANARY"}]}"#,
    ];
    let table = table([value, key.clone()], bodies);
    holds_every_kind(&table.check(build, |_: &Request| None).await.unwrap());
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_sts_answers_is_printed() {
    let _alone = TABLE.lock().await;
    let [value, key] = [(); 2].map(|()| Canary::random());
    let mut table = LeakTable::new([value, key.clone()]);
    for body in [
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>CANARY</Message></Error></ErrorResponse>",
        "<ErrorResponse><Error><Code>CANARY</Code><Message>CANARY</Message></Error></ErrorResponse>",
        "<ErrorResponse><Error><Code>Throttling</Code><Message>CANARY</Message></Error></ErrorResponse>",
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>CANARY</AccessKeyId><SecretAccessKey>CANARY\
         </SecretAccessKey><SessionToken>CANARY</SessionToken><Expiration>CANARY</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>",
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><SecretAccessKey>CANARY</SecretAccessKey></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>",
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><SecretAccessKey>CANARY</Secret",
        "<CANARY CANARY='CANARY'><AssumeRoleResult>&CANARY;</AssumeRoleResult></CANARY>",
    ] {
        table = table.with_body(body);
    }
    let build = |endpoint: &Endpoint| {
        let builder = secrets(endpoint, &key).role(ROLE).sts_endpoint(&endpoint.url);
        Ok(Arc::new(builder.build()?) as Arc<dyn SecretBackend>)
    };
    let kinds = table.check(build, |_: &Request| None).await.unwrap();
    for kind in [
        ErrorKind::InvalidData,
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
        ErrorKind::Unauthenticated,
        ErrorKind::Unavailable,
    ] {
        assert!(kinds.contains(&kind), "{kind} was not among {kinds:?}");
    }
    assert_eq!(kinds.len(), 5, "a login has no other kinds: {kinds:?}");
}

/// Everything that can be printed of a thing and of what caused it.
fn printed(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, "{cause} {cause:?} {cause:#?}").unwrap();
        source = cause.source();
    }
    text
}

/// The table asks for one secret at a time, which needs no batch.
#[tokio::test]
async fn s1_e5_nothing_that_a_batch_answers_is_printed() {
    let [value, keys] = [(); 2].map(|()| Canary::random());
    let aws = FakeAws::builder()
        .credential_prefix(keys.expose())
        .start()
        .unwrap();
    let (id, key) = aws.user("app", ALL);
    let secrets = || {
        SecretsManagerBackend::builder()
            .region(aws.region())
            .endpoint(aws.url())
            .ca_pem(aws.ca_pem())
            .credentials(&id, SecretString::from(key.clone()), None)
    };
    let parameters = ParameterStoreBackend::builder()
        .region(aws.region())
        .endpoint(aws.url())
        .ca_pem(aws.ca_pem())
        .credentials(&id, SecretString::from(key.clone()), None);
    let absent = |text: &str| {
        for canary in [&value, &keys] {
            assert_eq!(canary.find_in(text), None, "{text}");
        }
    };
    absent(&format!("{:?} {:#?} {parameters:?}", secrets(), secrets()));
    let (secrets, parameters) = (secrets().build().unwrap(), parameters.build().unwrap());
    let echo = format!("{} {key}", value.expose());
    let [one, other] = ["a", "b"].map(name);
    let requests = [ReadRequest::new(&one), ReadRequest::new(&other)];
    let (mut failed, mut read) = (0, 0);
    for status in [200, 301, 400, 403, 429, 500] {
        for body in [
            echo.clone(),
            format!(r#"{{"__type":"{echo}","message":"{echo}"}}"#),
            format!(r#"{{"__type":"ThrottlingException","message":"{echo}"}}"#),
            format!(
                r#"{{"SecretValues":[{{"Name":"a","SecretString":"{echo}"}}],"Errors":[{{"SecretId":"b","ErrorCode":"{echo}","Message":"{echo}"}}]}}"#
            ),
            format!(
                r#"{{"SecretValues":[{{"Name":"{echo}"}}],"Errors":[{{"SecretId":"b","ErrorCode":"DecryptionFailure","Message":"kms {echo}"}}]}}"#
            ),
            format!(r#"{{"SecretValues":[{{"Name":"a","SecretBinary":"{echo}"}}]}}"#),
            format!(r#"{{"SecretValues":[{{"Name":"a","SecretString":"{echo}"#),
            format!(
                r#"{{"Parameters":[{{"Name":"/a","Value":"{echo}"}}],"InvalidParameters":["{echo}","/b"]}}"#
            ),
            format!(r#"{{"Parameters":[{{"Name":"/a","Value":"{echo}","Version":"{echo}"}}]}}"#),
        ] {
            aws.fail(
                Failure::new("", status)
                    .body(body)
                    .header("retry-after", echo.clone()),
            );
            for backend in [&secrets as &dyn SecretBackend, &parameters] {
                for answer in backend.get_many(&requests).await {
                    match answer {
                        Ok(secret) => {
                            absent(&format!("{secret:?} {secret:#?}"));
                            read += 1;
                        }
                        Err(error) => {
                            absent(&printed(&error));
                            failed += 1;
                        }
                    }
                }
            }
            aws.heal();
        }
    }
    assert!(read >= 2 && failed > 150, "{read} read, {failed} failed");
    absent(&format!("{secrets:#?} {parameters:#?}"));
    let value: Result<_> = self::read(&secrets, "absent").await;
    absent(&printed(&value.unwrap_err()));
}
