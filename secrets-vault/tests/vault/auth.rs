//! Every way to log in.

use secrecy::SecretSlice;
use secrets_core::{ErrorKind, SecretBackend};
use secrets_vault::{Auth, Credential, VaultBackend};

use crate::support::{MINUTE, Scene, kind, read};

fn build(scene: &Scene, auth: Auth) -> VaultBackend {
    scene.builder().auth(auth).build().unwrap()
}

fn jwt_role(scene: &Scene, mount: &str, jwts: &str) {
    let role = format!(r#"{{"fake_jwts":{jwts},"token_ttl":"1h","token_policies":"app"}}"#);
    assert!(
        scene
            .vault
            .admin("POST", &format!("auth/{mount}/role/app"), &role)
            .0
            < 300
    );
}

/// A directory of this test's own.
fn directory(test: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("secrets-vault-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[tokio::test]
async fn a8_a_service_account_token_is_read_again_at_each_login() {
    let scene = Scene::new();
    jwt_role(&scene, "kubernetes", r#"["first"]"#);
    let file = directory("a8").join("token");
    std::fs::write(&file, "first\n").unwrap();
    let backend = build(&scene, Auth::kubernetes_with("app", Credential::file(&file)));
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"one");
    jwt_role(&scene, "kubernetes", r#"["second"]"#);
    scene.vault.revoke_all();
    std::fs::write(&file, "second").unwrap();
    scene.pass(MINUTE).await;
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"one");
    std::fs::remove_file(&file).unwrap();
    scene.vault.revoke_all();
    scene.pass(MINUTE).await;
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cause().unwrap().code()),
        (ErrorKind::Unauthenticated, Some("NotFound"))
    );
}

#[tokio::test]
async fn jwt_logs_in_with_and_without_a_role_and_elsewhere() {
    let scene = Scene::new();
    jwt_role(&scene, "jwt", r#"["good"]"#);
    assert!(
        read(&build(&scene, Auth::jwt(Some("app".into()), "good")), "a")
            .await
            .is_ok()
    );
    assert!(read(&build(&scene, Auth::jwt(None, "good")), "a").await.is_ok());
    let wrong = build(&scene, Auth::jwt(Some("app".into()), "bad"));
    assert_eq!(kind(&wrong, "a").await, Err(ErrorKind::Unauthenticated));
    let role = build(&scene, Auth::jwt(Some("nobody".into()), "good"));
    assert_eq!(kind(&role, "a").await, Err(ErrorKind::Unauthenticated));
    scene.vault.admin("POST", "sys/auth/ci/jwt", r#"{"type":"jwt"}"#);
    jwt_role(&scene, "ci/jwt", r#"["good"]"#);
    assert!(
        read(&build(&scene, Auth::jwt(None, "good").mount("ci/jwt")), "a")
            .await
            .is_ok()
    );
    let nowhere = build(&scene, Auth::jwt(None, "good").mount("nowhere"));
    let error = read(&nowhere, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("auth/nowhere"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let scene = Scene::new();
    let role = r#"{"token_ttl":"1h","token_policies":"app"}"#;
    assert!(scene.vault.admin("POST", "auth/cert/certs/app", role).0 < 300);
    let client = scene.vault.client_certificate();
    let key = || SecretSlice::from(client.key_pem().as_bytes().to_vec());
    let with = |role: Option<&str>| {
        let builder = scene.builder().client_certificate(client.pem(), key());
        builder.auth(Auth::cert(role.map(Into::into))).build().unwrap()
    };
    assert!(read(&with(None), "a").await.is_ok());
    assert!(read(&with(Some("app")), "a").await.is_ok());
    assert_eq!(
        kind(&with(Some("other")), "a").await,
        Err(ErrorKind::Unauthenticated)
    );
    let without = scene.builder().auth(Auth::cert(None)).build().unwrap_err();
    assert_eq!(without.kind(), ErrorKind::InvalidConfig);
}

#[tokio::test]
async fn an_agents_sink_is_read_again_when_its_token_dies() {
    let scene = Scene::new();
    let file = directory("sink").join("token");
    std::fs::write(&file, scene.token(r#"{"policies":["app"],"ttl":"1h"}"#)).unwrap();
    let backend = build(&scene, Auth::token(Credential::file(&file)));
    assert!(read(&backend, "a").await.is_ok());
    scene.vault.revoke_all();
    std::fs::write(&file, scene.token(r#"{"policies":["app"],"ttl":"1h"}"#)).unwrap();
    assert!(read(&backend, "a").await.is_ok());
}

#[tokio::test]
async fn namespaces_are_named_at_login_and_read() {
    let scene = Scene::new();
    scene.vault.namespace("team/a");
    let backend = scene.app_role().namespace("team/a/").build().unwrap();
    assert!(read(&backend, "a").await.is_ok());
    for request in scene.vault.requests(0) {
        assert_eq!(
            request.headers()["x-vault-namespace"],
            "team/a",
            "{}",
            request.uri()
        );
        assert_eq!(request.headers()["x-vault-request"], "true");
    }
    let nowhere = scene.app_role().namespace("team/b").build().unwrap();
    assert_eq!(kind(&nowhere, "a").await, Err(ErrorKind::InvalidConfig));
}

#[tokio::test]
async fn the_application_names_itself_to_the_audit_log() {
    let scene = Scene::new();
    let backend = scene.app_role().application("billing/1.4").build().unwrap();
    read(&backend, "a").await.unwrap();
    for request in scene.vault.requests(0) {
        let agent = request.headers()["user-agent"].to_str().unwrap();
        assert!(
            agent.starts_with("secrets-vault/") && agent.ends_with(" billing/1.4"),
            "{agent}"
        );
    }
}

#[tokio::test]
async fn a_token_that_may_not_look_itself_up_reads_all_the_same() {
    let scene = Scene::new();
    let blind = scene.token(r#"{"policies":["app"],"no_default_policy":true,"ttl":"1h"}"#);
    let backend = scene.builder().token(blind).build().unwrap();
    assert!(read(&backend, "a").await.is_ok());
    scene.vault.policy("app", &[]);
    let error = read(&backend, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("lookup-self"), "{error}");
    scene.role(r#"{"token_ttl":"1h","token_policies":"app","token_no_default_policy":true}"#);
    scene.app_role().build().unwrap().check().await.unwrap();
}
