use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrets_testkit::wire::{Body, BodySender, HttpServer, Request, Response, TestCa};
use serde_json::Value;
use tempfile::TempDir;

use crate::message::Settings;
use crate::scenario::PATIENCE;
use crate::subject::{Canaries, Situation, Stage};

/// A store that answers over TLS: what all of them have in common.
pub(super) struct Network {
    server: HttpServer,
    ca: TestCa,
    store: Arc<Store>,
    files: TempDir,
    texts: Vec<(&'static str, String)>,
    variables: Vec<(String, String)>,
}

/// What is in it, and how it behaves.
pub(super) struct Store {
    pub(super) canaries: Canaries,
    pub(super) situation: Situation,
    rotated: AtomicBool,
    /// The answers that have begun and do not end.
    begun: Mutex<Vec<BodySender>>,
    /// The watches, each of which hears of the rotation by a line.
    watches: Mutex<Vec<(BodySender, &'static str)>>,
}

/// What JSON may end in: more than any buffer has room for that was made for the longest value.
const PADDING: usize = 256 * 1024;

impl Network {
    /// A store under these names, which answers so.
    pub(super) fn new<const HOSTS: usize>(
        canaries: &Canaries,
        situation: Situation,
        hosts: [&str; HOSTS],
        answer: fn(&Store, &Request) -> Response,
    ) -> Self {
        let ca = TestCa::new();
        let store = Arc::new(Store {
            canaries: canaries.clone(),
            situation,
            rotated: AtomicBool::new(false),
            begun: Mutex::default(),
            watches: Mutex::default(),
        });
        let answering = store.clone();
        let server = HttpServer::builder()
            .tls(ca.issue(hosts).server_config())
            .start(move |request| {
                let response = answer(&answering, &request);
                async move { response }
            })
            .expect("a server can be started");
        Self {
            texts: vec![
                ("address", server.url_for(hosts[0])),
                ("socket", server.address().to_string()),
                ("ca", ca.pem().to_owned()),
            ],
            server,
            ca,
            store,
            files: TempDir::new().expect("there is room for a directory"),
            variables: Vec::new(),
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.url_for("localhost")
    }

    pub(super) fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// Writes a file that the process looked at may read: where it is.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        fs::write(&path, content).expect("the directory is ours");
        path
    }

    /// Says something to whoever builds the backend.
    pub(super) fn tell(&mut self, name: &'static str, text: impl Into<String>) {
        self.texts.push((name, text.into()));
    }

    /// Sets a variable of the process looked at.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }
}

impl Stage for Network {
    fn settings(&self) -> Vec<(&'static str, String)> {
        self.texts.clone()
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    fn rotate(&self) {
        let watches = lock(&self.store.watches);
        self.store.rotated.store(true, Ordering::Relaxed);
        for (watch, line) in &*watches {
            watch.send(*line);
        }
    }
}

impl Store {
    /// What the secret is now.
    pub(super) fn value(&self) -> &str {
        if self.rotated() {
            "another value"
        } else {
            self.canaries.value.expose()
        }
    }

    pub(super) fn rotated(&self) -> bool {
        self.rotated.load(Ordering::Relaxed)
    }

    /// The answer that holds the value: whole, or broken as the situation says. `refusal` is one with the value in it.
    pub(super) fn answer(&self, whole: &Value, refusal: impl FnOnce() -> Value) -> Response {
        let mut whole = whole.to_string();
        match self.situation {
            Situation::Chunked => {
                let (sender, body) = Body::stream();
                sender.send(whole);
                sender.send(" ".repeat(PADDING));
                Response::new(body)
            }
            Situation::CutOff => {
                // All but its end, which never comes.
                whole.pop();
                let (sender, body) = Body::stream();
                sender.send(whole);
                lock(&self.begun).push(sender);
                Response::new(body)
            }
            Situation::Denied => json(403, &refusal()),
            Situation::Malformed => {
                whole.pop();
                Response::new(whole.into())
            }
            _ => Response::new(whole.into()),
        }
    }

    /// An answer that goes on, and in which the rotation will be told by this line.
    pub(super) fn watch(&self, line: &'static str) -> Response {
        let (sender, body) = Body::stream();
        lock(&self.watches).push((sender, line));
        Response::new(body)
    }

    /// Whether a request shows what the backend logs in with.
    pub(super) fn is_shown(&self, request: &Request) -> bool {
        let credential = self.canaries.credential.expose();
        let sent = String::from_utf8_lossy(request.body());
        let mut headers = request.headers().values();
        sent.contains(credential)
            || headers.any(|header| header.to_str().is_ok_and(|header| header.contains(credential)))
    }

    /// Whether a login is to be accepted.
    pub(super) fn lets_in(&self, request: &Request) -> bool {
        self.situation != Situation::LoginRefused && self.is_shown(request)
    }
}

/// A body of JSON.
pub(super) fn json(status: u16, body: &Value) -> Response {
    text(status, body.to_string())
}

/// A body of any kind.
pub(super) fn text(status: u16, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

/// How long the backend is to wait for an answer: not long for one that never comes, and as long as it takes for all others.
pub(super) fn timeout(settings: &Settings) -> Duration {
    match settings.situation {
        Situation::CutOff => Duration::from_secs(1),
        _ => PATIENCE,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
