use std::fmt;

/// Why a case failed, in words for the author of the backend.
///
/// It names the law, the case and what was seen. It never prints a value or a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    law: &'static str,
    case: &'static str,
    reason: String,
}

impl Failure {
    /// A failure for this reason; the case is filled in by whoever runs it.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            law: "",
            case: "",
            reason: reason.into(),
        }
    }

    pub(crate) fn of(mut self, law: &'static str, case: &'static str) -> Self {
        (self.law, self.case) = (law, case);
        self
    }

    /// The law that is broken, such as `V2`.
    pub fn law(&self) -> &str {
        self.law
    }

    /// The case that found it, such as `v2_empty_is_not_absent`.
    pub fn case(&self) -> &str {
        self.case
    }

    /// What was expected, and what was seen instead.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {} ({}): {}", self.law, self.case, self.reason)
    }
}

impl std::error::Error for Failure {}
