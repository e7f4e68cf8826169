//! Choosing a store by a URI, through the public interface (laws L4, L5, S8).
#![cfg(feature = "full")]

use secrets::{CREDENTIAL_PARAMETERS, Error, ErrorKind, SecretManager, backend_for, builder_for, open};

fn refused(uri: &str) -> Error {
    match open(uri) {
        Ok(_) => panic!("{uri:?} was taken"),
        Err(error) => error,
    }
}

#[test]
fn l4_an_unknown_parameter_is_refused_with_the_known_ones() {
    let error = refused("env://?prefx=APP_");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(error.backend(), None);
    for known in ["byte 7", "`prefix`", "`allow`", "`ttl`"] {
        assert!(error.message().contains(known), "{error}");
    }
}

#[test]
fn l4_credentials_are_refused_wherever_they_stand_and_never_repeated() {
    let parameters = CREDENTIAL_PARAMETERS.iter().flat_map(|name| {
        [
            format!("env:?{name}=hunter2"),
            format!("env:,file:///x?{name}=hunter2"),
        ]
    });
    let elsewhere = [
        "env://user:hunter2@host",
        "env://hunter2@host",
        "file://user:hunter2@host/run/secrets",
        "env:hunter2",
        "env:?hunter2",
        "env:?hunter2=x",
        "env:?prefix=hunter2%",
        "env:?ttl=hunter2",
        "env:?prefix=a&prefix=hunter2",
        "env:?allow=hunter2/../x",
        "file://hunter2/run/secrets",
        "file:///x?layout=hunter2",
        "file:///x?extension=a/hunter2",
        "file:///x?base=//hunter2/../",
        "file:///x?base=/hunter2",
        "hunter2",
        "hunter2:",
        "hunter2://host",
        "env:,hunter2:",
        "env:?ttl=1s,env:?ttl=hunter2",
    ]
    .map(str::to_owned);
    for uri in parameters.chain(elsewhere) {
        let error = refused(&uri);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}: {error}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{uri}: {error}"
        );
    }
}

#[test]
fn l4_each_refusal_says_what_to_write_instead() {
    for (uri, says) in [
        ("env:SMTP", "env://?prefix=APP_"),
        ("env://host", "env://?prefix=APP_"),
        ("env:?prefix=", "`prefix` is empty"),
        ("env:?prefix=a%20b", "`prefix` must not contain"),
        ("env:?prefix=A&prefix=B", "`prefix` is given again at byte 14"),
        (
            "env:?allow=a/b&allow=../c",
            "`allow` (byte 15) must be the name of a secret",
        ),
        (
            "env:?ttl=60",
            "`ttl` (byte 5) must be 0, or a whole number and its unit",
        ),
        ("env:?ttl=50ms", "ttl: must be zero"),
        ("env:?timeout=20s", "deadline: must be at least the timeout"),
        ("env:?attempts=0", "attempts: must be at least 1"),
        (
            "env:?concurrency=-1",
            "`concurrency` (byte 5) must be a whole number",
        ),
        (
            "env:?refresh_ahead=no",
            "`refresh_ahead` (byte 5) must be `true` or `false`",
        ),
        (
            "env:,env:?ttl=1s",
            "`ttl` (byte 10) is an option of the manager, of which a chain has one",
        ),
        ("file:", "the directory is missing"),
        ("file://", "the directory is missing"),
        ("file://run/secrets", "file:///run/secrets"),
        (
            "file:///x?layout=deep",
            "`layout` (byte 10) must be `nested` or `flat`",
        ),
        (
            "file:///x?trim=always",
            "`trim` (byte 10) must be `final_newline` or `never`",
        ),
        (
            "file:///x?max_size=1GB",
            "`max_size` (byte 10) must be a number of bytes",
        ),
        ("file:///x?max_size=0", "`max_size` is zero"),
        (
            "file:///x?optional_root=1",
            "`optional_root` (byte 10) must be `true` or `false`",
        ),
        ("file:///x?extension=", "`extension` is empty"),
        (
            "file:///x?base=/prod/",
            "`base` (byte 10) must be what the name of a secret can begin with",
        ),
    ] {
        let error = refused(uri);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}");
        assert!(error.to_string().contains(says), "{uri}: {error}");
    }
}

#[test]
fn options_of_the_manager_need_a_manager() {
    let error = backend_for("env:?ttl=60s").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.message().contains("`ttl` (byte 5)"), "{error}");
    assert_eq!(backend_for("file:///x,env:").unwrap().name(), "file,env");
}

#[test]
fn a_chain_of_too_many_is_refused() {
    let uri = vec!["env:"; 101].join(",");
    assert_eq!(refused(&uri).kind(), ErrorKind::InvalidConfig);
}

/// What cargo sets for a test stands in for secrets: a test cannot set variables of its own without unsafe code.
#[tokio::test]
async fn env_reads_below_its_prefix_and_inside_its_allow_list() {
    let secrets = open("env://?prefix=CARGO_&allow=pkg/name&allow=manifest/dir").unwrap();
    let directory = secrets.get("manifest/dir").await.unwrap();
    assert_eq!(directory.expose_str().unwrap(), env!("CARGO_MANIFEST_DIR"));
    assert_eq!(secrets.list(None).await.unwrap().len(), 2);
    let outside = secrets.get("pkg/version").await.unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::InvalidName);
}

#[tokio::test]
async fn options_reach_the_manager() {
    let secrets = open("env:?ttl=0").unwrap();
    for _ in 0..2 {
        secrets.get("cargo/pkg/name").await.unwrap();
    }
    assert_eq!((secrets.stats().fetches, secrets.stats().entries), (2, 0));

    let secrets = builder_for("env:?ttl=1h&attempts=1")
        .unwrap()
        .capacity(1, 1 << 20)
        .build()
        .unwrap();
    for name in ["cargo/pkg/name", "cargo/pkg/name", "cargo/pkg/version"] {
        secrets.get(name).await.unwrap();
    }
    assert_eq!((secrets.stats().hits, secrets.stats().evictions), (1, 1));
}

mod files {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        root
    }

    /// Percent-encodes all that may not stand in a path.
    fn uri(root: &tempfile::TempDir, rest: &str) -> String {
        let path = root.path().to_str().unwrap().replace('\\', "/");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:".contains(&byte);
        let path: String = path
            .bytes()
            .map(|byte| {
                if plain(byte) {
                    char::from(byte).into()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        format!(
            "file://{}{path}{rest}",
            if path.starts_with('/') { "" } else { "/" }
        )
    }

    async fn read(secrets: &SecretManager, name: &str) -> Vec<u8> {
        secrets.get(name).await.unwrap().expose_secret().to_vec()
    }

    #[tokio::test]
    async fn every_parameter_does_what_it_says() {
        let root = directory(&[
            ("smtp/api-key", "nested\n"),
            ("smtp_api-key.secret", "flat\n"),
            ("prod/a b/smtp/api-key", "base\n"),
        ]);
        for (rest, value) in [
            ("", "nested"),
            ("?trim=final_newline", "nested"),
            ("?trim=never", "nested\n"),
            ("?layout=flat&extension=.secret", "flat"),
            ("?base=prod/a%20b/", "base"),
            ("?max_size=1KiB", "nested"),
            ("?poll_interval=1h", "nested"),
            ("/prod/a%20b", "base"),
        ] {
            let secrets = open(uri(&root, rest)).unwrap();
            assert_eq!(read(&secrets, "smtp/api-key").await, value.as_bytes(), "{rest}");
        }
        let small = open(uri(&root, "?max_size=3")).unwrap();
        assert_eq!(
            small.get("smtp/api-key").await.unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    }

    #[tokio::test]
    async fn an_optional_root_may_be_absent_and_any_other_may_not() {
        let root = directory(&[]);
        for (rest, kind) in [
            ("/absent?attempts=1", ErrorKind::Unavailable),
            ("/absent?optional_root=false&attempts=1", ErrorKind::Unavailable),
            ("/absent?optional_root=true", ErrorKind::NotFound),
        ] {
            let secrets = open(uri(&root, rest)).unwrap();
            assert_eq!(
                secrets.get("smtp/api-key").await.unwrap_err().kind(),
                kind,
                "{rest}"
            );
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn strict_permissions_refuse_what_everybody_can_read() {
        use std::os::unix::fs::PermissionsExt as _;

        let root = directory(&[("key", "hunter2")]);
        let everybody = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(root.path().join("key"), everybody.clone()).unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let strict = open(uri(&root, "?strict_permissions=true")).unwrap();
        assert_eq!(
            strict.get("key").await.unwrap_err().kind(),
            ErrorKind::PermissionDenied
        );
        let lenient = open(uri(&root, "?strict_permissions=false")).unwrap();
        assert_eq!(read(&lenient, "key").await, b"hunter2");
    }

    #[tokio::test]
    async fn a_chain_asks_its_members_in_order() {
        let root = directory(&[("cargo/pkg/name", "from a file")]);
        let secrets = open(uri(&root, "?ttl=60s,env:")).unwrap();
        assert_eq!(secrets.backend_name(), "file,env");
        assert_eq!(read(&secrets, "cargo/pkg/name").await, b"from a file");
        assert_eq!(
            read(&secrets, "cargo/pkg/version").await,
            env!("CARGO_PKG_VERSION").as_bytes()
        );

        let error = secrets.get("no/such/secret").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        for place in ["there is no file", "`NO_SUCH_SECRET`"] {
            assert!(error.message().contains(place), "{error}");
        }
    }

    #[tokio::test]
    async fn s8_managers_share_no_cached_value() {
        let root = directory(&[("key", "old")]);
        let (one, other) = (open(uri(&root, "")).unwrap(), open(uri(&root, "")).unwrap());
        assert_eq!(read(&one, "key").await, b"old");
        std::fs::write(root.path().join("key"), "new").unwrap();
        assert_eq!(read(&other, "key").await, b"new");
        assert_eq!(read(&one, "key").await, b"old");

        other.invalidate_all();
        assert_eq!(one.stats().entries, 1);
        assert_eq!(read(&one.clone(), "key").await, b"old");
        assert_eq!((one.stats().hits, one.stats().fetches), (2, 1));
    }

    /// Whatever a builder refuses it refuses without touching a file, so that `open` does no I/O.
    #[tokio::test]
    async fn opening_touches_no_file() {
        let root = directory(&[]);
        let secrets = open(uri(&root, "/later")).unwrap();
        assert_eq!(secrets.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
        std::fs::create_dir(root.path().join("later")).unwrap();
        std::fs::write(root.path().join("later/key"), "hunter2").unwrap();
        secrets.check().await.unwrap();
        assert_eq!(read(&secrets, "key").await, b"hunter2");
    }
}
