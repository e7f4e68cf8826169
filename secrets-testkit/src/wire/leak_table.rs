use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, StatusCode, header};
use secrets_core::{ErrorKind, Result, SecretBackend, SecretName, Version};

use super::{Endpoint, HttpServer, Request, Response, TestCa};
use crate::bench::ensure;
use crate::{Canary, Failure, LeakSearch};

/// A store that answers everything with what must not be printed, and a search for it in everything that is (laws S1, E5,
/// S7).
///
/// Every status meets every body, each with the canaries in it; headers that clients read have them as well. The backend is
/// asked for a value, a field, a version, several at once, a list and its check, by itself and through a manager, and
/// [`LeakSearch`] looks at everything that is printed.
///
/// Add the bodies that the vendor documents for its errors: [`with_body`](LeakTable::with_body).
#[derive(Debug)]
pub struct LeakTable {
    canaries: Vec<Canary>,
    host: String,
    version: Option<Version>,
    statuses: Vec<u16>,
    bodies: Vec<String>,
}

/// Stands in a body for each canary in turn.
const PLACE: &str = "CANARY";

impl LeakTable {
    /// Looks for these: a value, and every credential that the backend holds.
    pub fn new(canaries: impl IntoIterator<Item = Canary>) -> Self {
        let bodies = [
            "",
            "CANARY",
            "\"CANARY\"",
            "[\"CANARY\"]",
            r#"{"CANARY":"CANARY"}"#,
            r#"{"error":{"code":"CANARY","message":"CANARY","CANARY":{}}}"#,
            r#"{"error":"CANARY"#,
            "<html><title>CANARY</title>CANARY</html>",
        ];
        Self {
            canaries: canaries.into_iter().collect(),
            host: "localhost".into(),
            version: None,
            statuses: vec![
                200, 204, 302, 400, 401, 403, 404, 405, 408, 409, 412, 413, 418, 429, 472, 500, 501, 503, 599,
            ],
            bodies: bodies.map(Into::into).into(),
        }
    }

    /// The name by which the backend knows its store; `localhost` unless set.
    #[must_use]
    pub fn for_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Asks for a version as well; where there are versions, this has to be one that a backend takes to its store.
    #[must_use]
    pub fn for_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// One more body; wherever it says `CANARY`, a canary stands.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<String>) -> Self {
        self.bodies.push(body.into());
        self
    }

    /// Asks for every answer, and looks. `build` makes the backend; `admit` answers the requests that have to succeed before
    /// anything else is asked, such as a login, and may name canaries that the backend is thereby given.
    ///
    /// Returns the kinds of the errors that came, so that a test can hold that none is missing.
    ///
    /// # Errors
    ///
    /// What shows which canary, after which answer; or why nothing can be seen.
    pub async fn check(
        &self,
        build: impl Fn(&Endpoint) -> Result<Arc<dyn SecretBackend>>,
        admit: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Result<Vec<ErrorKind>, Failure> {
        let mut search = LeakSearch::start(self.canaries.iter().cloned())?;
        let name = SecretName::new("app/canary").map_err(|error| Failure::new(error.to_string()))?;
        let (ca, answer) = (TestCa::new(), Arc::new(Mutex::new((200, String::new()))));
        let server = self.serve(&ca, answer.clone(), admit);
        let server = server.map_err(|error| Failure::new(error.to_string()))?;
        let endpoint = Endpoint {
            url: server.url_for(&self.host),
            address: server.address(),
            ca_pem: ca.pem().to_owned(),
        };
        for status in &self.statuses {
            for body in &self.bodies {
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = (*status, body.clone());
                let backend = build(&endpoint)
                    .map_err(|error| Failure::new(format!("the backend was not built: {error}")))?;
                search.ask(&backend, &name, self.version.as_ref()).await;
                search.shut_down(&backend).await;
                let found = search.search();
                found.map_err(|failure| {
                    Failure::new(format!("after {status} {body:?}: {}", failure.reason()))
                })?;
            }
        }
        ensure(
            server.request_count() >= self.statuses.len() * self.bodies.len(),
            || "the backend asked less often than there are answers".into(),
        )?;
        search.finish()
    }

    fn serve(
        &self,
        ca: &TestCa,
        answer: Arc<Mutex<(u16, String)>>,
        admit: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> std::io::Result<HttpServer> {
        let canaries: Vec<_> = self
            .canaries
            .iter()
            .map(|canary| canary.expose().to_owned())
            .collect();
        let tls = ca.issue([self.host.as_str()]).server_config();
        HttpServer::builder().tls(tls).start(move |request| {
            let response = admit(&request).unwrap_or_else(|| {
                let (status, body) = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
                malign(status, &body, &canaries)
            });
            async { response }
        })
    }
}

/// The answer, with the canaries in its body and in headers that clients read.
fn malign(status: u16, body: &str, canaries: &[String]) -> Response {
    let mut next = canaries.iter().cycle();
    let mut filled = String::new();
    for (at, part) in body.split(PLACE).enumerate() {
        if at > 0 {
            filled.extend(next.next().map(String::as_str));
        }
        filled.push_str(part);
    }
    let mut response = Response::new(filled.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in [
        (header::LOCATION, "https://host.invalid/CANARY?sig=CANARY"),
        (header::RETRY_AFTER, "CANARY"),
        (
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"CANARY\", error_description=\"CANARY\"",
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text.replace(PLACE, next.next().map_or("", String::as_str)))
        {
            headers.insert(name, value);
        }
    }
    response
}
