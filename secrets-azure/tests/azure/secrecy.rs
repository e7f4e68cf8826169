//! S1: a canary secret and a canary token show up nowhere.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use secrets_azure::{Auth, AzureBackend, Credential};
use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::Canary;
use secrets_testkit::fakes::azure::{HOST, TENANT};
use secrets_testkit::wire::http::{HeaderValue, StatusCode, header};
use secrets_testkit::wire::{Endpoint, LeakTable, Request, Response};

use crate::auth::Issued;
#[cfg(unix)]
use crate::auth::tool;
use crate::support::{APP, again, is_child};

/// What Key Vault says instead of a secret, and what it says when it gives one or a list of them.
const OF_THE_VAULT: [&str; 10] = [
    r#"{"error":{"code":"Forbidden","message":"CANARY","innererror":{"code":"SecretDisabled"}}}"#,
    r#"{"error":{"code":"Forbidden","message":"Caller is not authorized: CANARY","innererror":{"code":"ForbiddenByRbac"}}}"#,
    r#"{"error":{"code":"CANARY","message":"AKV10032: CANARY","innererror":{"code":"CANARY","innererror":{"code":"CANARY"}}}}"#,
    r#"{"error":{"code":"VaultNotFound","message":"CANARY"}}"#,
    r#"{"value":"CANARY","id":"https://myvault.vault.azure.net/secrets/app--canary/CANARY","attributes":{"enabled":true}}"#,
    r#"{"value":"CANARY","id":"CANARY","contentType":"CANARY","attributes":{"exp":"CANARY"},"tags":{"CANARY":"CANARY"}}"#,
    r#"{"value":"CANARY\ud800","id":"https://myvault.vault.azure.net/secrets/app--canary/0","attributes":{}}"#,
    r#"{"value":"CANARY","id":"https://myvault.vault.azure.net/secrets/app--canary"#,
    r#"{"value":[{"id":"CANARY","attributes":{"enabled":true}}],"nextLink":"CANARY"}"#,
    r#"{"value":[],"nextLink":"https://CANARY@myvault.vault.azure.net/secrets?$skiptoken=CANARY"}"#,
];

/// What Microsoft Entra ID and the identity endpoints say: refusals, and tokens that cannot be used.
const OF_THE_ISSUER: [&str; 6] = [
    r#"{"error":"invalid_client","error_description":"AADSTS7000215: CANARY","error_codes":[7000215],"trace_id":"CANARY"}"#,
    r#"{"error":"CANARY","error_description":"AADSTS700016: CANARY","error_codes":[700016],"error_uri":"https://CANARY"}"#,
    r#"{"error":"invalid_request","error_description":"Identity not found: CANARY"}"#,
    r#"{"statusCode":400,"message":"CANARY","correlationId":"CANARY"}"#,
    r#"{"token_type":"Bearer","expires_in":"CANARY","expires_on":"CANARY","access_token":"CANARY"}"#,
    r#"{"token_type":"Bearer","expires_in":3599,"access_token":"CANARY\r\nx: CANARY"}"#,
];

/// Every kind that the table of errors has for what is asked here. A version is not, and a name that is none neither.
const KINDS: [ErrorKind; 10] = [
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
];

/// The same of a login.
const KINDS_OF_A_LOGIN: [ErrorKind; 5] = [
    ErrorKind::InvalidData,
    ErrorKind::RateLimited,
    ErrorKind::Timeout,
    ErrorKind::Unauthenticated,
    ErrorKind::Unavailable,
];

fn table(canaries: impl IntoIterator<Item = Canary>, bodies: &[&str]) -> LeakTable {
    let table = LeakTable::new(canaries).for_host(HOST);
    bodies.iter().fold(table, |table, body| table.with_body(*body))
}

/// A backend whose vault, authority and identity endpoint are all the same server.
fn at(endpoint: &Endpoint, auth: Auth) -> secrets_core::Result<Arc<dyn SecretBackend>> {
    let backend = AzureBackend::builder(&endpoint.url)
        .ca_pem(endpoint.ca_pem.as_str())
        .resolve(HOST, endpoint.address)
        .authority(&endpoint.url)
        .imds_endpoint(&endpoint.url)
        .auth(auth)
        .build()?;
    Ok(Arc::new(backend))
}

/// The vault's challenge to a request without a token, without which nobody logs in.
fn challenge(request: &Request) -> Option<Response> {
    let bare = request.method() == "GET"
        && !is_login(request)
        && !request.headers().contains_key(header::AUTHORIZATION);
    bare.then(|| {
        let mut response = Response::new("".into());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static(
            r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#,
        );
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    })
}

fn is_login(request: &Request) -> bool {
    request.uri().path().ends_with("/token")
}

fn set(kinds: impl IntoIterator<Item = ErrorKind>) -> BTreeSet<String> {
    kinds.into_iter().map(|kind| kind.to_string()).collect()
}

/// Every answer to a login by this way.
async fn no_answer_to_a_login_is_printed(canaries: &[Canary], auth: impl Fn() -> Auth) {
    let token = Canary::random();
    let canaries = canaries.iter().cloned().chain([token]);
    let table = table(canaries, &OF_THE_ISSUER);
    let kinds = table.check(|endpoint| at(endpoint, auth()), challenge).await;
    assert_eq!(set(kinds.unwrap()), set(KINDS_OF_A_LOGIN), "{:?}", auth());
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_the_vault_says_is_printed() {
    let [value, issued, secret] = [(); 3].map(|()| Canary::random());
    let table = table([value, issued.clone(), secret.clone()], &OF_THE_VAULT);
    let token = format!(
        r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{}"}}"#,
        issued.expose()
    );
    let admit = move |request: &Request| {
        if is_login(request) {
            return Some(Response::new(token.clone().into()));
        }
        challenge(request)
    };
    let auth = || Auth::client_secret(TENANT, APP, secret.expose());
    let kinds = table.check(|endpoint| at(endpoint, auth()), admit).await.unwrap();
    assert_eq!(set(kinds), set(KINDS));
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_answers_a_client_secret_is_printed() {
    let secret = Canary::random();
    let auth = || Auth::client_secret(TENANT, APP, secret.expose());
    no_answer_to_a_login_is_printed(std::slice::from_ref(&secret), auth).await;
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_answers_a_workload_identity_is_printed() {
    let jwt = Canary::random();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwt");
    std::fs::write(&file, jwt.expose()).unwrap();
    let auth = || Auth::workload_identity_with(TENANT, APP, &file);
    no_answer_to_a_login_is_printed(std::slice::from_ref(&jwt), auth).await;
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_answers_a_virtual_machine_is_printed() {
    no_answer_to_a_login_is_printed(&[], Auth::managed_identity).await;
}

#[test]
fn s1_e5_s7_nothing_that_answers_app_service_is_printed() {
    let test = "secrecy::s1_e5_s7_nothing_that_answers_app_service_is_printed";
    let header = Canary::random();
    if !is_child() {
        let endpoint = format!("https://{HOST}/msi/token");
        return again(
            test,
            &[
                ("IDENTITY_ENDPOINT", &endpoint),
                ("IDENTITY_HEADER", header.expose()),
            ],
        );
    }
    let header = Canary::of(std::env::var("IDENTITY_HEADER").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(no_answer_to_a_login_is_printed(&[header], Auth::managed_identity));
}

#[tokio::test]
async fn s1_e5_s7_a_token_that_was_given_is_not_printed() {
    let token = Canary::random();
    let auth = || Auth::credential(Arc::new(Issued(token.expose().to_owned())));
    let table = table([token.clone()], &[]);
    let kinds = table.check(|endpoint| at(endpoint, auth()), challenge).await;
    let kinds = set(kinds.unwrap());
    assert!(
        kinds.is_superset(&set([ErrorKind::PermissionDenied])),
        "{kinds:?}"
    );
}

#[cfg(unix)]
#[test]
fn s1_nothing_that_a_developers_tool_says_is_printed() {
    let test = "secrecy::s1_nothing_that_a_developers_tool_says_is_printed";
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        return again(test, &[("PATH", directory.path().to_str().unwrap())]);
    }
    let directory = std::path::PathBuf::from(std::env::var_os("PATH").unwrap());
    let canary = Canary::random();
    let said = canary.expose();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // A token that the vault is shown, and all that goes wrong before there is one.
    for (script, expected) in [
        (
            format!(r#"echo '{{"accessToken":"{said}","expires_on":4070908800,"tokenType":"{said}"}}'"#),
            ErrorKind::PermissionDenied,
        ),
        (
            format!(r#"echo '{{"accessToken":"{said}"}}'"#),
            ErrorKind::InvalidData,
        ),
        (
            format!("echo '{said}'; echo '{said}: run az login' >&2; exit 1"),
            ErrorKind::Unauthenticated,
        ),
    ] {
        tool(&directory, "az", &script);
        let table = table([canary.clone()], &[]).with_body(r#"{"error":{"code":"CANARY"}}"#);
        let kinds = table.check(|endpoint| at(endpoint, Auth::azure_cli()), challenge);
        let kinds = set(runtime.block_on(kinds).unwrap());
        assert!(kinds.is_superset(&set([expected])), "{kinds:?}");
    }
}

#[test]
fn s1_no_way_to_log_in_prints_what_it_holds() {
    let canary = Canary::random();
    let held = canary.expose();
    let variables = |name: &str| match name {
        "AZURE_TENANT_ID" => Some(TENANT.into()),
        "AZURE_CLIENT_ID" => Some(APP.into()),
        "AZURE_CLIENT_SECRET" => Some(held.into()),
        _ => None,
    };
    let absent_in = |thing: &dyn Debug| {
        assert_eq!(canary.find_in(&format!("{thing:?} {thing:#?}")), None);
    };
    absent_in(&Credential::value(held));
    for auth in [
        Auth::client_secret(TENANT, APP, held),
        Auth::client_secret_from(variables).unwrap(),
        Auth::credential(Arc::new(Issued(held.to_owned()))),
        Auth::default_order_with(variables),
    ] {
        absent_in(&auth);
        let builder = AzureBackend::builder(HOST).auth(auth);
        absent_in(&builder);
        absent_in(&builder.build().unwrap());
    }
}
