//! `SECRETS_URI=k8s:…` and `k8s-api:…` end to end: the facade, a login, a secret, in a process of its own.

use std::process::Command;

use base64ct::Encoding as _;
use secrets_testkit::fakes::k8s::{FakeK8s, Rule};

/// Starts this test binary again, as the program that the environment configures.
fn program(uri: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--ignored", "--nocapture"])
        .env_clear()
        .env("SECRETS_URI", uri)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (
        output.status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    )
}

#[test]
#[ignore = "the program that the other tests start, with an environment of its own"]
fn the_program() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let password = runtime.block_on(async {
        let secrets = secrets::from_env()?;
        secrets.check().await?;
        let password = secrets.get("smtp/database/password").await?;
        let whole = secrets.get("smtp-database#password").await?;
        assert_eq!(whole.expose_secret(), password.expose_secret());
        secrets.shutdown().await?;
        Ok::<_, secrets::Error>(password.expose_str()?.to_owned())
    });
    let password = password.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(password, "correct horse");
}

#[test]
fn a_uri_reads_a_mounted_secret() {
    let root = tempfile::tempdir().unwrap();
    let volume = root.path().join("smtp-database");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(volume.join("password"), "correct horse").unwrap();
    for uri in [
        format!("k8s://{}", root.path().display()),
        format!(
            "k8s://{}?volume=smtp-database&poll_interval=1s&ttl=60s",
            volume.display()
        ),
        format!(
            "k8s:///nowhere?optional_root=true,k8s://{}?max_value=64KiB",
            root.path().display()
        ),
    ] {
        let (read, said) = program(&uri, &[]);
        assert!(read, "{uri}: {said}");
    }
    let (read, said) = program("k8s:///nowhere", &[]);
    assert!(!read && said.contains("does not exist"), "{said}");
}

#[test]
fn a_uri_reads_a_secret_through_the_api() {
    let cluster = FakeK8s::start().unwrap();
    cluster.put("app", "billing-smtp-database", &[("password", b"correct horse")]);
    cluster.put("app", "smtp-database", &[("password", b"correct horse")]);
    cluster.user("reader-token", [Rule::new("app", &["get"])]);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let ca = base64ct::Base64::encode_string(cluster.ca_pem().as_bytes());
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: none\ncontexts:\n- name: app\n  context: {{cluster: fake, user: reader, \
         namespace: app}}\n- name: none\n  context: {{cluster: fake, user: nobody, namespace: app}}\nclusters:\n- name: fake\n  \
         cluster: {{server: '{}', certificate-authority-data: {ca}}}\nusers:\n- name: reader\n  user: {{token: \
         reader-token}}\n- name: nobody\n  user: {{token: other-token}}\n",
        cluster.address()
    );
    std::fs::write(&config, text).unwrap();
    let at = config.to_str().unwrap();
    for (uri, variables) in [
        ("k8s-api:?context=app".to_owned(), vec![("KUBECONFIG", at)]),
        (
            "k8s-api://app?config=kubeconfig&context=app&base=billing-".to_owned(),
            vec![("KUBECONFIG", at)],
        ),
        (
            format!("k8s-api://app?kubeconfig={at}&context=app&ttl=60s&idle_connections=false"),
            vec![],
        ),
    ] {
        let (read, said) = program(&uri, &variables);
        // The whole Secret has another name with a base.
        assert!(read, "{uri}: {said}");
    }
    let (read, said) = program("k8s-api:", &[("KUBECONFIG", at)]);
    assert!(
        !read && said.contains("not authenticated") && !said.contains("other-token"),
        "{said}"
    );
    let (read, said) = program("k8s-api://other?context=app", &[("KUBECONFIG", at)]);
    assert!(!read && said.contains("permission denied"), "{said}");
    let (read, said) = program("k8s-api:?config=in_cluster", &[]);
    assert!(!read && said.contains("service account"), "{said}");
}

#[test]
fn s3_l4_what_a_uri_may_not_say_is_refused_before_any_contact() {
    for (uri, says) in [
        ("k8s://hunter2/run/secrets", "no host"),
        ("k8s:", "directory is missing"),
        ("k8s:///x?volume=Hunter2", "`volume`"),
        ("k8s:///x?base=Hunter2", "`base`"),
        ("k8s:///x?secret=hunter2", "credential"),
        ("k8s-api://app/hunter2", "namespace"),
        ("k8s-api://app?token=hunter2", "credential"),
        ("k8s-api://user:hunter2@app", "user or password"),
        ("k8s-api://app?kubeconfig=/hunter2", "`kubeconfig`"),
        ("k8s-api://app?config=in_cluster&context=hunter2", "`context`"),
        ("k8s-api://app?config=hunter2", "`in_cluster`"),
    ] {
        let (read, said) = program(uri, &[]);
        assert!(!read && said.contains(says), "{uri}: {said}");
        assert!(!said.to_lowercase().contains("hunter2"), "{uri}: {said}");
    }
}
