//! Keeps the SDK's own traces of a login from being heard.

use tracing::dispatcher::get_default;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber};
use tracing::{Event, Metadata, Subscriber};

/// Runs a future whose traces nobody hears.
///
/// `aws-config` traces requests and answers of STS as they are: a web identity token at `TRACE`, and at `WARN` any answer
/// that it cannot read, with the credentials in it. Where nobody listens nothing is done: installing even a silent
/// subscriber would change what the rest of the process logs.
pub(crate) async fn quietly<F: Future>(future: F) -> F::Output {
    let heard = get_default(|listener| !listener.is::<NoSubscriber>());
    if heard {
        future.with_subscriber(Silent).await
    } else {
        future.await
    }
}

/// Hears nothing, and leaves open whether others do: what is first traced under `NoSubscriber` would be off for good.
struct Silent;

impl Subscriber for Silent {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
