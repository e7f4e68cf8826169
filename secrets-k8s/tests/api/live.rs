//! A real API server and etcd. These tests read
//!
//! - `SECRETS_TEST_KUBECONFIG`, `…_KUBECONFIG_READER`, `…_KUBECONFIG_BADTOKEN`: the administrator, who may write; a user who
//!   may get, list and watch Secrets in namespace `app`; and a token that nobody knows;
//! - `SECRETS_TEST_SERVERS`: the directory of the tool `up`, which starts another server for the tests that end it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64ct::Encoding as _;
use secrecy::ExposeSecret as _;
use secrets_core::{
    ConfigSecretLoader, ErrorKind, Fetched, ReadRequest, SecretBackend, SecretManager, SecretName, Version,
};
use secrets_k8s::{K8sApiBackend, K8sApiBuilder};
use secrets_testkit::{Facts, Harness, Outcome, async_trait, cases};
use serde_json::{Value, json};

use crate::conformance::{facts, place};
use crate::relay::Relay;
use crate::support::{Watch, kind, name, read, text};

/// The files that let somebody into a real cluster.
struct Cluster {
    admin: PathBuf,
    reader: PathBuf,
    bad_token: PathBuf,
}

impl Cluster {
    fn found() -> Self {
        let file = |name: &str| {
            let file = std::env::var_os(name);
            PathBuf::from(file.unwrap_or_else(|| panic!("{name} of a real API server")))
        };
        Self {
            admin: file("SECRETS_TEST_KUBECONFIG"),
            reader: file("SECRETS_TEST_KUBECONFIG_READER"),
            bad_token: file("SECRETS_TEST_KUBECONFIG_BADTOKEN"),
        }
    }

    fn backend(kubeconfig: &Path) -> K8sApiBuilder {
        K8sApiBackend::kubeconfig()
            .kubeconfig(kubeconfig)
            .namespace("app")
    }

    /// The administrator, past the backend.
    fn admin(&self) -> Admin {
        let read = kube::config::Kubeconfig::read_from(&self.admin).unwrap();
        let config = kube::Config::try_from(read).unwrap();
        let roots = config.root_cert.iter().flatten();
        let roots = roots.map(|der| reqwest::Certificate::from_der(der).unwrap());
        Admin {
            client: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only(roots)
                .build()
                .unwrap(),
            secrets: format!("{}api/v1/namespaces/app/secrets", config.cluster_url),
            token: config.auth_info.token.unwrap().expose_secret().to_owned(),
        }
    }
}

struct Admin {
    client: reqwest::Client,
    secrets: String,
    token: String,
}

impl Admin {
    async fn call(&self, method: &str, path: &str, of_type: &str, body: &Value) -> Outcome<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let request = self.client.request(method, format!("{}{path}", self.secrets));
        let request = request
            .bearer_auth(&self.token)
            .header("content-type", of_type)
            .body(body.to_string());
        let response = request.timeout(Duration::from_secs(10)).send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?)?))
    }

    /// Writes a key of a Secret, or removes it.
    async fn put(&self, secret: &str, key: &str, value: Option<&[u8]>) -> Outcome<Value> {
        let value = value.map(base64ct::Base64::encode_string);
        let mut object = json!({
            "metadata": { "name": secret, "labels": { "secrets-test": "yes" } },
            "data": { key: value },
        });
        let patched = self
            .call(
                "PATCH",
                &format!("/{secret}"),
                "application/merge-patch+json",
                &object,
            )
            .await?;
        match patched {
            (200, patched) => Ok(patched),
            (404, _) => {
                object["apiVersion"] = json!("v1");
                object["kind"] = json!("Secret");
                match self.call("POST", "", "application/json", &object).await? {
                    (201, made) => Ok(made),
                    (status, told) => Err(format!("{status} {told}").into()),
                }
            }
            (status, told) => Err(format!("{status} {told}").into()),
        }
    }

    async fn delete(&self, secret: &str) -> Outcome {
        match self
            .call("DELETE", &format!("/{secret}"), "application/json", &json!({}))
            .await?
        {
            (200, _) => Ok(()),
            (status, told) => Err(format!("{status} {told}").into()),
        }
    }
}

/// A Secret's name that no other test uses.
fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "live-{}-{what}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

struct Live {
    admin: Admin,
    builder: fn(&Cluster) -> K8sApiBuilder,
    cluster: Cluster,
}

#[async_trait]
impl Harness for Live {
    fn facts(&self) -> Facts {
        facts()
    }

    async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
        Ok(Arc::new((self.builder)(&self.cluster).build()?))
    }

    async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
        let (secret, key) = place(name);
        self.admin.put(&secret, &key, Some(value)).await?;
        Ok(None)
    }

    async fn delete(&self, name: &SecretName) -> Outcome {
        let (secret, key) = place(name);
        let left = self.admin.put(&secret, &key, None).await?;
        if left["data"].as_object().is_none_or(serde_json::Map::is_empty) {
            self.admin.delete(&secret).await?;
        }
        Ok(())
    }
}

/// Runs every case of the suite that applies, and says which.
async fn conformance(builder: fn(&Cluster) -> K8sApiBuilder) {
    let cluster = Cluster::found();
    let live = Live {
        admin: cluster.admin(),
        builder,
        cluster,
    };
    let mut ran = 0;
    let mut failed = Vec::new();
    for case in cases() {
        if case.applies_to(&live).await.unwrap() {
            ran += 1;
            if let Err(failure) = case.run(&live).await {
                failed.push(failure.to_string());
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran >= 20, "{ran} cases");
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG"]
async fn real_conformance_of_an_administrator() {
    conformance(|cluster| Cluster::backend(&cluster.admin)).await;
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_READER"]
async fn real_conformance_of_a_reader() {
    conformance(|cluster| Cluster::backend(&cluster.reader)).await;
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_READER"]
async fn real_conformance_by_labels() {
    conformance(|cluster| Cluster::backend(&cluster.reader).label_selector("secrets-test=yes")).await;
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_BADTOKEN"]
async fn real_e1_a_token_that_nobody_knows_is_unauthenticated() {
    let cluster = Cluster::found();
    let backend = Cluster::backend(&cluster.bad_token).build().unwrap();
    assert_eq!(kind(&backend, "a/b").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(
        backend.list(None).await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
    assert_eq!(
        backend.check().await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_READER"]
async fn real_e2_another_namespace_is_permission_denied() {
    let cluster = Cluster::found();
    let backend = Cluster::backend(&cluster.reader)
        .namespace("kube-system")
        .build()
        .unwrap();
    assert_eq!(kind(&backend, "a/b").await, Err(ErrorKind::PermissionDenied));
    assert_eq!(
        backend.list(None).await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        backend.check().await.unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let admin = Cluster::backend(&cluster.admin)
        .namespace("no-such-namespace")
        .build()
        .unwrap();
    assert_eq!(kind(&admin, "a/b").await, Err(ErrorKind::NotFound));
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_READER"]
async fn real_j6_l2_a_whole_secret_and_a_version_that_is_known() {
    let cluster = Cluster::found();
    let admin = cluster.admin();
    let secret = unique("whole");
    admin.put(&secret, "user", Some(b"mailer")).await.unwrap();
    admin.put(&secret, "raw", Some(b"\xff\0\xfe")).await.unwrap();
    let backend = Cluster::backend(&cluster.reader).build().unwrap();
    let whole = read(&backend, &secret).await.unwrap();
    assert_eq!(whole.expose_str().unwrap(), r#"{"raw":"/wD+","user":"mailer"}"#);
    let key = name(&format!("{secret}/user"));
    let known = read(&backend, key.as_str()).await.unwrap();
    let again = ReadRequest::new(&key).with_known(known.metadata());
    assert!(matches!(
        backend.get(again).await.unwrap(),
        Fetched::Unchanged { .. }
    ));
    admin.put(&secret, "user", Some(b"other")).await.unwrap();
    assert!(matches!(backend.get(again).await.unwrap(), Fetched::Value(_)));
    let manager = SecretManager::builder(backend).build().unwrap();
    let config = ConfigSecretLoader::new(&manager, &secret);
    let smtp: std::collections::BTreeMap<String, String> = config.load_all().await.unwrap();
    assert_eq!(smtp["user"], "other");
    admin.delete(&secret).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG_READER"]
async fn real_v7_lists_come_in_pages_that_fit() {
    let cluster = Cluster::found();
    let admin = cluster.admin();
    let prefix = unique("page");
    let mut expected = Vec::new();
    // More than a page of them, and more bytes than a page may have.
    for number in 0..70 {
        let value = if number < 12 {
            vec![b'x'; 700_000]
        } else {
            vec![b'x']
        };
        admin
            .put(&format!("{prefix}-{number:02}"), "k", Some(&value))
            .await
            .unwrap();
        expected.push(format!("{prefix}/{number:02}/k"));
    }
    let backend = Cluster::backend(&cluster.reader).build().unwrap();
    let mut listed = backend.list(Some(&name(&prefix))).await.unwrap();
    listed.sort();
    assert_eq!(
        listed.iter().map(SecretName::as_str).collect::<Vec<_>>(),
        expected
    );
    let by_list = Cluster::backend(&cluster.reader)
        .list_namespace(true)
        .build()
        .unwrap();
    let requests: Vec<_> = listed.iter().map(ReadRequest::new).collect();
    for read in by_list.get_many(&requests[..60]).await {
        assert!(matches!(read.unwrap(), Fetched::Value(_)));
    }
    for number in 0..70 {
        admin.delete(&format!("{prefix}-{number:02}")).await.unwrap();
    }
}

/// Makes what a manifest says, unless it is there already.
async fn apply(admin: &Admin, manifest: &str) {
    let api = admin.secrets.trim_end_matches("api/v1/namespaces/app/secrets");
    for object in manifest.split("---\n") {
        let path = if object.contains("kind: RoleBinding") {
            "apis/rbac.authorization.k8s.io/v1/namespaces/app/rolebindings"
        } else if object.contains("kind: Role") {
            "apis/rbac.authorization.k8s.io/v1/namespaces/app/roles"
        } else {
            "api/v1/namespaces/app/serviceaccounts"
        };
        let request = admin
            .client
            .post(format!("{api}{path}"))
            .bearer_auth(&admin.token);
        let request = request
            .header("content-type", "application/yaml")
            .body(object.to_owned());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        assert!(
            matches!(status, 201 | 409),
            "{status} {}",
            response.text().await.unwrap()
        );
    }
}

#[tokio::test]
#[ignore = "needs a real API server: SECRETS_TEST_KUBECONFIG"]
async fn real_least_privilege_the_manifests_allow_what_they_say() {
    let cluster = Cluster::found();
    let admin = cluster.admin();
    for (number, (manifest, lists, watches)) in [
        (include_str!("../../manifests/get.yaml"), false, false),
        (include_str!("../../manifests/watch.yaml"), false, true),
        (include_str!("../../manifests/list.yaml"), true, false),
        (include_str!("../../manifests/labels.yaml"), true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let (secret, account) = (unique("rbac"), unique("account"));
        admin.put(&secret, "k", Some(b"1")).await.unwrap();
        let manifest = manifest
            .replace("smtp-database", &secret)
            .replace("billing", &account);
        apply(&admin, &manifest).await;
        let read_config = kube::config::Kubeconfig::read_from(&cluster.admin).unwrap();
        let mut config = kube::Config::try_from(read_config).unwrap();
        config.auth_info.impersonate = Some(format!("system:serviceaccount:app:{account}"));
        config.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
        let builder = K8sApiBackend::with_config(config)
            .namespace("app")
            .poll_interval(Duration::from_secs(1));
        let builder = if number == 3 {
            builder.label_selector("secrets-test=yes")
        } else {
            builder
        };
        let backend = builder.build().unwrap();
        let key = format!("{secret}/k");
        // The API server learns of new roles a moment later.
        let allowed = tokio::time::timeout(Duration::from_secs(30), async {
            while kind(&backend, &key).await.is_err() || backend.check().await.is_err() {}
        });
        allowed.await.expect("the role allows reading");
        assert_eq!(backend.list(None).await.is_ok(), lists, "{manifest}");
        let other = kind(&backend, "some-other/k").await;
        let hidden = if lists {
            ErrorKind::NotFound
        } else {
            ErrorKind::PermissionDenied
        };
        assert_eq!(other, Err(hidden), "{manifest}");
        // With `watch` it is heard, without it is polled.
        let mut watch = Watch::new(&backend, &[&key]);
        admin.put(&secret, "k", Some(b"2")).await.unwrap();
        assert_eq!(watch.next().await, key, "watched: {watches}");
        admin.delete(&secret).await.unwrap();
        assert_eq!(watch.next().await, key);
    }
}

/// A server of this test's own, to be ended and frozen.
struct Own {
    tool: PathBuf,
    run: tempfile::TempDir,
    cluster: Cluster,
}

impl Own {
    fn start() -> Self {
        let tool =
            std::env::var_os("SECRETS_TEST_SERVERS").expect("SECRETS_TEST_SERVERS: the directory of `up`");
        let tool = PathBuf::from(tool);
        let run = tempfile::tempdir().unwrap();
        let cluster = Cluster {
            admin: run.path().join("kube/admin.kubeconfig"),
            reader: run.path().join("kube/reader.kubeconfig"),
            bad_token: run.path().join("kube/badtoken.kubeconfig"),
        };
        let own = Self { tool, run, cluster };
        own.up();
        own
    }

    /// Starts what is missing, and resumes what is frozen.
    fn up(&self) {
        self.call("up");
    }

    fn call(&self, what: &str) {
        let done = Command::new(self.tool.join(what))
            .arg("kube")
            .env("SECRETS_SERVERS_RUN", self.run.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{what}: {told}");
    }

    fn signal(&self, part: &str, signal: &str) {
        let pid = std::fs::read_to_string(self.run.path().join(format!("kube/{part}.pid"))).unwrap();
        let killed = Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(killed.success());
    }

    /// Has etcd forget everything but what is there now.
    async fn compact(&self) {
        let port = std::fs::read_to_string(self.run.path().join("kube/etcd.port")).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = async |path: &str, body: Value| -> Value {
            let url = format!("http://127.0.0.1:{}/v3/{path}", port.trim());
            let answer = client.post(url).body(body.to_string()).send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        };
        let status = call("maintenance/status", json!({})).await;
        let revision = &status["header"]["revision"];
        call("kv/compaction", json!({ "revision": revision, "physical": true })).await;
    }

    /// A write that the API server has finished, retried while it starts.
    async fn write(&self, secret: &str, value: &str) {
        let limit = tokio::time::timeout(Duration::from_secs(60), async {
            while self
                .cluster
                .admin()
                .put(secret, "k", Some(value.as_bytes()))
                .await
                .is_err()
            {
                tokio::task::yield_now().await;
            }
        });
        limit.await.expect("a write");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new(self.tool.join("down"))
            .arg("kube")
            .env("SECRETS_SERVERS_RUN", self.run.path())
            .output();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SECRETS_TEST_SERVERS, the directory of `up`"]
async fn real_w4_a_watch_survives_outages_of_every_kind() {
    let own = Own::start();
    own.write("smtp", "1").await;
    own.write("quiet", "same").await;
    for labels in [None, Some("secrets-test=yes")] {
        let builder = Cluster::backend(&own.cluster.reader).watch_timeout(Duration::from_secs(20));
        let builder = match labels {
            Some(labels) => builder.label_selector(labels),
            None => builder,
        };
        let backend = builder.build().unwrap();
        own.write("smtp", "1").await;
        for served in ["smtp/k", "quiet/k"] {
            read(&backend, served).await.unwrap();
        }
        // What is heard of `quiet` would be heard first: every event below has to be about the other.
        let mut watch = Watch::new(&backend, &["smtp/k", "quiet/k"]);
        own.write("smtp", "2").await;
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(text(&backend, "smtp/k").await, "2");

        // The API server is killed and comes back.
        own.signal("apiserver", "-KILL");
        own.up();
        own.write("quiet", "same").await;
        own.write("smtp", "3").await;
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(text(&backend, "smtp/k").await, "3");

        // It comes back without what happened while nobody watched: 410, or a watch that has to be begun anew.
        for value in ["missed", "4"] {
            own.write("smtp", value).await;
        }
        own.signal("apiserver", "-KILL");
        own.up();
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(text(&backend, "smtp/k").await, "4");

        // etcd is frozen: nothing can be read or written, and the watch stands still.
        own.signal("etcd", "-STOP");
        let hung = kind(&backend, "smtp/k").await.unwrap_err();
        assert!(
            matches!(hung, ErrorKind::Timeout | ErrorKind::Unavailable),
            "{hung}"
        );
        own.signal("etcd", "-CONT");
        own.write("smtp", "5").await;
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(text(&backend, "smtp/k").await, "5");

        // Deleted, and made again.
        let admin = own.cluster.admin();
        admin.delete("smtp").await.unwrap();
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(kind(&backend, "smtp/k").await, Err(ErrorKind::NotFound));
        own.write("smtp", "6").await;
        assert_eq!(watch.next().await, "smtp/k");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SECRETS_TEST_SERVERS, the directory of `up`"]
async fn real_w4_a_watch_that_the_server_says_is_too_old_is_begun_anew() {
    let own = Own::start();
    for labels in [None, Some("secrets-test=yes")] {
        for (secret, value) in [("smtp", "1"), ("doomed", "1"), ("quiet", "same")] {
            own.write(secret, value).await;
        }
        let relay = Relay::start(&own.cluster.reader);
        let builder = match labels {
            Some(labels) => relay.backend().label_selector(labels),
            None => relay.backend(),
        };
        let backend = builder.build().unwrap();
        let names = ["smtp/k", "doomed/k", "quiet/k"];
        for served in names {
            read(&backend, served).await.unwrap();
        }
        let mut watch = Watch::new(&backend, &names);
        // Each watch has brought something it can be continued from.
        for (secret, value) in [("smtp", "2"), ("doomed", "2"), ("quiet", "other")] {
            own.write(secret, value).await;
            assert_eq!(watch.next().await, format!("{secret}/k"));
        }

        // What nobody sees: one Secret changes, one goes, one is written as it was.
        relay.shut();
        own.write("smtp", "3").await;
        own.cluster.admin().delete("doomed").await.unwrap();
        own.write("quiet", "between").await;
        own.write("quiet", "other").await;
        // The server forgets it: out of its store, and with a restart out of its memory.
        own.compact().await;
        own.signal("apiserver", "-KILL");
        own.up();
        let before = relay.answers().len();
        relay.open();
        let seen = BTreeSet::from([watch.next().await, watch.next().await]);
        assert_eq!(seen, BTreeSet::from(["doomed/k".to_owned(), "smtp/k".to_owned()]));
        assert_eq!(text(&backend, "smtp/k").await, "3");
        assert_eq!(kind(&backend, "doomed/k").await, Err(ErrorKind::NotFound));

        // Nothing is lost after that, and of what did not change nothing was heard: it would have been first.
        own.write("smtp", "4").await;
        assert_eq!(watch.next().await, "smtp/k");
        let after = relay.answers().split_off(before);
        let gone: Vec<_> = after.iter().filter(|answered| answered.is_gone()).collect();
        assert!(
            gone.iter()
                .any(|answered| labels.is_some() || answered.line.contains("smtp")),
            "the server said 410: {after:?}"
        );
        for answered in gone {
            assert!(
                answered.is_watch() && !answered.version().is_empty(),
                "a watch was continued: {answered:?}"
            );
        }
        let anew = after
            .iter()
            .filter(|answered| answered.is_watch() && !answered.is_gone());
        assert!(
            anew.clone().any(|answered| answered.version().is_empty()),
            "and begun anew: {after:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SECRETS_TEST_SERVERS, the directory of `up`"]
async fn real_a8_a_rotated_token_is_read_again() {
    let own = Own::start();
    own.write("smtp", "1").await;
    let tokens = own.run.path().join("kube/apiserver/tokens");
    let csv = std::fs::read_to_string(&tokens).unwrap();
    let line = csv.lines().find(|line| line.contains(",reader,")).unwrap();
    let (old, rest) = line.split_once(',').unwrap();
    let file = own.run.path().join("token");
    std::fs::write(&file, old).unwrap();
    let backend = Cluster::backend(&own.cluster.reader)
        .token_file(&file)
        .build()
        .unwrap();
    assert_eq!(text(&backend, "smtp/k").await, "1");
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    own.write("smtp", "2").await;
    assert_eq!(watch.next().await, "smtp/k");

    // The API server knows the new token only, as it does when the old one has ended.
    let new = "0123456789abcdef0123456789abcdef";
    std::fs::write(&tokens, csv.replace(line, &format!("{new},{rest}"))).unwrap();
    own.signal("apiserver", "-KILL");
    own.up();
    assert_eq!(kind(&backend, "smtp/k").await, Err(ErrorKind::Unauthenticated));
    std::fs::write(&file, new).unwrap();
    assert_eq!(
        text(&backend, "smtp/k").await,
        "2",
        "after a 401 the token is read again"
    );
    own.write("smtp", "3").await;
    assert_eq!(watch.next().await, "smtp/k");
}
