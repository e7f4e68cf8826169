//! What a server answers, as the input says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrets_testkit::wire::{HttpServer, HttpServerBuilder, Request, Response};

use crate::CANARY;
use crate::law;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn unavailable() -> Self {
        Self {
            status: 503,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    fn parse(text: &[u8]) -> Self {
        let status = || {
            let (digits, rest) = text.split_at_checked(3)?;
            let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
            let rest = rest.strip_prefix(b"\n").or(rest.is_empty().then_some(rest))?;
            (200..600).contains(&status).then_some((status, rest))
        };
        let Some((status, mut rest)) = status() else {
            return Self::ok(text);
        };
        let mut headers = Vec::new();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if line.is_empty() {
                break;
            }
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let name = String::from_utf8_lossy(&line[..colon]).into_owned();
                headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
            }
        }
        Self {
            status,
            headers,
            body: rest.to_vec(),
        }
    }

    /// Whether the canary stands where it may be printed.
    fn is_public(&self) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
        self.headers.iter().any(|(_, value)| holds(value)) || law::is_public(&self.body)
    }

    fn response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status.try_into().expect("it is a status");
        for (name, value) in self.headers {
            // What frames the answer is the server's own affair.
            let framing = ["connection", "content-length", "transfer-encoding", "upgrade"];
            if framing.iter().any(|other| name.eq_ignore_ascii_case(other)) {
                continue;
            }
            if let (Ok(name), Ok(value)) = (
                name.parse::<secrets_testkit::wire::http::HeaderName>(),
                secrets_testkit::wire::http::HeaderValue::from_bytes(&value),
            ) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// The answers to come, and those that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    left: VecDeque<Answer>,
    given: Vec<Answer>,
    asked: Vec<String>,
}

impl Script {
    /// The answers of an input, from the first on. `false` when the canary stands where it may be printed.
    pub(crate) fn load(&self, input: &[u8]) -> bool {
        const BETWEEN: &[u8] = b"\n---\n";
        let mut left = VecDeque::new();
        let mut rest = input;
        while let Some(at) = rest.windows(BETWEEN.len()).position(|part| part == BETWEEN) {
            left.push_back(Answer::parse(&rest[..at]));
            rest = &rest[at + BETWEEN.len()..];
        }
        left.push_back(Answer::parse(rest));
        let telling = !left.iter().any(Answer::is_public);
        *self.state() = State {
            left,
            ..State::default()
        };
        telling
    }

    /// The next answer, to this request.
    pub(crate) fn next(&self, asked: String) -> Answer {
        let mut state = self.state();
        let answer = state.left.pop_front().unwrap_or_else(Answer::unavailable);
        state.asked.push(asked);
        state.given.push(answer.clone());
        answer
    }

    /// What has been asked, and from now on is not.
    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// The answer given last.
    pub(crate) fn last(&self) -> Option<Answer> {
        self.state().given.last().cloned()
    }

    /// The JSON of the answer a value came from: it succeeded, and is well-formed.
    pub(crate) fn document_of_a_value(&self) -> Option<serde_json::Value> {
        let body = self.body_of_a_value();
        let well_formed = serde_json::from_slice::<serde::de::IgnoredAny>(&body);
        assert!(well_formed.is_ok(), "a value out of what is no JSON");
        // What is nested deeper than the reference parser goes, it does not compare.
        serde_json::from_slice(&body).ok()
    }

    /// The same, for the parser of AWS's SDK: it takes control characters in strings as they are, and what it passes over need
    /// not be well-formed. `None` when the reference parser does not read it.
    pub(crate) fn lax_document_of_a_value(&self) -> Option<serde_json::Value> {
        let body = self.body_of_a_value();
        let whole = body
            .trim_ascii()
            .strip_prefix(b"{")
            .is_some_and(|rest| rest.ends_with(b"}"));
        assert!(whole, "a value out of a part of an object");
        serde_json::from_slice(&body).ok()
    }

    /// The body of the answer given last, which succeeded.
    fn body_of_a_value(&self) -> Vec<u8> {
        let answer = self.last().expect("a value out of nothing");
        assert!(
            (200..300).contains(&answer.status),
            "a value out of {}",
            answer.status
        );
        answer.body
    }

    /// A server that follows this script, but for what `fixed` answers.
    pub(crate) fn serve(
        &self,
        server: HttpServerBuilder,
        fixed: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> HttpServer {
        let script = self.clone();
        let server = server.start(move |request: Request| {
            let answer = fixed(&request).unwrap_or_else(|| {
                let asked = request.uri().path_and_query().map_or("", |asked| asked.as_str());
                script.next(asked.to_owned())
            });
            async { answer.response() }
        });
        server.expect("there is a port")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one target keeps between inputs. A law that is broken does not make it unusable.
pub(crate) struct Kept<T>(std::sync::LazyLock<Mutex<T>>);

impl<T> Kept<T> {
    pub(crate) const fn new(make: fn() -> Mutex<T>) -> Self {
        Self(std::sync::LazyLock::new(make))
    }

    pub(crate) fn get(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runtime on this thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("there is a runtime")
}
