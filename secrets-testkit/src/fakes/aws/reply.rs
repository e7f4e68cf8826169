//! What is answered, in the form of each service.

use serde_json::{Value, json};

use super::failure::Failure;
use crate::wire::{Body, Response};

/// Which way a service writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON 1.1, the operation in a header.
    Json,
    /// Query and XML.
    Query,
    /// Plain text or JSON of the metadata services.
    Plain,
}

/// One answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    message: String,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::of(200, body.to_string(), "application/x-amz-json-1.1")
    }

    pub(super) fn xml(action: &str, result: &str) -> Self {
        let body = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result>\
             <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
        );
        Self::of(200, body, "text/xml")
    }

    pub(super) fn plain(status: u16, body: impl Into<String>) -> Self {
        Self::of(status, body.into(), "text/plain")
    }

    /// An error as the service writes it.
    pub(super) fn error(form: Form, status: u16, code: &str, message: &str) -> Self {
        let body = match form {
            Form::Json => json!({ "__type": code, "message": message, "Message": message }).to_string(),
            Form::Query => format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}\
                 </Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
            ),
            Form::Plain => json!({ "code": code, "message": message }).to_string(),
        };
        let kind = match form {
            Form::Json => "application/x-amz-json-1.1",
            Form::Query => "text/xml",
            Form::Plain => "application/json",
        };
        let mut reply = Self::of(status, body, kind);
        reply.code = Some(code.to_owned());
        message.clone_into(&mut reply.message);
        reply
    }

    /// What stands beside the code of an error.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What a failure answers.
    pub(super) fn failed(form: Form, failure: &Failure) -> Self {
        let mut reply = match &failure.code {
            Some(code) => Self::error(form, failure.status, code, &failure.message),
            None => Self::of(failure.status, String::new(), "application/x-amz-json-1.1"),
        };
        if let Some(body) = &failure.body {
            reply.body.clone_from(body);
        }
        for (name, value) in &failure.headers {
            reply
                .headers
                .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            reply.headers.push((name.clone(), value.clone()));
        }
        reply
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn into_response(self, number: usize) -> Response {
        let mut response = http::Response::builder()
            .status(self.status)
            .header("x-amzn-requestid", format!("fake-request-{number}"));
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let body: Body = self.body.into();
        response
            .body(body)
            .unwrap_or_else(|_| Response::new(Body::empty()))
    }

    fn of(status: u16, body: String, kind: &str) -> Self {
        Self {
            status,
            code: None,
            message: String::new(),
            body: body.into_bytes(),
            headers: vec![("content-type".to_owned(), kind.to_owned())],
        }
    }
}
