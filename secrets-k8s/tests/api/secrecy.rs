//! S1: a canary secret and a canary token show up nowhere.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64ct::Encoding as _;
use secrets_core::{
    Capabilities, ErrorKind, FakeClock, Fetched, ReadRequest, Result, SecretBackend, SecretName, WatchedNames,
};
use secrets_k8s::K8sApiBackend;
use secrets_testkit::fakes::k8s::{Failure, FakeK8s};
use secrets_testkit::wire::{Endpoint, LeakTable, Request, Response, TestCa};
use secrets_testkit::{Canary, async_trait};

use crate::printed;
use crate::support::{kubeconfig, plugin, read};

/// Everything that the table of errors in the documentation of the crate can give for a name that is one.
const KINDS: [ErrorKind; 9] = [
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

/// What an API server says, with a canary wherever a text may stand.
fn table(canaries: &[&Canary]) -> LeakTable {
    let bodies = [
        // Failures: with a reason that Kubernetes knows, and with another.
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"secrets \"CANARY\" is forbidden: User \"CANARY\" cannot get","reason":"Forbidden","details":{"name":"CANARY","group":"CANARY","kind":"CANARY"},"code":403}"#,
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"CANARY","reason":"CANARY","details":{"name":"CANARY","kind":"secrets","causes":[{"reason":"CANARY","message":"CANARY","field":"CANARY"}],"retryAfterSeconds":1},"code":429}"#,
        r#"{"kind":"Status","metadata":{},"status":"CANARY","reason":["CANARY"],"code":"CANARY"}"#,
        // Secrets: good, of another name, with what is no version, no base64, no map; cut short.
        r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"app","resourceVersion":"7","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}},"type":"Opaque","data":{"canary":"CANARY","CANARY":"CANARY"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"CANARY","resourceVersion":"7"},"data":{"canary":"CANARY"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"app","resourceVersion":"CANARY"},"data":{"canary":"CANARY"}}"#,
        r#"{"kind":"Secret","metadata":{"name":"app","resourceVersion":"7"},"data":{"canary":"CANARY!","CANARY":1}}"#,
        r#"{"kind":"Secret","metadata":{"name":"app","resourceVersion":"7"},"data":"CANARY"}"#,
        r#"{"kind":"Secret","metadata":{"name":"app"},"stringData":{"canary":"CANARY"},"type":["CANARY"]}"#,
        r#"{"kind":"Secret","metadata":{"name":"app"},"data":{"canary":"CANARY"#,
        // Lists, events, a review.
        r#"{"kind":"SecretList","metadata":{"resourceVersion":"CANARY","continue":"CANARY"},"items":[{"metadata":{"name":"CANARY"},"data":{"CANARY":"CANARY"}}]}"#,
        r#"{"kind":"SecretList","metadata":{},"items":[{"metadata":{"name":"app"},"data":["CANARY"]}]}"#,
        r#"{"type":"ADDED","object":{"kind":"Secret","metadata":{"name":"CANARY","resourceVersion":"CANARY"},"data":{"canary":"CANARY"}}}"#,
        r#"{"kind":"SelfSubjectRulesReview","status":{"resourceRules":[{"verbs":["CANARY"],"resources":"CANARY"}],"incomplete":"CANARY"}}"#,
    ];
    let table = LeakTable::new(canaries.iter().map(|canary| (*canary).clone()));
    bodies.into_iter().fold(table, LeakTable::with_body)
}

fn at(endpoint: &Endpoint) -> secrets_k8s::K8sApiBuilder {
    K8sApiBackend::server(&endpoint.url)
        .ca_pem(endpoint.ca_pem.as_str())
        .namespace("app")
}

fn shared(backend: impl SecretBackend) -> Arc<dyn SecretBackend> {
    Arc::new(backend)
}

#[tokio::test]
async fn s1_e5_s7_nothing_that_any_answer_says_is_printed() {
    let [value, token, in_file] = [(); 3].map(|()| Canary::random());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, in_file.expose()).unwrap();
    let table = table(&[&value, &token, &in_file]);
    let by_token = |endpoint: &Endpoint| Ok(shared(at(endpoint).token(token.expose()).build()?));
    let by_file = |endpoint: &Endpoint| {
        let builder = at(endpoint).token_file(&file).label_selector("app=billing");
        Ok(shared(builder.build()?))
    };
    for kinds in [
        table.check(by_token, |_: &Request| None).await.unwrap(),
        table.check(by_file, |_: &Request| None).await.unwrap(),
    ] {
        for kind in KINDS {
            assert!(kinds.contains(&kind), "{kind} was among {kinds:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn s1_e5_s7_nothing_that_any_answer_says_to_a_plugins_token_is_printed() {
    let [value, token] = [(); 2].map(|()| Canary::random());
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    let user = plugin(directory.path(), &credential(token.expose()));
    let by_plugin = |endpoint: &Endpoint| {
        std::fs::write(&config, kubeconfig(&endpoint.url, &endpoint.ca_pem, &user)).unwrap();
        let builder = K8sApiBackend::kubeconfig().kubeconfig(&config);
        Ok(shared(builder.build()?))
    };
    let table = table(&[&value, &token]);
    let kinds = table.check(by_plugin, |_: &Request| None).await.unwrap();
    for kind in KINDS {
        assert!(kinds.contains(&kind), "{kind} was among {kinds:?}");
    }
}

/// What a plugin prints that brings this token.
fn credential(token: &str) -> String {
    format!(
        r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{token}"}}}}"#
    )
}

/// Reads as the backend does, after it has watched through one connection.
#[derive(Debug)]
struct Watching {
    backend: K8sApiBackend,
    clock: FakeClock,
}

impl Watching {
    /// Watches until the next connection is waited for.
    async fn watch_once(&self, name: &SecretName) {
        let (names, watched) = WatchedNames::channel();
        names.set([name.clone()].into());
        let mut events = self.backend.watch(watched).unwrap();
        let mut next = poll_fn(|cx| events.as_mut().poll_next(cx));
        while self
            .clock
            .next_wake()
            .is_none_or(|wake| wake > Duration::from_secs(1))
        {
            tokio::select! {
                biased;
                _ = &mut next => {}
                () = tokio::task::yield_now() => {}
            }
        }
    }
}

#[async_trait]
impl SecretBackend for Watching {
    fn name(&self) -> &str {
        self.backend.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities().with_watch(false)
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        self.watch_once(request.name).await;
        self.backend.get(request).await
    }

    async fn check(&self) -> Result<()> {
        self.backend.check().await
    }
}

#[tokio::test]
async fn s1_s7_nothing_that_a_watch_brings_is_printed() {
    let [value, token] = [(); 2].map(|()| Canary::random());
    let data = base64ct::Base64::encode_string(value.expose().as_bytes());
    // Whatever is not watched is answered well: only so the events are read.
    let admit = move |request: &Request| {
        let text = match request.uri().query().unwrap_or_default() {
            query if query.contains("watch=true") => return None,
            _ => format!(
                r#"{{"kind":"Secret","metadata":{{"name":"app","resourceVersion":"7"}},"data":{{"canary":"{data}"}}}}"#
            ),
        };
        Some(Response::new(text.into()))
    };
    let build = |endpoint: &Endpoint| {
        let clock = FakeClock::new();
        let builder = at(endpoint).token(token.expose()).clock(clock.clone());
        let backend = builder.poll_interval(Duration::from_secs(1)).build()?;
        Ok(shared(Watching { backend, clock }))
    };
    let object = r#"{"metadata":{"name":"app","resourceVersion":"CANARY","labels":{"CANARY":"CANARY"}},"data":{"canary":"CANARY"}}"#;
    let bodies = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "CANARY"]
        .map(|kind| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"));
    let table = bodies
        .iter()
        .fold(table(&[&value, &token]), LeakTable::with_body)
        .with_body("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"message\":\"CANARY\",\"reason\":\"CANARY\",\"code\":410}}\n")
        .with_body("{\"type\":\"ADDED\",\"object\":\"CANARY\"}\n")
        .with_body("{\"type\":{\"CANARY\":1},\"object\":[\"CANARY\"]}\n")
        .with_body("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"CANARY\ncut\":\n")
        .with_body("CANARY\n\nCANARY\n");
    table.check(build, admit).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn s1_no_way_to_log_in_shows_its_credentials() {
    let [token, password, said] = [(); 3].map(|()| Canary::random());
    let absent = |text: &str| {
        for canary in [&token, &password, &said] {
            assert_eq!(canary.find_in(text), None, "{text}");
        }
    };
    let cluster = FakeK8s::start_with(TestCa::new(), token.expose()).unwrap();
    cluster.put("app", "smtp", &[("k", said.expose().as_bytes())]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["good", "malformed", "fails"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let broken = format!("{{\"status\":{{\"token\":\"{}\"", said.expose());
    let users = [
        format!("token: {}", token.expose()),
        format!("username: {}, password: {}", said.expose(), password.expose()),
        plugin(&at("good"), &credential(token.expose())),
        plugin(&at("malformed"), &broken),
        plugin(
            &at("fails"),
            &format!("{}'; echo {} >&2; exit 1; echo '", said.expose(), said.expose()),
        ),
    ];
    let config = |user: &str| {
        let file = at("config");
        std::fs::write(&file, kubeconfig(&cluster.address(), cluster.ca_pem(), user)).unwrap();
        K8sApiBackend::kubeconfig().kubeconfig(file)
    };
    let echo = format!("{} {} {}", token.expose(), password.expose(), said.expose());
    for status in [0, 200, 401, 403, 500] {
        if status > 0 {
            cluster.fail(Failure::new("", status).body(echo.clone()));
        }
        for (number, user) in users.iter().enumerate() {
            let builder = config(user);
            absent(&printed::thing(&builder));
            let backend = builder.build().unwrap();
            match read(&backend, "smtp/k").await {
                Ok(secret) => {
                    assert!(status == 0 && matches!(number, 0 | 2), "{number} {status}");
                    absent(&printed::thing(&secret));
                }
                Err(error) => absent(&printed::error(&error)),
            }
            absent(&printed::thing(&backend));
        }
        cluster.heal();
    }
    assert_eq!(missing(&at("no-such-file")), ErrorKind::InvalidConfig);
}

fn missing(file: &Path) -> ErrorKind {
    let built = K8sApiBackend::kubeconfig().kubeconfig(file).build();
    built.unwrap_err().kind()
}

#[test]
fn s1_a_kubeconfig_that_is_none_is_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    for text in [
        "hunter2",
        "users: [hunter2",
        "apiVersion: v1\nkind: Config\ncurrent-context: hunter2\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: \
         [{name: a, cluster: {server: 'https://user:hunter2@api'}}]\nusers: [{name: a, user: {token: hunter2}}]\n",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: \
         [{name: a, cluster: {server: 'https://api'}}]\nusers: [{name: a, user: {token: \"hunter2\\nx\"}}]\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let built = K8sApiBackend::kubeconfig().kubeconfig(&file).build();
        let error = built.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        assert_eq!(error.backend(), Some("k8s-api"));
        assert!(!printed::error(&error).contains("hunter2"), "{error}");
    }
}
