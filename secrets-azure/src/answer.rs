use std::time::Duration;

use secrets_core::{Cause, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::json;

/// What came back for a request, whatever its status. The body is wiped when dropped.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(crate) fn succeeded(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    /// The body as JSON of this type.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        json::parse(&self.body)
    }

    /// Status and request id.
    pub(crate) fn cause(&self) -> Cause {
        let cause = Cause::new().with_status(self.status);
        match &self.request_id {
            Some(id) => cause.with_request_id(id),
            None => cause,
        }
    }
}
