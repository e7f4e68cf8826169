//! The endpoints that vaultrs does not have, or has in a form that cannot be used: described the same way.
//!
//! Logins are here because their bodies carry long-lived credentials: they are written once, into a buffer of their
//! final size that is wiped, where the typed requests of vaultrs keep plain strings and copy them while serialising.

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use zeroize::Zeroizing;

/// Implements what all of these have in common.
macro_rules! endpoint {
    ($type:ident $(<$life:lifetime>)?, $method:ident, |$this:ident| $path:expr, |$of:ident| $body:expr) => {
        impl $(<$life>)? Endpoint for $type $(<$life>)? {
            type Response = ();
            const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
            const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

            fn path(&self) -> String {
                let $this = self;
                $path
            }

            fn method(&self) -> RequestMethod {
                RequestMethod::$method
            }

            fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
                let $of = self;
                Ok($body)
            }
        }
    };
}

/// Logs in at an auth method: `POST auth/{mount}/login`.
pub(crate) struct Login<'a> {
    pub(crate) mount: &'a str,
    pub(crate) fields: &'a [(&'static str, &'a [u8])],
}
endpoint!(
    Login<'a>,
    POST,
    |this| format!("auth/{}/login", this.mount),
    |this| Some(object(this.fields))
);

/// Extends a lease: `POST sys/leases/renew`.
pub(crate) struct RenewLease<'a> {
    pub(crate) id: &'a str,
}
endpoint!(
    RenewLease<'a>,
    POST,
    |_this| "sys/leases/renew".to_owned(),
    |this| Some(object(&[("lease_id", this.id.as_bytes())]))
);

/// Ends a lease: `POST sys/leases/revoke`.
pub(crate) struct RevokeLease<'a> {
    pub(crate) id: &'a str,
}
endpoint!(
    RevokeLease<'a>,
    POST,
    |_this| "sys/leases/revoke".to_owned(),
    |this| Some(object(&[("lease_id", this.id.as_bytes())]))
);

/// Which engine lies at a path, and its options: `GET sys/internal/ui/mounts/{path}`.
pub(crate) struct Mount<'a> {
    pub(crate) path: &'a str,
}
endpoint!(
    Mount<'a>,
    GET,
    |this| format!("sys/internal/ui/mounts/{}", this.path),
    |_this| None
);

/// What a wrapping token holds, without opening it: `POST sys/wrapping/lookup`.
pub(crate) struct LookupWrapped<'a> {
    pub(crate) token: &'a [u8],
}
endpoint!(
    LookupWrapped<'a>,
    POST,
    |_this| "sys/wrapping/lookup".to_owned(),
    |this| Some(object(&[("token", this.token)]))
);

/// A JSON object of strings, in a buffer of exactly its size. Values are UTF-8: whoever holds a credential has checked that.
fn object(fields: &[(&'static str, &[u8])]) -> Vec<u8> {
    let size = |bytes: &[u8]| bytes.iter().map(|byte| escaped(*byte).len()).sum::<usize>();
    let total = 2
        + fields
            .iter()
            .map(|(name, value)| name.len() + size(value) + 5)
            .sum::<usize>()
        + fields.len().saturating_sub(1);
    let mut out = Zeroizing::new(Vec::with_capacity(total));
    out.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":\"");
        value
            .iter()
            .for_each(|byte| out.extend_from_slice(escaped(*byte).as_slice()));
        out.push(b'"');
    }
    out.push(b'}');
    debug_assert_eq!(out.len(), total, "the buffer has its final size");
    std::mem::take(&mut *out)
}

/// One byte as it stands in a JSON string.
fn escaped(byte: u8) -> Escaped {
    match byte {
        b'"' | b'\\' => Escaped([b'\\', byte, 0, 0, 0, 0], 2),
        0..=0x1f => {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            Escaped([b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 0xf)], 6)
        }
        _ => Escaped([byte, 0, 0, 0, 0, 0], 1),
    }
}

struct Escaped([u8; 6], usize);

impl Escaped {
    fn as_slice(&self) -> &[u8] {
        &self.0[..self.1]
    }

    fn len(&self) -> usize {
        self.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_body_is_well_formed_json_of_its_final_size() {
        let body = object(&[("role_id", b"a\"b\\c\n\x01\xc3\xa9"), ("secret_id", b"")]);
        assert_eq!(body.len(), body.capacity());
        let parsed: std::collections::BTreeMap<String, String> = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["role_id"], "a\"b\\c\n\u{1}é");
        assert_eq!(parsed["secret_id"], "");
        assert_eq!(object(&[]), b"{}");
    }
}
