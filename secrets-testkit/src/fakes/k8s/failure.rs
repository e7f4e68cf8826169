use crate::wire::{Body, Response};

/// Something that goes wrong: every request it matches is answered so, instead of as the API server would.
///
/// ```
/// use secrets_testkit::fakes::k8s::Failure;
///
/// // The next list is told to come back in 30 s.
/// let busy = Failure::new("GET /api/v1/namespaces/app/secrets?", 429).retry_after("30").times(1);
/// # let _ = busy;
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    line: String,
    status: u16,
    body: Option<String>,
    headers: Vec<(&'static str, String)>,
    times: Option<u32>,
    hang: bool,
}

impl Failure {
    /// Requests whose line (`GET /path?query`) contains this are answered with this status, each of them.
    pub fn new(line: impl Into<String>, status: u16) -> Self {
        Self {
            line: line.into(),
            status,
            body: None,
            headers: Vec::new(),
            times: None,
            hang: false,
        }
    }

    /// Requests whose line contains this are never answered.
    pub fn hang(line: impl Into<String>) -> Self {
        Self {
            hang: true,
            ..Self::new(line, 0)
        }
    }

    /// The whole body, as it is. Without one it is a `Status` of the usual reason.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The header `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        self.headers.push(("retry-after", value.into()));
        self
    }

    /// The header `Location`.
    #[must_use]
    pub fn location(mut self, url: impl Into<String>) -> Self {
        self.headers.push(("location", url.into()));
        self
    }

    /// Only the next few.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether this request is hit.
    pub(super) fn hits(&mut self, line: &str) -> bool {
        if self.times == Some(0) || !line.contains(&self.line) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }

    /// `None` for no answer at all.
    pub(super) fn response(&self) -> Option<Response> {
        if self.hang {
            return None;
        }
        let mut response = match &self.body {
            Some(body) => Response::new(Body::from(body.clone())),
            None => super::answer::status(self.status, usual_reason(self.status), ""),
        };
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in &self.headers {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(*name, value);
            }
        }
        Some(response)
    }
}

fn usual_reason(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}

/// One request, as the fake saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Method, path and query, such as `GET /api/v1/namespaces/app/secrets/smtp`.
    pub line: String,
    /// Only metadata was asked for.
    pub partial: bool,
    /// What was answered; 0 for no answer.
    pub status: u16,
}
