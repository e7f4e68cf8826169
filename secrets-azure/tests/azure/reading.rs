//! What is read, under which names, and what of it is told.

use secrets_core::{ErrorKind, SecretBackend};
use secrets_testkit::fakes::azure::Failure;

use crate::support::{SECOND, Scene, kind, name, read, read_version};

#[tokio::test]
async fn r1_r2_latest_and_pinned_versions_are_distinct_and_stated() {
    let scene = Scene::new();
    let first = scene.azure.put("smtp--password", "one");
    let second = scene.azure.put("smtp--password", "two");
    let backend = scene.client_secret().build().unwrap();
    let latest = read(&backend, "smtp/password").await.unwrap();
    assert_eq!(latest.expose_secret(), b"two");
    assert_eq!(latest.metadata().version().unwrap().as_str(), second);
    let pinned = read_version(&backend, "smtp/password", &first).await.unwrap();
    assert_eq!(pinned.expose_secret(), b"one");
    assert_eq!(pinned.metadata().version().unwrap().as_str(), first);
    let absent = "0".repeat(32);
    let error = read_version(&backend, "smtp/password", &absent)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::VersionNotFound);
    let error = read_version(&backend, "smtp/nothing", &absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let disabled = scene.azure.put("off", "x");
    scene
        .azure
        .set_attributes("off", &disabled, r#"{"enabled":false}"#);
    let error = read_version(&backend, "off", &absent).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::VersionNotFound,
        "it exists, and the version does not"
    );
}

/// Whether the secret exists is asked by another request, which may be refused for reasons of its own.
#[tokio::test]
async fn e2_a_version_that_is_not_there_hides_no_refusal() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    let absent = "0".repeat(32);
    for (reason, kind) in [
        ("SecretDisabled", ErrorKind::VersionNotFound),
        ("ForbiddenByFirewall", ErrorKind::PermissionDenied),
        ("ForbiddenByRbac", ErrorKind::PermissionDenied),
    ] {
        scene.azure.fail(Failure::new(format!("secrets/a/{absent}"), 404));
        scene.azure.fail(Failure::forbidden("secrets/a/", reason));
        let error = read_version(&backend, "a", &absent).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{reason}");
        scene.azure.heal();
    }
}

#[tokio::test]
async fn r4_deleted_disabled_and_untimely_say_so() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    let version = scene.azure.put("gone", "x");
    scene.azure.delete("gone");
    let error = read(&backend, "gone").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("recover it"), "{error}");
    let error = read_version(&backend, "gone", &version).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::VersionNotFound);
    scene.azure.purge("gone");
    let error = read(&backend, "gone").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!error.message().contains("recover"), "{error}");

    let version = scene.azure.put("off", "x");
    scene
        .azure
        .set_attributes("off", &version, r#"{"enabled":false}"#);
    let error = read(&backend, "off").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.cause().unwrap().code()),
        (ErrorKind::Disabled, Some("SecretDisabled"))
    );
    let now = secrets_core::Clock::wall(&scene.clock)
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let seconds = now.as_secs();
    let times = format!(r#"{{"nbf":{},"exp":{}}}"#, seconds + 60, seconds + 120);
    scene
        .azure
        .put_with("timed", &format!(r#"{{"value":"x","attributes":{times}}}"#));
    let error = read(&backend, "timed").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    assert!(error.message().contains("nbf"), "{error}");
    scene.clock.advance(SECOND * 61);
    let secret = read(&backend, "timed").await.unwrap();
    assert!(secret.metadata().expires().is_some());
    scene.clock.advance(SECOND * 60);
    let error = read(&backend, "timed").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disabled);
    assert!(error.message().contains("expired"), "{error}");
    let lenient = scene.client_secret().serve_expired(true).build().unwrap();
    assert_eq!(kind(&lenient, "timed").await, Ok(()));
}

#[tokio::test]
async fn r4_who_may_not_look_at_deleted_secrets_is_not_asked_to_again() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    scene
        .azure
        .fail(Failure::forbidden("deletedsecrets/", "ForbiddenByRbac"));
    for _ in 0..3 {
        assert_eq!(kind(&backend, "nothing").await, Err(ErrorKind::NotFound));
    }
    assert_eq!(scene.azure.count("deletedsecrets/"), 1);
}

#[tokio::test]
async fn v1_v6_certificates_and_tags_come_back_intact() {
    let scene = Scene::new();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\r\n",
        "MIIEvQ+/\n".repeat(200)
    );
    let pfx = "MIIKcAIBAzCCCiwGCSqGSIb3DQEHAaCCCh0EggoZ".repeat(100);
    for (secret, value, content_type) in [
        ("pem", &pem, "application/x-pem-file"),
        ("pfx", &pfx, "application/x-pkcs12"),
    ] {
        let body =
            serde_json::json!({ "value": value, "contentType": content_type, "tags": { "team": "mail" } });
        scene.azure.put_with(secret, &body.to_string());
        let backend = scene.client_secret().build().unwrap();
        let secret = read(&backend, secret).await.unwrap();
        assert_eq!(secret.expose_str().unwrap(), value);
        assert_eq!(secret.metadata().attribute("contentType"), Some(content_type));
        assert_eq!(secret.metadata().attribute("tags/team"), Some("mail"));
        assert!(secret.metadata().created().is_some());
    }
}

#[tokio::test]
async fn j7_fields_of_a_json_secret_are_read() {
    let scene = Scene::new();
    let body = serde_json::json!({ "value": r#"{"user":"mailer","password":"x","port":25}"# });
    scene.azure.put_with("database", &body.to_string());
    let backend = scene.client_secret().build().unwrap();
    let secret = read(&backend, "database").await.unwrap();
    assert_eq!(secret.field("password").unwrap().expose_secret(), b"x");
    assert_eq!(secret.field("port").unwrap().expose_secret(), b"25");
}

#[tokio::test]
async fn n2_n3_nothing_is_asked_for_names_that_key_vault_has_not() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    for text in [
        "a_b",
        "a.b",
        "a b",
        "a--b",
        "a/-b",
        "é",
        "a&b=c",
        "a@b:c",
        "x".repeat(128).as_str(),
    ] {
        assert_eq!(kind(&backend, text).await, Err(ErrorKind::InvalidName), "{text}");
    }
    let error = read_version(&backend, "a", "latest").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    assert_eq!(scene.azure.calls().len(), 0);
    let based = scene.client_secret().base("apps/web").build().unwrap();
    scene.azure.put("apps--web--smtp--password", "x");
    assert_eq!(kind(&based, "smtp/password").await, Ok(()));
    for call in scene.azure.calls() {
        assert!(
            call.path.starts_with("secrets/apps--web--smtp--password") || call.path.contains("/oauth2/"),
            "{call:?}"
        );
    }
}

#[tokio::test]
async fn n5_lists_follow_pages_and_stay_within_prefix_and_base() {
    let scene = Scene::new();
    let names = [
        "app--a",
        "App--B",
        "app--c--d",
        "app",
        "application",
        "z",
        "odd---name",
        "y--a",
    ];
    for secret in names {
        scene.azure.put(secret, "x");
    }
    let backend = scene.client_secret().build().unwrap();
    let list = async |backend: &secrets_azure::AzureBackend, prefix: Option<&str>| {
        let prefix = prefix.map(name);
        let names = backend.list(prefix.as_ref()).await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        list(&backend, None).await,
        ["a", "app", "app/a", "app/b", "app/c/d", "application", "y/a", "z"]
    );
    assert!(scene.azure.count("secrets") > 3, "three secrets on a page");
    assert_eq!(
        list(&backend, Some("app")).await,
        ["app", "app/a", "app/b", "app/c/d"]
    );
    assert_eq!(list(&backend, Some("APP/A")).await, ["app/a"]);
    for listed in list(&backend, None).await {
        assert_eq!(kind(&backend, &listed).await, Ok(()), "{listed}");
    }
    let based = scene.client_secret().base("App").build().unwrap();
    assert_eq!(list(&based, None).await, ["a", "b", "c/d"]);
    assert_eq!(list(&based, Some("c")).await, ["c/d"]);
}

#[tokio::test]
async fn a_list_that_leads_in_circles_or_elsewhere_is_refused() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    for link in [
        "https://myvault.vault.azure.net/secrets?api-version=7.6&$skiptoken=x",
        "https://other.vault.azure.net/secrets?api-version=7.6",
        "http://myvault.vault.azure.net/secrets",
    ] {
        let body = serde_json::json!({ "value": [], "nextLink": link });
        scene
            .azure
            .fail(Failure::new("secrets", 200).body(body.to_string()));
        let error = backend.list(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{link}");
        scene.azure.heal();
    }
    assert!(
        scene
            .azure
            .calls()
            .iter()
            .all(|call| !call.host.starts_with("other"))
    );
}

#[tokio::test]
async fn a_check_needs_no_secret_and_tells_who_may_not_read() {
    let scene = Scene::new();
    let backend = scene.client_secret().build().unwrap();
    backend.check().await.unwrap();
    scene.azure.put("secrets-check", "x");
    backend.check().await.unwrap();
    scene
        .azure
        .fail(Failure::forbidden("secrets/", "ForbiddenByPolicy"));
    let error = backend.check().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.backend()),
        (ErrorKind::PermissionDenied, Some("azure"))
    );
    assert!(error.message().contains("`get`"), "{error}");
}
