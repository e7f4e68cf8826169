/// Something that goes wrong: every request it matches is answered so, instead of as AWS would.
///
/// ```
/// use secrets_testkit::fakes::aws::Failure;
///
/// // The next read is throttled as AWS does it, with status 400.
/// let busy = Failure::new("secretsmanager.", 400).code("ThrottlingException").times(1);
/// // Whoever asks for a role waits for ever.
/// let lost = Failure::hang("sts.AssumeRole");
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) operation: String,
    pub(super) status: u16,
    pub(super) code: Option<String>,
    pub(super) message: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) after: u32,
    pub(super) times: Option<u32>,
    pub(super) hang: bool,
}

impl Failure {
    /// Operations whose name begins so are answered with this status, each of them. Names are those of
    /// [`Call::operation`].
    pub fn new(operation: impl Into<String>, status: u16) -> Self {
        Self {
            operation: operation.into(),
            status,
            code: None,
            message: String::new(),
            body: None,
            headers: Vec::new(),
            after: 0,
            times: None,
            hang: false,
        }
    }

    /// Operations whose name begins so are never answered.
    pub fn hang(operation: impl Into<String>) -> Self {
        Self {
            hang: true,
            ..Self::new(operation, 0)
        }
    }

    /// AWS's code for the error, in the form of the service.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// What stands beside the code.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The whole body, as it is.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// One more header; `content-type` replaces the usual one.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Not the next few, which are answered as AWS would.
    #[must_use]
    pub fn after(mut self, spared: u32) -> Self {
        self.after = spared;
        self
    }

    /// Only the next few.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether this request is hit.
    pub(super) fn hits(&mut self, operation: &str) -> bool {
        if self.times == Some(0) || !operation.starts_with(&self.operation) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
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
    /// The service and its operation: `secretsmanager.GetSecretValue`, `ssm.GetParameters`, `sts.AssumeRole`, `imds.token`,
    /// `imds.role`, `imds.credentials`, `imds.region`, `container.credentials`.
    pub operation: String,
    /// The access key that signed it.
    pub access_key_id: Option<String>,
    /// The region it was signed for.
    pub region: Option<String>,
    /// What was answered; 0 for no answer.
    pub status: u16,
    /// The code of the error, where it is one.
    pub code: Option<String>,
}
