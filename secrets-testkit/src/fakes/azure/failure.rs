use std::time::Duration;

/// Something that goes wrong: every request it matches is answered so, instead of as Azure would.
///
/// ```
/// use secrets_testkit::fakes::azure::Failure;
///
/// let busy = Failure::new("secrets/", 429).retry_after("30").times(1);
/// let denied = Failure::forbidden("secrets/smtp", "ForbiddenByRbac");
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) body: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) times: Option<u32>,
    pub(super) hang: bool,
    pub(super) bare: bool,
}

impl Failure {
    /// Requests whose path begins so (without the leading slash) are answered with this status: those to the vault only once
    /// they carry a token.
    pub fn new(path: impl Into<String>, status: u16) -> Self {
        Self {
            path: path.into(),
            status,
            body: None,
            headers: Vec::new(),
            times: None,
            hang: false,
            bare: false,
        }
    }

    /// Requests whose path begins so are forbidden, for this inner reason.
    pub fn forbidden(path: impl Into<String>, inner: &str) -> Self {
        let body = serde_json::json!({
            "error": { "code": "Forbidden", "message": "The fake forbids it.", "innererror": { "code": inner } }
        });
        Self::new(path, 403).body(body.to_string())
    }

    /// Requests whose path begins so are never answered.
    pub fn hang(path: impl Into<String>) -> Self {
        Self {
            hang: true,
            ..Self::new(path, 0)
        }
    }

    /// The whole body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The header `Retry-After`.
    #[must_use]
    pub fn retry_after(self, value: impl Into<String>) -> Self {
        self.header("retry-after", value)
    }

    /// The header `Location`.
    #[must_use]
    pub fn location(self, url: impl Into<String>) -> Self {
        self.header("location", url)
    }

    /// Any header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Only the next few.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Requests without a token, too, which are otherwise challenged.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Whether this request is hit.
    pub(super) fn hits(&mut self, path: &str, bare: bool) -> bool {
        if self.times == Some(0) || !path.starts_with(&self.path) || (bare && !self.bare) {
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// One request, as the fake saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// When, by the fake's clock.
    pub at: Duration,
    /// The name it was asked under.
    pub host: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the leading slash.
    pub path: String,
    /// What was answered; 0 for no answer.
    pub status: u16,
}
