use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::wire::{Body, Response};

/// An answer, before it is framed as Vault frames it.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// JSON source: values keep their digits.
    pub(super) data: Option<String>,
    pub(super) auth: Option<Value>,
    pub(super) lease: Option<(String, Duration, bool)>,
    pub(super) errors: Option<Vec<String>>,
    pub(super) warnings: Vec<String>,
    pub(super) wrap_info: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Sent as it is, instead of all the above.
    pub(super) raw: Option<String>,
}

impl Reply {
    pub(super) fn data(data: impl Into<String>) -> Self {
        Self {
            status: 200,
            data: Some(data.into()),
            ..Self::default()
        }
    }

    pub(super) fn auth(auth: Value) -> Self {
        Self {
            status: 200,
            auth: Some(auth),
            ..Self::default()
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            ..Self::default()
        }
    }

    pub(super) fn error<E: Into<String>>(status: u16, errors: impl IntoIterator<Item = E>) -> Self {
        Self {
            status,
            errors: Some(errors.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    pub(super) fn not_found() -> Self {
        Self::error(404, [] as [&str; 0])
    }

    pub(super) fn denied() -> Self {
        Self::error(403, ["1 error occurred:\n\t* permission denied\n\n"])
    }

    pub(super) fn bad_token() -> Self {
        Self::error(
            403,
            ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"],
        )
    }

    pub(super) fn no_route(path: &str) -> Self {
        let text = format!("no handler for route \"{path}\". route entry not found.");
        Self::error(404, [text])
    }

    pub(super) fn into_response(self, request_id: u64) -> Response {
        let mut response = Response::new(self.body(request_id));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            if let Ok(value) = value.parse() {
                headers.insert(*name, value);
            }
        }
        response
    }

    fn body(&self, request_id: u64) -> Body {
        if let Some(raw) = &self.raw {
            return raw.clone().into();
        }
        if self.status == 204 {
            return Body::empty();
        }
        if let Some(errors) = &self.errors {
            let mut body = json!({ "errors": errors });
            if !self.warnings.is_empty() {
                body["warnings"] = json!(self.warnings);
            }
            return body.to_string().into();
        }
        let (lease_id, duration, renewable) = self.lease.clone().unwrap_or_default();
        let warnings = if self.warnings.is_empty() {
            Value::Null
        } else {
            json!(self.warnings)
        };
        let body = format!(
            r#"{{"request_id":"{}","lease_id":{},"renewable":{renewable},"lease_duration":{},"data":{},"wrap_info":{},"warnings":{warnings},"auth":{}}}"#,
            id(request_id),
            json!(lease_id),
            duration.as_secs(),
            self.data.as_deref().unwrap_or("null"),
            self.wrap_info.as_ref().unwrap_or(&Value::Null),
            self.auth.as_ref().unwrap_or(&Value::Null),
        );
        body.into()
    }
}

/// A request id as Vault writes it.
fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}
