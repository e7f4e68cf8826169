use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, StatusCode, header};
use secrets_core::{ErrorKind, ReadRequest, Result, SecretBackend, SecretManager, SecretName};

use super::{Endpoint, HttpServer, Request, Response, TestCa};
use crate::bench::ensure;
use crate::capture::Capture;
use crate::printed::Printed;
use crate::{Canary, Failure};

/// A store that answers everything with what must not be printed, and a search for it in everything that is (laws S1, E5,
/// S7).
///
/// Every status meets every body, each with the canaries in it; headers that clients read have them as well. The backend is
/// asked for a value, for several, for a list and for its check, by itself and through a manager. Looked at are the errors
/// with all that caused them, the panic that an `unwrap` of each makes, backend, manager and statistics, in `Display`,
/// `Debug` and `{:#?}`, and everything that is traced and logged meanwhile, at any level.
///
/// Add the bodies that the vendor documents for its errors: [`with_body`](LeakTable::with_body).
#[derive(Debug)]
pub struct LeakTable {
    canaries: Vec<Canary>,
    host: String,
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
        let capture = Capture::start().map_err(Failure::new)?;
        let (ca, answer) = (TestCa::new(), Arc::new(Mutex::new((200, String::new()))));
        let server = self.serve(&ca, answer.clone(), admit);
        let server = server.map_err(|error| Failure::new(error.to_string()))?;
        let endpoint = Endpoint {
            url: server.url_for(&self.host),
            address: server.address(),
            ca_pem: ca.pem().to_owned(),
        };
        let mut kinds = Vec::new();
        for status in &self.statuses {
            for body in &self.bodies {
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = (*status, body.clone());
                let mut printed = Printed::default();
                let backend = build(&endpoint)
                    .map_err(|error| Failure::new(format!("the backend was not built: {error}")))?;
                ask(&backend, &mut printed, &mut kinds).await;
                self.find_none(&printed, *status, body)?;
            }
        }
        let mut printed = Printed::default();
        for record in capture.records() {
            printed.text("a record of the process's log", record.to_string());
        }
        for canary in &self.canaries {
            printed.shows_nothing_of("a canary", canary)?;
        }
        ensure(
            server.request_count() >= self.statuses.len() * self.bodies.len(),
            || "the backend asked less often than there are answers".into(),
        )?;
        Ok(kinds)
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

    fn find_none(&self, printed: &Printed, status: u16, body: &str) -> Result<(), Failure> {
        for canary in &self.canaries {
            printed
                .shows_nothing_of("a canary", canary)
                .map_err(|failure| Failure::new(format!("after {status} {body:?}: {}", failure.reason())))?;
        }
        Ok(())
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

/// Every way to ask, and to print what comes.
async fn ask(backend: &Arc<dyn SecretBackend>, printed: &mut Printed, kinds: &mut Vec<ErrorKind>) {
    let name = SecretName::new("app/canary").expect("it is a name");
    let request = ReadRequest::new(&name);
    let mut errors = Vec::new();
    match backend.get(request).await {
        Ok(fetched) => printed.look("what was fetched", &fetched),
        Err(error) => errors.push(error),
    }
    for answer in backend.get_many(&[request, request]).await {
        match answer {
            Ok(fetched) => printed.look("what was fetched", &fetched),
            Err(error) => errors.push(error),
        }
    }
    match backend.list(None).await {
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    errors.extend(backend.check().await.err());
    match SecretManager::builder(backend.clone()).attempts(1).build() {
        Ok(manager) => {
            match manager.get(name.as_str()).await {
                Ok(secret) => printed.look("a secret", &secret),
                Err(error) => errors.push(error),
            }
            printed.look("the manager", &manager);
            printed.look("the statistics", &manager.stats());
            errors.extend(manager.shutdown().await.err());
        }
        Err(error) => errors.push(error),
    }
    printed.look("the backend", backend);
    for error in errors {
        printed.error(&error);
        if !kinds.contains(&error.kind()) {
            kinds.push(error.kind());
            // The message of a panic is its `Debug`, which was looked at; one of each kind shows what the hook is given.
            let _ = catch_unwind(AssertUnwindSafe(|| unwrapped(Err(error))));
        }
    }
}

fn unwrapped(outcome: Result<()>) {
    outcome.unwrap();
}
