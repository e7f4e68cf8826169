//! Keeps the SDK's own traces of a login from being heard.

use tracing::Dispatch;
use tracing::dispatcher::get_default;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

/// Runs a future whose traces nobody hears.
///
/// `aws-config` traces requests and answers of STS as they are: a web identity token at `TRACE`, and at `WARN` any answer
/// that it cannot read, with the credentials in it. Where nobody listens nothing is done: installing even a silent
/// subscriber would change what the rest of the process logs.
pub(crate) async fn quietly<F: Future>(future: F) -> F::Output {
    let heard = get_default(|listener| !listener.is::<NoSubscriber>());
    if heard {
        future.with_subscriber(Dispatch::none()).await
    } else {
        future.await
    }
}
