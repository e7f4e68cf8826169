use std::time::Duration;

use bytes::Bytes;

/// What a [`WireProxy`](super::WireProxy) does to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireFault {
    /// The response goes through up to this many bytes; then the connection ends properly, as if that were all.
    CloseAfter(usize),
    /// A response of status 200 whose body never ends.
    Endless,
    /// Bytes that are no HTTP, instead of a response.
    Garbage,
    /// A response of status 200 whose body begins as JSON and is neither JSON nor UTF-8.
    GarbageBody,
    /// New connections are accepted and hear nothing, not even a TLS handshake; requests on open ones get no answer.
    Hang,
    /// Requests are taken and get no answer.
    NoAnswer,
    /// Connections are refused, as when nobody listens; open ones are reset.
    Refuse,
    /// The response goes through up to this many bytes; then the connection is reset.
    ResetAfter(usize),
    /// The response goes through in pieces, with a pause on the proxy's clock before each.
    Slow {
        /// The bytes of one piece; at least 1.
        piece: usize,
        /// The pause.
        pause: Duration,
    },
    /// A response of this status instead of the store's.
    #[non_exhaustive]
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header: seconds, or a date.
        retry_after: Option<String>,
        /// The body, called `application/json`.
        body: Bytes,
    },
}

impl WireFault {
    /// A [`Status`](WireFault::Status) without a body.
    pub fn status<'a>(status: u16, retry_after: impl Into<Option<&'a str>>) -> Self {
        Self::Status {
            status,
            retry_after: retry_after.into().map(Into::into),
            body: Bytes::new(),
        }
    }

    /// The same [`Status`](WireFault::Status) with this body; anything else is unchanged.
    #[must_use]
    pub fn with_body(mut self, with: impl Into<Bytes>) -> Self {
        if let Self::Status { body, .. } = &mut self {
            *body = with.into();
        }
        self
    }

    /// The whole response that stands in for the store's, if it is one that ends.
    pub(super) fn response(&self) -> Option<Vec<u8>> {
        match self {
            Self::Garbage => Some(b"\x15\x03\xff\xfe this is no HTTP \x00\r\n\r\n".to_vec()),
            Self::GarbageBody => Some(
                [
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 22\r\n\r\n"
                        .as_slice(),
                    b"{\"data\":{\"data\":\"\xff\xfe}}[",
                ]
                .concat(),
            ),
            Self::Status {
                status,
                retry_after,
                body,
            } => {
                let retry_after = retry_after
                    .as_ref()
                    .map_or(String::new(), |after| format!("retry-after: {after}\r\n"));
                let head = format!(
                    "HTTP/1.1 {status} Injected\r\n{retry_after}content-type: application/json\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n",
                    body.len()
                );
                Some([head.as_bytes(), body].concat())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_garbage_body_is_as_long_as_it_says() {
        let response = WireFault::GarbageBody.response().unwrap();
        let at = response
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        assert_eq!(response.len() - at - 4, 22);
    }
}
