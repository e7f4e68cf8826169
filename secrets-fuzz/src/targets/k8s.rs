//! What an API server answers, and what it says in a watch.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use secrets::k8s::K8sApiBackend;
use secrets::{BackendEvent, FakeClock, ReadRequest, SecretBackend as _, SecretName, WatchedNames};
use secrets_testkit::wire::HttpServer;

use super::HOUR;
use crate::law;
use crate::script::{Answer, Kept, Script, runtime};

struct Cluster {
    runtime: tokio::runtime::Runtime,
    script: Script,
    clock: FakeClock,
    backends: Vec<K8sApiBackend>,
    server: HttpServer,
}

/// Any answer is whole values or errors.
pub(crate) fn answers(input: &[u8]) {
    static CLUSTER: Kept<Cluster> = Kept::new(|| {
        let script = Script::default();
        let server = script.serve(HttpServer::builder(), |_| None);
        let builder = || {
            let builder = K8sApiBackend::server(server.url()).namespace("app");
            builder.token("token".to_owned()).timeout(HOUR)
        };
        let built = [builder(), builder().list_namespace(true)];
        Mutex::new(Cluster {
            runtime: runtime(),
            backends: built
                .map(|builder| builder.build().expect("the options are fine"))
                .into(),
            script,
            clock: FakeClock::new(),
            server,
        })
    });
    let cluster = CLUSTER.get();
    if !cluster.script.load(input) {
        return;
    }
    let names =
        ["smtp/password", "smtp", "pop/password"].map(|name| SecretName::new(name).expect("it is a name"));
    let requests = [&names[0], &names[1], &names[2]].map(ReadRequest::new);
    cluster.runtime.block_on(async {
        for backend in &cluster.backends {
            cluster.script.load(input);
            if let Some(secret) = law::fetched(backend.get(requests[0]).await)
                && let Some(document) = cluster.script.document_of_a_value()
            {
                let told = document
                    .pointer("/data/password")
                    .and_then(|value| value.as_str());
                if let Some(told) = told.and_then(|told| Base64::decode_vec(told).ok()) {
                    assert_eq!(secret.expose_secret(), told, "another value than was sent");
                }
            }
            cluster.script.load(input);
            if law::fetched(backend.get(requests[1]).await).is_some() {
                cluster.script.document_of_a_value();
            }
            cluster.script.load(input);
            let many = backend.get_many(&requests).await;
            assert_eq!(many.len(), requests.len());
            for outcome in many {
                law::fetched(outcome);
            }
            cluster.script.load(input);
            law::outcome(backend.list(None).await);
            cluster.script.load(input);
            law::outcome(backend.check().await);
            law::prints_nothing(backend);
        }
    });
    cluster.server.forget_requests();
}

/// Whatever a watch brings, what changed is one of the names watched, and the end is waited for in peace.
pub(crate) fn watch(input: &[u8]) {
    static CLUSTER: Kept<Cluster> = Kept::new(|| {
        let script = Script::default();
        let server = script.serve(HttpServer::builder(), |request| {
            let asked = request.uri();
            if asked.query().is_some_and(|query| query.contains("watch=")) {
                return None;
            }
            let secret = r#"{"metadata":{"name":"smtp","resourceVersion":"7"}}"#;
            Some(Answer::ok(if asked.path().ends_with("/secrets") {
                format!(r#"{{"metadata":{{"resourceVersion":"7"}},"items":[{secret}]}}"#)
            } else {
                secret.to_owned()
            }))
        });
        let clock = FakeClock::new();
        let builder = || {
            K8sApiBackend::server(server.url())
                .namespace("app")
                .token("token".to_owned())
                .timeout(HOUR)
                .watch_timeout(HOUR)
                .clock(clock.clone())
        };
        let built = [builder(), builder().label_selector("app=billing")];
        Mutex::new(Cluster {
            runtime: runtime(),
            backends: built
                .map(|builder| builder.build().expect("the options are fine"))
                .into(),
            script,
            clock: clock.clone(),
            server,
        })
    });
    /// A watch that has ended is begun again within half a minute; everything else takes an hour.
    const ENDED: Duration = Duration::from_secs(120);
    let cluster = CLUSTER.get();
    let name = SecretName::new("smtp/password").expect("it is a name");
    for backend in &cluster.backends {
        cluster.script.load(input);
        cluster.runtime.block_on(async {
            let (names, watched) = WatchedNames::channel();
            names.set(BTreeSet::from([name.clone()]));
            let mut events = backend.watch(watched).expect("it can watch");
            let mut asked = false;
            poll_fn(|cx| {
                while let Poll::Ready(event) = events.as_mut().poll_next(cx) {
                    match event.expect("a watch does not end") {
                        BackendEvent::Changed(changed) => assert_eq!(changed, name),
                        BackendEvent::Resync => {}
                        other => panic!("nobody knows of {other:?}"),
                    }
                }
                asked |= cluster.script.last().is_some();
                if asked && cluster.clock.next_wake().is_some_and(|wake| wake < ENDED) {
                    return Poll::Ready(());
                }
                // Answers come in real time, on another thread.
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        });
        law::prints_nothing(backend);
    }
    cluster.server.forget_requests();
}
