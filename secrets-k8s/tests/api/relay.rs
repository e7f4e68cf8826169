//! What stands between the backend and a real API server, and writes down what that says.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use secrecy::ExposeSecret as _;
use secrets_testkit::wire::{Body, HttpServer, Request, Response, TestCa};
use tokio::sync::watch;

/// Hands every request on, and every answer back as it comes.
pub(crate) struct Relay {
    server: HttpServer,
    ca: TestCa,
    token: String,
    shared: Arc<Shared>,
}

struct Shared {
    client: reqwest::Client,
    base: String,
    /// While this is true requests are answered with 503, and watches end.
    shut: watch::Sender<bool>,
    answers: Mutex<Vec<Answered>>,
}

/// One answer of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// Path and query.
    pub(crate) line: String,
    /// That of HTTP.
    pub(crate) status: u16,
    /// What a watch has brought so far.
    pub(crate) events: String,
}

impl Answered {
    pub(crate) fn is_watch(&self) -> bool {
        self.line.contains("watch=true")
    }

    /// Whether the API server has said that the version asked for is too old, as a status or in the stream.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == 410
            || (self.events.contains(r#""type":"ERROR""#) && self.events.contains(r#""code":410"#))
    }

    /// The version that a watch was continued from.
    pub(crate) fn version(&self) -> &str {
        let at = self.line.rsplit_once("resourceVersion=");
        at.map_or("", |(_, version)| version.split('&').next().unwrap_or_default())
    }
}

impl Relay {
    /// In front of the server of a kubeconfig, whose user has a token.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::try_from(read).unwrap();
        let roots = config.root_cert.iter().flatten();
        let roots = roots.map(|der| reqwest::Certificate::from_der(der).unwrap());
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(roots);
        let shared = Arc::new(Shared {
            client: client.build().unwrap(),
            base: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            shut: watch::Sender::new(false),
            answers: Mutex::default(),
        });
        let ca = TestCa::new();
        let tls = ca.issue(["localhost"]).server_config();
        let handler = shared.clone();
        let server = HttpServer::builder().tls(tls).start(move |request| {
            let shared = handler.clone();
            async move { shared.hand_on(request).await }
        });
        Self {
            server: server.unwrap(),
            ca,
            token: config.auth_info.token.unwrap().expose_secret().to_owned(),
            shared,
        }
    }

    /// A backend that reaches the API server through this.
    pub(crate) fn backend(&self) -> secrets_k8s::K8sApiBuilder {
        secrets_k8s::K8sApiBackend::server(self.server.url_for("localhost"))
            .ca_pem(self.ca.pem())
            .namespace("app")
            .token(self.token.clone())
    }

    /// Ends every watch properly; from now on every request is answered with 503.
    pub(crate) fn shut(&self) {
        self.shared.shut.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.shared.shut.send_replace(false);
    }

    /// Everything that the API server has answered.
    pub(crate) fn answers(&self) -> Vec<Answered> {
        self.shared.answers().clone()
    }
}

impl Shared {
    async fn hand_on(self: Arc<Self>, request: Request) -> Response {
        let mut shut = self.shut.subscribe();
        if *shut.borrow() {
            return failed(503);
        }
        let line = request.uri().to_string();
        let mut sent = self
            .client
            .request(request.method().clone(), format!("{}{line}", self.base));
        for name in ["accept", "authorization", "content-type"] {
            if let Some(value) = request.headers().get(name) {
                sent = sent.header(name, value.clone());
            }
        }
        let Ok(mut answer) = sent.body(request.body().clone()).send().await else {
            return failed(502);
        };
        let status = answer.status();
        let answered = Answered {
            line,
            status: status.as_u16(),
            events: String::new(),
        };
        let is_watch = answered.is_watch();
        let at = {
            let mut answers = self.answers();
            answers.push(answered);
            answers.len() - 1
        };
        let (sender, body) = Body::stream();
        tokio::spawn(async move {
            loop {
                let chunk = tokio::select! {
                    chunk = answer.chunk() => chunk,
                    _ = shut.wait_for(|shut| *shut), if is_watch => return,
                };
                match chunk {
                    Ok(Some(chunk)) => {
                        if is_watch {
                            self.answers()[at].events += &String::from_utf8_lossy(&chunk);
                        }
                        if !sender.send(chunk) {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(_) => return sender.abort(),
                }
            }
        });
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answered>> {
        self.answers.lock().unwrap()
    }
}

fn failed(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}
