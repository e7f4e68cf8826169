//! What must hold on the fake and on a real server alike.

use secrets_core::{ErrorKind, SecretBackend};
use secrets_vault::{Auth, Engine, VaultBackend};

use crate::server::{Server, text};
use crate::support::{kind, name, read, read_version};

macro_rules! both {
    ($($test:ident),* $(,)?) => {
        mod fake {
            use super::*;
            $(#[tokio::test] async fn $test() { super::$test(&Server::fake()).await; })*
        }

        mod real {
            use super::*;
            $(
                #[tokio::test]
                #[ignore = "needs a server: VAULT_ADDR and VAULT_TOKEN, or `bao` or `vault` on the path"]
                async fn $test() { super::$test(&Server::real().await).await; }
            )*
        }
    };
}

both!(
    a3_a_revoked_token_is_replaced_once_and_the_read_repeated,
    a9_shutdown_revokes_what_logins_brought,
    app_role_logs_in,
    base_and_prefix_stay_inside_their_segments,
    detection_finds_the_engine,
    e2_denied_is_not_absent_and_says_what_is_missing,
    e2_the_three_meanings_of_404_differ,
    n2_no_name_leaves_its_place,
    r4_deleted_and_destroyed_versions,
    r5_kv1_has_no_versions,
    v1_values_come_back_identical,
    versions_and_metadata,
    wrapped_secret_ids_open_once,
);

async fn kv2(server: &Server) -> (String, VaultBackend) {
    let mount = server.kv(2).await;
    let backend = server
        .builder()
        .mount(&mount)
        .token(server.root())
        .build()
        .unwrap();
    (mount, backend)
}

async fn put2(server: &Server, mount: &str, path: &str, json: &str) {
    server
        .admin(
            "POST",
            &format!("{mount}/data/{path}"),
            &format!(r#"{{"data":{json}}}"#),
        )
        .await;
}

async fn v1_values_come_back_identical(server: &Server) {
    let (mount, backend) = kv2(server).await;
    let kv1 = server.kv(1).await;
    let flat = server
        .builder()
        .mount(&kv1)
        .engine(Engine::Kv1)
        .token(server.root())
        .build()
        .unwrap();
    let pem = format!(
        "-----BEGIN X-----\r\n{}\r\n-----END X-----\n",
        "QUJD".repeat(16_000)
    );
    for value in [
        "",
        " ",
        "\n",
        " padded\r\n",
        "a\0b",
        "e\u{301} \u{e9} 𝔰 ת \u{202e}",
        r#"{"json":1}"#,
        "\"\\/\u{8}\u{c}",
        &pem,
    ] {
        let json = serde_json::json!({ "value": value }).to_string();
        put2(server, &mount, "v", &json).await;
        server.admin("POST", &format!("{kv1}/v"), &json).await;
        assert_eq!(
            read(&backend, "v").await.unwrap().expose_secret(),
            value.as_bytes()
        );
        assert_eq!(read(&flat, "v").await.unwrap().expose_secret(), value.as_bytes());
    }
    put2(
        server,
        &mount,
        "map",
        r#"{"user":"u","port":5432,"on":true,"none":null,"list":[1, 2],"nested":{"a":"b"}}"#,
    )
    .await;
    let map = read(&backend, "map").await.unwrap();
    for (field, value) in [
        ("user", "u"),
        ("port", "5432"),
        ("on", "true"),
        ("none", "null"),
        ("/nested/a", "b"),
        ("/list/1", "2"),
    ] {
        assert_eq!(map.field(field).unwrap().expose_str().unwrap(), value, "{field}");
    }
    put2(server, &mount, "binary", r#"{"value_b64":"/wD+","plain":"x"}"#).await;
    let binary = server
        .builder()
        .mount(&mount)
        .token(server.root())
        .binary_suffix("_b64")
        .build()
        .unwrap();
    assert_eq!(
        read(&binary, "binary")
            .await
            .unwrap()
            .field("value")
            .unwrap()
            .expose_secret(),
        [0xff, 0, 0xfe]
    );
}

async fn versions_and_metadata(server: &Server) {
    let (mount, backend) = kv2(server).await;
    put2(server, &mount, "db/password", r#"{"value":"one"}"#).await;
    put2(server, &mount, "db/password", r#"{"value":"two"}"#).await;
    let owner = r#"{"custom_metadata":{"owner":"team \"a\""}}"#;
    server
        .admin("POST", &format!("{mount}/metadata/db/password"), owner)
        .await;
    let latest = read(&backend, "db/password").await.unwrap();
    assert_eq!(latest.expose_secret(), b"two");
    assert_eq!(latest.metadata().version().unwrap().as_str(), "2");
    assert!(latest.metadata().created().is_some());
    assert_eq!(latest.metadata().attribute("owner"), Some("team \"a\""));
    assert!(latest.metadata().lease().is_none() && latest.metadata().expires().is_none());
    let first = read_version(&backend, "db/password", "1").await.unwrap();
    assert_eq!(
        (
            first.expose_secret(),
            first.metadata().version().unwrap().as_str()
        ),
        (&b"one"[..], "1")
    );
    for malformed in ["0", "01", "latest", "-1"] {
        let error = read_version(&backend, "db/password", malformed)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{malformed}");
    }
    let absent = read_version(&backend, "db/password", "99").await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::VersionNotFound);
    let nothing = read_version(&backend, "db/nothing", "1").await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
    let ends = r#"{"delete_version_after":"30m"}"#;
    server
        .admin("POST", &format!("{mount}/metadata/ends"), ends)
        .await;
    put2(server, &mount, "ends", r#"{"value":"x"}"#).await;
    assert!(
        read(&backend, "ends")
            .await
            .unwrap()
            .metadata()
            .expires()
            .is_some()
    );
}

async fn r4_deleted_and_destroyed_versions(server: &Server) {
    let (mount, backend) = kv2(server).await;
    for value in ["one", "two", "three"] {
        put2(server, &mount, "a", &format!(r#"{{"value":"{value}"}}"#)).await;
    }
    server.admin("DELETE", &format!("{mount}/data/a"), "").await;
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::NotFound));
    let pinned = read_version(&backend, "a", "3").await.unwrap_err();
    assert_eq!(pinned.kind(), ErrorKind::VersionNotFound);
    assert!(pinned.message().contains("deleted"), "{pinned}");
    server
        .admin("POST", &format!("{mount}/undelete/a"), r#"{"versions":[3]}"#)
        .await;
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"three");
    server
        .admin("POST", &format!("{mount}/destroy/a"), r#"{"versions":[1, 3]}"#)
        .await;
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::NotFound));
    let destroyed = read_version(&backend, "a", "1").await.unwrap_err();
    assert_eq!(destroyed.kind(), ErrorKind::VersionNotFound);
    assert!(destroyed.message().contains("destroyed"), "{destroyed}");
    assert_eq!(
        read_version(&backend, "a", "2").await.unwrap().expose_secret(),
        b"two"
    );
}

async fn r5_kv1_has_no_versions(server: &Server) {
    let mount = server.kv(1).await;
    server
        .admin("POST", &format!("{mount}/a/b"), r#"{"value":"x"}"#)
        .await;
    let backend = server
        .builder()
        .mount(&mount)
        .engine(Engine::Kv1)
        .token(server.root())
        .build()
        .unwrap();
    let secret = read(&backend, "a/b").await.unwrap();
    assert_eq!(
        (secret.expose_secret(), secret.metadata().version()),
        (&b"x"[..], None)
    );
    assert!(
        secret.metadata().lease().is_none(),
        "KV v1 sends a duration without a lease"
    );
    assert_eq!(
        read_version(&backend, "a/b", "1").await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(!backend.capabilities().versions && backend.capabilities().list);
    assert_eq!(backend.list(None).await.unwrap(), [name("a/b")]);
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::NotFound));
}

async fn n2_no_name_leaves_its_place(server: &Server) {
    let (mount, backend) = kv2(server).await;
    let fresh = [
        "a b",
        "a&b=c+d@e:f*",
        "é/ת",
        "e\u{301}",
        "a;b",
        "version=1",
        "[x]{y}|z^`\"<>",
    ];
    for (index, text) in fresh.iter().enumerate() {
        // Written by its percent-encoded path, read by its name.
        let path: String = text
            .bytes()
            .map(|byte| {
                if byte == b'/' {
                    "/".into()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let path = match server {
            Server::Fake(_) => (*text).to_owned(),
            Server::Real(_) => path,
        };
        put2(server, &mount, &path, &format!(r#"{{"value":"{index}"}}"#)).await;
    }
    for (index, text) in fresh.iter().enumerate() {
        assert_eq!(
            read(&backend, text).await.unwrap().expose_str().unwrap(),
            index.to_string(),
            "{text}"
        );
    }
    let listed = backend.list(None).await.unwrap();
    assert_eq!(listed.len(), fresh.len());
    for found in listed {
        assert!(read(&backend, found.as_str()).await.is_ok(), "{found}");
    }
}

async fn base_and_prefix_stay_inside_their_segments(server: &Server) {
    let (mount, _) = kv2(server).await;
    for path in [
        "apps/web",
        "apps/web/smtp/password",
        "apps/web/smtp/user",
        "apps/web/smtp",
        "apps/web/smtpd/x",
        "apps/website/x",
        "other",
    ] {
        put2(server, &mount, path, r#"{"value":"x"}"#).await;
    }
    let backend = server
        .builder()
        .mount(&mount)
        .base("apps/web")
        .token(server.root())
        .build()
        .unwrap();
    assert_eq!(read(&backend, "smtp/user").await.unwrap().expose_secret(), b"x");
    let list = |prefix: Option<&'static str>| {
        let (backend, prefix) = (&backend, prefix.map(name));
        async move {
            let mut names: Vec<_> = backend
                .list(prefix.as_ref())
                .await
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            names.sort();
            names
        }
    };
    assert_eq!(
        list(None).await,
        ["smtp", "smtp/password", "smtp/user", "smtpd/x"]
    );
    assert_eq!(list(Some("smtp")).await, ["smtp", "smtp/password", "smtp/user"]);
    assert_eq!(list(Some("smtp/user")).await, ["smtp/user"]);
    assert!(list(Some("nothing")).await.is_empty());
}

async fn detection_finds_the_engine(server: &Server) {
    let (one, two) = (server.kv(1).await, server.kv(2).await);
    server
        .admin("POST", &format!("{one}/a"), r#"{"value":"1"}"#)
        .await;
    put2(server, &two, "a", r#"{"value":"2"}"#).await;
    let rules = format!(r#"{{"path":{{"{two}/data/*":{{"capabilities":["read"]}}}}}}"#);
    let token = server.token(&server.policy(&rules).await).await;
    let detect = |mount: &str, token: &str| {
        server
            .builder()
            .mount(mount)
            .engine(Engine::Detect)
            .token(token.to_owned())
            .build()
            .unwrap()
    };
    let first = detect(&one, server.root());
    assert_eq!(read(&first, "a").await.unwrap().expose_secret(), b"1");
    assert_eq!(
        read_version(&first, "a", "1").await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(!first.capabilities().versions);
    let second = detect(&two, &token);
    assert_eq!(read(&second, "a").await.unwrap().expose_secret(), b"2");
    assert!(second.capabilities().versions);
    let closed = read(&detect(&one, &token), "a").await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::PermissionDenied);
    assert!(closed.message().contains("kv=1"), "{closed}");
}

async fn e2_denied_is_not_absent_and_says_what_is_missing(server: &Server) {
    let (mount, _) = kv2(server).await;
    put2(server, &mount, "open/a", r#"{"value":"x"}"#).await;
    put2(server, &mount, "closed/a", r#"{"value":"x"}"#).await;
    let rules = format!(
        r#"{{"path":{{"{mount}/data/open/*":{{"capabilities":["read"]}},"{mount}/metadata/open/*":{{"capabilities":["list"]}}}}}}"#
    );
    let token = server.token(&server.policy(&rules).await).await;
    let backend = server.builder().mount(&mount).token(token).build().unwrap();
    assert!(read(&backend, "open/a").await.is_ok());
    assert_eq!(kind(&backend, "open/b").await, Err(ErrorKind::NotFound));
    for denied in ["closed/a", "closed/nothing"] {
        let error = read(&backend, denied).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.cause().unwrap().status()),
            (ErrorKind::PermissionDenied, Some(403))
        );
        assert!(
            error
                .message()
                .contains(&format!("the policy needs `read` on {mount}/data/{denied}")),
            "{error}"
        );
    }
    let list = backend.list(None).await.unwrap_err();
    assert_eq!(list.kind(), ErrorKind::PermissionDenied);
    assert!(list.message().contains("`list`"), "{list}");
    assert_eq!(backend.list(Some(&name("open"))).await.unwrap(), [name("open/a")]);
}

async fn e2_the_three_meanings_of_404_differ(server: &Server) {
    let (mount, backend) = kv2(server).await;
    assert_eq!(kind(&backend, "nothing").await, Err(ErrorKind::NotFound));
    let nowhere = server
        .builder()
        .mount(format!("{mount}-no"))
        .token(server.root())
        .build()
        .unwrap();
    assert_eq!(kind(&nowhere, "a").await, Err(ErrorKind::InvalidConfig));
    put2(server, &mount, "a", r#"{"value":"x"}"#).await;
    let mistaken = server
        .builder()
        .mount(&mount)
        .engine(Engine::Kv1)
        .token(server.root())
        .build()
        .unwrap();
    let error = read(&mistaken, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("KV v2"), "{error}");
    server.admin("DELETE", &format!("{mount}/data/a"), "").await;
    let deleted = read(&backend, "a").await.unwrap_err();
    assert!(deleted.message().contains("deleted"), "{deleted}");
}

/// An `AppRole` on a mount of its own: mount, role id, and the path that makes secret ids.
async fn app_role(server: &Server, kv: &str) -> (String, String, String) {
    let mount = Server::unique("approle");
    server
        .admin("POST", &format!("sys/auth/{mount}"), r#"{"type":"approle"}"#)
        .await;
    let policy = server
        .policy(&format!(
            r#"{{"path":{{"{kv}/*":{{"capabilities":["read","list"]}}}}}}"#
        ))
        .await;
    let role = format!("auth/{mount}/role/app");
    let terms = format!(r#"{{"token_policies":["{policy}"],"token_ttl":"20m","token_max_ttl":"1h"}}"#);
    server.admin("POST", &role, &terms).await;
    let id = text(
        &server.admin("GET", &format!("{role}/role-id"), "").await,
        "role_id",
    );
    (mount, id, format!("{role}/secret-id"))
}

async fn app_role_logs_in(server: &Server) {
    let (kv, _) = kv2(server).await;
    put2(server, &kv, "a", r#"{"value":"x"}"#).await;
    let (mount, role_id, make) = app_role(server, &kv).await;
    let secret_id = text(&server.admin("POST", &make, "{}").await, "secret_id");
    let build = |auth: Auth| server.builder().mount(&kv).auth(auth).build().unwrap();
    let backend = build(Auth::app_role(&role_id, secret_id).mount(&*mount));
    backend.check().await.unwrap();
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"x");
    let wrong = build(Auth::app_role(&role_id, "wrong").mount(&*mount));
    assert_eq!(kind(&wrong, "a").await, Err(ErrorKind::Unauthenticated));
    let elsewhere = build(Auth::app_role(&role_id, "x").mount("nowhere-at-all"));
    let error = read(&elsewhere, "a").await.unwrap_err();
    // Vault hides from strangers which auth methods there are, a fake need not.
    assert!(
        matches!(
            error.kind(),
            ErrorKind::InvalidConfig | ErrorKind::Unauthenticated
        ),
        "{error}"
    );
    let token = server.builder().mount(&kv).token("hvs.wrong").build().unwrap();
    assert_eq!(kind(&token, "a").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(
        token.check().await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

async fn wrapped_secret_ids_open_once(server: &Server) {
    let (kv, _) = kv2(server).await;
    put2(server, &kv, "a", r#"{"value":"x"}"#).await;
    let (mount, role_id, make) = app_role(server, &kv).await;
    let wrapped = server.admin_wrapped("POST", &make, "{}").await;
    let build = |token: &str| {
        let auth = Auth::app_role_wrapped(&role_id, token).mount(&*mount);
        server.builder().mount(&kv).auth(auth).build().unwrap()
    };
    assert_eq!(read(&build(&wrapped), "a").await.unwrap().expose_secret(), b"x");
    let spent = read(&build(&wrapped), "a").await.unwrap_err();
    assert_eq!(spent.kind(), ErrorKind::Unauthenticated);
    assert!(spent.message().contains("opened already"), "{spent}");
    // Somebody has opened it and wrapped something of their own.
    let swapped = server.admin_wrapped("GET", &format!("{kv}/data/a"), "").await;
    let swapped = read(&build(&swapped), "a").await.unwrap_err();
    assert_eq!(swapped.kind(), ErrorKind::Unauthenticated);
    assert!(swapped.message().contains("incident"), "{swapped}");
}

async fn a3_a_revoked_token_is_replaced_once_and_the_read_repeated(server: &Server) {
    let (kv, _) = kv2(server).await;
    put2(server, &kv, "a", r#"{"value":"x"}"#).await;
    let (mount, role_id, make) = app_role(server, &kv).await;
    let secret_id = text(&server.admin("POST", &make, "{}").await, "secret_id");
    let backend = server
        .builder()
        .mount(&kv)
        .auth(Auth::app_role(&role_id, secret_id).mount(&*mount))
        .build()
        .unwrap();
    read(&backend, "a").await.unwrap();
    match server {
        Server::Fake(vault) => vault.revoke_all(),
        // Revokes what this mount's logins brought.
        Server::Real(_) => drop(
            server
                .admin(
                    "PUT",
                    &format!("sys/leases/revoke-prefix/auth/{mount}/login"),
                    "{}",
                )
                .await,
        ),
    }
    assert_eq!(read(&backend, "a").await.unwrap().expose_secret(), b"x");
}

async fn a9_shutdown_revokes_what_logins_brought(server: &Server) {
    let (kv, _) = kv2(server).await;
    put2(server, &kv, "a", r#"{"value":"x"}"#).await;
    let (mount, role_id, make) = app_role(server, &kv).await;
    let secret_id = text(&server.admin("POST", &make, "{}").await, "secret_id");
    let backend = server
        .builder()
        .mount(&kv)
        .auth(Auth::app_role(&role_id, secret_id).mount(&*mount))
        .build()
        .unwrap();
    read(&backend, "a").await.unwrap();
    backend.shutdown().await.unwrap();
    if let Server::Fake(vault) = server {
        assert!(vault.live_tokens().is_empty());
    }
    assert_eq!(kind(&backend, "a").await, Err(ErrorKind::Unavailable));
    let mine = server.token("default").await;
    let given = server.builder().mount(&kv).token(mine.clone()).build().unwrap();
    given.check().await.unwrap();
    given.shutdown().await.unwrap();
    let again = server.builder().mount(&kv).token(mine).build().unwrap();
    again.check().await.unwrap();
}
