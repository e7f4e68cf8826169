//! Everything this crate says through `tracing`, in one place, so that what is said can be read at a glance: names,
//! versions, kinds and counts; never a value. Without the feature all of it is nothing.

#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "what is said needs the feature")
)]

use std::time::Duration;

use crate::{BackendEvent, Error, ErrorKind, Fetched, ReadRequest, Result, SecretName, Version};

macro_rules! say {
    ($level:ident, $($what:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::$level!(target: "secrets", $($what)*);
    };
}

/// Runs one call of the backend in a span of its own; what the vendor's client says is inside.
pub(crate) async fn call(
    backend: &str,
    requests: &[ReadRequest<'_>],
    attempt: u32,
    call: impl Future<Output = Vec<Result<Fetched>>>,
) -> Vec<Result<Fetched>> {
    #[cfg(feature = "tracing")]
    let call = {
        use tracing::Instrument;
        let first = requests
            .first()
            .map(|request| tracing::field::display(request.name));
        call.instrument(tracing::debug_span!(
            target: "secrets", parent: None, "fetch", backend, secret = first, secrets = requests.len(), attempt
        ))
    };
    #[cfg(feature = "tracing")]
    let began = std::time::Instant::now();
    let answers = call.await;
    #[cfg(feature = "tracing")]
    {
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(target: "secrets", backend, attempt, secrets = requests.len(), failed, latency_ms, "call ended");
    }
    answers
}

pub(crate) fn fetched(backend: &str, name: &SecretName, version: Option<&Version>) {
    say!(debug, backend, secret = %name, version = version.map(tracing::field::display), "fetched");
}

pub(crate) fn failed(name: &SecretName, version: Option<&Version>, error: &Error) {
    say!(
        warn, backend = error.backend(), secret = %name, version = version.map(tracing::field::display),
        kind = %error.kind(), cause = error.cause().map(tracing::field::display), "fetch failed: {}", error.message()
    );
}

pub(crate) fn served_stale(backend: &str, name: &SecretName, because: ErrorKind) {
    say!(warn, backend, secret = %name, %because, "serving a value past its time to live");
}

pub(crate) fn opened(backend: &str, domain: &str) {
    say!(
        warn,
        backend,
        domain,
        "circuit breaker opened; the store is left alone but for one probe at a time"
    );
}

pub(crate) fn paused(backend: &str, domain: &str, pause: Duration) {
    say!(warn, backend, domain, ?pause, "the store asked for a pause");
}

pub(crate) fn expired_already(backend: &str, name: &SecretName) {
    say!(warn, backend, secret = %name, "the store served a value whose end has passed; it is kept for one second");
}

pub(crate) fn event(backend: &str, event: &BackendEvent) {
    say!(debug, backend, ?event, "the store reports a change");
}

pub(crate) fn watch_ended(backend: &str, wait: Duration) {
    say!(
        warn,
        backend,
        ?wait,
        "the watch ended and will be started again; values are polled meanwhile"
    );
}
