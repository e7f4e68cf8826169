//! Every way to log in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use secrets_azure::{Auth, AzureBackend, Cloud, Credential, Identity};
use secrets_core::{Error, ErrorKind, SecretManager};
use secrets_testkit::fakes::azure::{Failure, IDENTITY_HEADER, TENANT};
use secrets_testkit::wire::{WireFault, WireProxy};

use crate::support::{APP, HOUR, MINUTE, SECOND, SECRET, Scene, again, is_child, kind, reach, read};

fn build(scene: &Scene, auth: Auth) -> AzureBackend {
    scene
        .builder()
        .imds_endpoint(scene.azure.identity_url())
        .auth(auth)
        .build()
        .unwrap()
}

fn variables(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let set: BTreeMap<_, _> = set
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
        .collect();
    move |name| set.get(name).cloned()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[tokio::test]
async fn a8_a_client_secret_in_a_file_is_read_again_at_each_login() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let backend = build(&scene, Auth::client_secret(TENANT, APP, Credential::file(&file)));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    scene.azure.app(APP, "another");
    std::fs::write(&file, "another").unwrap();
    scene.azure.revoke_all();
    assert_eq!(kind(&backend, "a").await, Ok(()));
    std::fs::remove_file(&file).unwrap();
    scene.azure.revoke_all();
    scene.clock.advance(HOUR);
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cause().unwrap().code()),
        (ErrorKind::Unauthenticated, Some("NotFound"))
    );
}

#[tokio::test]
async fn a8_workload_identity_reads_its_token_again_at_each_login() {
    let scene = Scene::new();
    scene.azure.federate("workload", "first.jwt");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first.jwt").unwrap();
    let backend = build(&scene, Auth::workload_identity_with(TENANT, "workload", &file));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    std::fs::write(&file, "second.jwt").unwrap();
    scene.clock.advance(HOUR);
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.cause().unwrap().code(), Some("AADSTS700213"));
    assert!(error.message().contains("federated credential"), "{error}");
    scene.azure.federate("workload", "second.jwt");
    scene.clock.advance(MINUTE);
    assert_eq!(kind(&backend, "a").await, Ok(()));
    let path = file.to_str().unwrap();
    let from = Auth::workload_identity_from(variables(&[
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "workload"),
        ("AZURE_FEDERATED_TOKEN_FILE", path),
    ]));
    assert_eq!(kind(&build(&scene, from.unwrap()), "a").await, Ok(()));
    let missing = Auth::workload_identity_from(variables(&[("AZURE_TENANT_ID", TENANT)])).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::InvalidConfig);
    assert!(
        missing
            .message()
            .contains("AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE"),
        "{missing}"
    );
}

#[tokio::test]
async fn managed_identities_of_virtual_machines_are_the_systems_or_a_users() {
    let scene = Scene::new();
    let system = build(&scene, Auth::managed_identity());
    let error = read(&system, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("assigned"), "{error}");
    scene.azure.assign(None);
    scene.clock.advance(MINUTE);
    assert_eq!(kind(&system, "a").await, Ok(()));
    let resource =
        "/subscriptions/1/resourcegroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
    for (identity, id) in [
        (Identity::ClientId("client-1".into()), "client-1"),
        (Identity::ObjectId("object-1".into()), "object-1"),
        (Identity::ResourceId(resource.into()), resource),
    ] {
        let backend = build(&scene, Auth::user_assigned_identity(identity.clone()));
        assert_eq!(
            kind(&backend, "a").await,
            Err(ErrorKind::Unauthenticated),
            "{identity:?}"
        );
        scene.azure.assign(Some(id));
        scene.clock.advance(MINUTE);
        assert_eq!(kind(&backend, "a").await, Ok(()), "{identity:?}");
    }
}

#[tokio::test]
async fn a_busy_identity_endpoint_is_asked_once() {
    let scene = Scene::new();
    scene.azure.assign(None);
    for (status, expected) in [
        (429, ErrorKind::RateLimited),
        (410, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
    ] {
        scene.azure.fail(Failure::new("metadata/", status));
        scene.azure.forget_calls();
        let backend = build(&scene, Auth::managed_identity());
        assert_eq!(kind(&backend, "a").await, Err(expected));
        assert_eq!(scene.azure.count("metadata/"), 1, "the SDK tries for 72 s");
        scene.azure.heal();
    }
}

#[test]
fn app_service_is_recognised_by_its_variables() {
    const TEST: &str = "auth::app_service_is_recognised_by_its_variables";
    // The fake has to be there before the process whose environment names it.
    if is_child() {
        let (socket, ca) = (
            std::env::var("FAKE_SOCKET").unwrap(),
            std::env::var("FAKE_CA").unwrap(),
        );
        for auth in [Auth::managed_identity(), Auth::default_order()] {
            let builder = AzureBackend::builder("myvault")
                .ca_pem(ca.clone())
                .resolve("myvault.vault.azure.net", socket.parse().unwrap())
                .auth(auth);
            let backend = builder.build().unwrap();
            assert_eq!(block_on(kind(&backend, "a")), Ok(()));
            assert!(format!("{backend:?}").contains("anage"), "{backend:?}");
        }
        return;
    }
    let scene = Scene::new();
    scene.azure.assign(None);
    again(
        TEST,
        &[
            ("FAKE_SOCKET", &scene.azure.socket().to_string()),
            ("FAKE_CA", scene.azure.ca_pem()),
            (
                "IDENTITY_ENDPOINT",
                &format!("{}/msi/token", scene.azure.identity_url()),
            ),
            ("IDENTITY_HEADER", IDENTITY_HEADER),
        ],
    );
    assert_eq!(scene.azure.count("msi/token"), 2);
}

#[test]
fn what_has_an_identity_that_the_sdk_does_not_know_is_refused_by_name() {
    const TEST: &str = "auth::what_has_an_identity_that_the_sdk_does_not_know_is_refused_by_name";
    if !is_child() {
        return again(
            TEST,
            &[
                ("IDENTITY_ENDPOINT", "http://localhost:40342/metadata/identity"),
                ("IMDS_ENDPOINT", "http://localhost:40342"),
            ],
        );
    }
    let scene = Scene::new();
    scene.azure.assign(None);
    let error = block_on(read(&build(&scene, Auth::managed_identity()), "a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("Azure Arc"), "{error}");
}

/// A program of this name that does this.
#[cfg(unix)]
pub(crate) fn tool(directory: &std::path::Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let file = directory.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn developers_tools_bring_tokens_or_say_why_not() {
    const TEST: &str = "auth::developers_tools_bring_tokens_or_say_why_not";
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        again(TEST, &[("PATH", directory.path().to_str().unwrap())]);
        return;
    }
    let directory = std::path::PathBuf::from(std::env::var_os("PATH").unwrap());
    let scene = Scene::new();
    let absent = || build(&scene, Auth::developer_tools());
    let error = block_on(read(&absent(), "a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(
        error.message().contains("Azure CLI: it is not on the path")
            && error
                .message()
                .contains("Azure Developer CLI: it is not on the path"),
        "{error}"
    );
    tool(
        &directory,
        "az",
        "echo 'Please run az login, hunter2' >&2; exit 1",
    );
    tool(&directory, "azd", "echo 'hunter2'; exit 0");
    let error = block_on(read(&absent(), "a")).unwrap_err();
    assert!(error.message().contains("run `az login`"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    // A token of the fake's, through a tool that prints it.
    scene.azure.assign(None);
    let issued = format!(
        "{}/metadata/identity/oauth2/token?resource=https://vault.azure.net",
        scene.azure.identity_url()
    );
    let token = || {
        let answer = block_on(async {
            let client = reqwest::Client::new();
            let sent = client
                .get(&issued)
                .header("metadata", "true")
                .send()
                .await
                .unwrap();
            sent.text().await.unwrap()
        });
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let az = format!(
        r#"[ "$*" = "account get-access-token -o json --scope https://vault.azure.net/.default" ] || exit 2
echo '{{"accessToken":"{}","expiresOn":"2099-01-01 00:00:00.000000","expires_on":4070908800,"tokenType":"Bearer"}}'"#,
        token()
    );
    tool(&directory, "az", &az);
    assert_eq!(block_on(kind(&build(&scene, Auth::azure_cli()), "a")), Ok(()));
    let azd = format!(
        r#"echo '{{"token":"{}","expiresOn":"2099-01-01T00:00:00Z"}}'"#,
        token()
    );
    tool(&directory, "azd", &azd);
    assert_eq!(
        block_on(kind(&build(&scene, Auth::azure_developer_cli()), "a")),
        Ok(())
    );
    tool(&directory, "az", "exit 1");
    assert_eq!(
        block_on(kind(&build(&scene, Auth::developer_tools()), "a")),
        Ok(())
    );

    // The default order comes to them last.
    let nowhere = scene
        .builder()
        .imds_endpoint("http://127.0.0.1:9")
        .auth(Auth::default_order_with(|_| None))
        .build()
        .unwrap();
    assert_eq!(block_on(kind(&nowhere, "a")), Ok(()));
    assert!(
        format!("{nowhere:?}").contains("Azure Developer CLI"),
        "{nowhere:?}"
    );
}

/// Turns the clock through a search that finds nothing: it takes 4 s. With it sleep the login's limit and whatever others
/// do.
async fn search(scene: &Scene, others: usize, read: impl Future<Output = Error> + Send + 'static) -> Error {
    let reading = tokio::spawn(read);
    scene.asleep(2 + others, SECOND).await;
    scene.clock.advance(SECOND);
    // One of the tools does not end, and the other is not there.
    scene.asleep(2 + others, SECOND * 3).await;
    scene.clock.advance(SECOND * 3);
    let error = tokio::time::timeout(MINUTE, reading).await;
    error.expect("nothing else is waited for").unwrap()
}

#[test]
fn with_no_credential_the_error_lists_all_that_was_tried_and_the_manager_shows_it() {
    const TEST: &str = "auth::with_no_credential_the_error_lists_all_that_was_tried_and_the_manager_shows_it";
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        {
            tool(directory.path(), "az", "exec /bin/sleep 600");
        }
        again(TEST, &[("PATH", directory.path().to_str().unwrap())]);
        return;
    }
    let scene = Scene::new();
    // As off Azure: what is sent to the identity endpoint is swallowed.
    let hole = WireProxy::start(scene.azure.socket()).unwrap();
    hole.set(WireFault::Hang);
    let builder = || {
        scene
            .builder()
            .login_timeout(SECOND * 10)
            .imds_endpoint(hole.url())
            .auth(Auth::default_order_with(|_| None))
    };
    let expected = [
        "client secret (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET not set)",
        "workload identity (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE not set)",
        "managed identity (nothing answers at its endpoint within 1 s)",
        "Azure CLI (within 3 s)",
        "Azure Developer CLI (it is not on the path)",
    ];
    block_on(async {
        let backend = builder().build().unwrap();
        let error = search(&scene, 0, async move { read(&backend, "a").await.unwrap_err() }).await;
        let manager = SecretManager::builder(builder().build().unwrap()).clock(scene.clock.clone());
        let manager = manager.build().unwrap();
        let through = search(&scene, 2, async move { manager.get("a").await.unwrap_err() }).await;
        for error in [error, through] {
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
            for reason in expected {
                assert!(error.message().contains(reason), "{reason} in {error}");
            }
        }
    });
}

#[tokio::test]
async fn the_default_order_takes_the_first_there_is_and_says_which() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "jwt").unwrap();
    scene.azure.federate(APP, "jwt");
    let all = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", APP),
        ("AZURE_CLIENT_SECRET", SECRET),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let backend = build(&scene, Auth::default_order_with(variables(&all)));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert!(format!("{backend:?}").contains("client secret"), "{backend:?}");
    let without = [all[0], all[1], all[3]];
    let backend = build(&scene, Auth::default_order_with(variables(&without)));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert!(
        format!("{backend:?}").contains("workload identity"),
        "{backend:?}"
    );
    let client = [("AZURE_CLIENT_ID", "user-1")];
    scene.azure.assign(Some("user-1"));
    let backend = build(&scene, Auth::default_order_with(variables(&client)));
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert!(format!("{backend:?}").contains("managed identity"), "{backend:?}");
    scene.azure.forget_calls();
    scene.clock.advance(HOUR);
    assert_eq!(kind(&backend, "a").await, Ok(()));
    assert_eq!(
        scene.azure.count("metadata/"),
        1,
        "what was found is not looked for again"
    );
}

#[cfg(unix)]
#[test]
fn what_is_not_azures_at_the_endpoint_of_virtual_machines_is_passed_over() {
    const TEST: &str = "auth::what_is_not_azures_at_the_endpoint_of_virtual_machines_is_passed_over";
    if !is_child() {
        let directory = tempfile::tempdir().unwrap();
        again(TEST, &[("PATH", directory.path().to_str().unwrap())]);
        return;
    }
    let scene = Scene::new();
    // The metadata of other clouds, and a network that shows its own page to whoever asks for anything.
    for (status, body, says) in [
        (200, "<html>log in</html>", "is not Azure's"),
        (302, "", "is not Azure's"),
        (400, "{}", "none is assigned here"),
        (401, "", "is not Azure's"),
        (403, "Missing Metadata-Flavor:Google header.", "is not Azure's"),
        (404, "<?xml version='1.0'?>", "is not Azure's"),
    ] {
        scene.azure.fail(Failure::new("metadata/", status).body(body));
        let backend = build(&scene, Auth::default_order_with(|_| None));
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{status}: {error}");
        assert!(
            error.message().contains(says) && error.message().contains("Azure CLI (it is not on the path)"),
            "{status}: {error}"
        );
        scene.azure.heal();
    }
    // What Azure's own endpoint asks to be asked again is no reason to be somebody else.
    for (status, kind) in [
        (410, ErrorKind::Unavailable),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Unavailable),
    ] {
        scene.azure.fail(Failure::new("metadata/", status));
        let backend = build(&scene, Auth::default_order_with(|_| None));
        let error = block_on(read(&backend, "a")).unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        scene.azure.heal();
    }
}

#[tokio::test]
async fn a_credential_that_is_configured_and_refused_is_not_passed_over() {
    let scene = Scene::new();
    scene.azure.assign(None);
    let wrong = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", APP),
        ("AZURE_FEDERATED_TOKEN_FILE", "/no/such/file"),
    ];
    let backend = build(&scene, Auth::default_order_with(variables(&wrong)));
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(
        error.message().contains("/no/such/file")
            && error
                .message()
                .contains("came to it after client secret (AZURE_CLIENT_SECRET not set)"),
        "{error}"
    );
    assert_eq!(scene.azure.count("metadata/"), 0);
    let wrong = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", APP),
        ("AZURE_CLIENT_SECRET", "CANARY"),
    ];
    let backend = build(&scene, Auth::default_order_with(variables(&wrong)));
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.cause().unwrap().code(), Some("AADSTS7000215"));
    assert!(!format!("{error:?} {backend:?}").contains("CANARY"));
}

/// A credential of the SDK that has one token, and prints it.
#[derive(Debug)]
pub(crate) struct Issued(pub(crate) String);

#[async_trait]
impl TokenCredential for Issued {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        let ends = azure_core::time::OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
        Ok(AccessToken::new(self.0.clone(), ends))
    }
}

#[tokio::test]
async fn any_credential_of_the_sdk_can_be_given() {
    let scene = Scene::new();
    scene.azure.assign(None);
    let url = format!(
        "{}/metadata/identity/oauth2/token?resource=https://vault.azure.net",
        scene.azure.identity_url()
    );
    let client = reqwest::Client::new();
    let answer = client.get(url).header("metadata", "true").send().await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let backend = reach(AzureBackend::builder("myvault"), &scene.azure)
        .auth(Auth::credential(Arc::new(Issued(token))))
        .build()
        .unwrap();
    assert_eq!(kind(&backend, "a").await, Ok(()));
}

#[tokio::test]
async fn sovereign_clouds_have_their_own_vaults_and_authorities() {
    let scene = Scene::new();
    for (vault, cloud, authority) in [
        ("myvault.vault.azure.cn", None, "login.chinacloudapi.cn"),
        ("myvault", Some(Cloud::China), "login.chinacloudapi.cn"),
        (
            "myvault.vault.usgovcloudapi.net",
            None,
            "login.microsoftonline.us",
        ),
        ("myvault", Some(Cloud::UsGovernment), "login.microsoftonline.us"),
        ("myvault", None, "login.microsoftonline.com"),
    ] {
        let builder = scene.at(vault).auth(crate::support::client_secret());
        let builder = match cloud {
            Some(cloud) => builder.cloud(cloud),
            None => builder,
        };
        scene.azure.forget_calls();
        assert_eq!(kind(&builder.build().unwrap(), "a").await, Ok(()), "{vault}");
        let hosts: Vec<_> = scene.azure.calls().into_iter().map(|call| call.host).collect();
        assert_eq!(hosts[1], authority);
        assert!(hosts[0].starts_with("myvault.vault."), "{hosts:?}");
    }
    let elsewhere = scene
        .at("myvault")
        .authority("https://login.chinacloudapi.cn")
        .auth(crate::support::client_secret())
        .build()
        .unwrap();
    scene.azure.forget_calls();
    assert_eq!(kind(&elsewhere, "a").await, Ok(()));
    assert_eq!(scene.azure.calls()[1].host, "login.chinacloudapi.cn");
}

#[tokio::test]
async fn the_application_names_itself_to_the_audit_log() {
    let scene = Scene::new();
    let backend = scene.client_secret().application("billing/1.4").build().unwrap();
    read(&backend, "a").await.unwrap();
    for request in scene.azure.requests() {
        let agent = request.headers()["user-agent"].to_str().unwrap();
        assert!(
            agent.starts_with("secrets-azure/")
                && agent.contains(" billing/1.4 ")
                && agent.contains("azsdk-rust"),
            "{agent}"
        );
    }
}
