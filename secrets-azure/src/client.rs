use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::error::ErrorKind as SdkKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::pager::{PagerContinuation, PagerOptions};
use azure_core::http::{ClientMethodOptions, Context, RawResponse, Url};
use azure_security_keyvault_secrets::SecretClient;
use azure_security_keyvault_secrets::models::{
    SecretClientGetDeletedSecretOptions, SecretClientGetSecretOptions,
    SecretClientListSecretPropertiesOptions,
};
use futures_core::Stream;
use secrets_core::{Clock, Error, ErrorKind, Result};
use zeroize::{Zeroize, Zeroizing};

use crate::answer::Answer;
use crate::error;
use crate::exchange::{Exchange, Purpose};
use crate::session::Session;

/// A call that lost its token to somebody else's refusal asks again; more often than this, something is wrong.
const ATTEMPTS: usize = 8;

/// One request to the vault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// What is known of a deleted secret.
    Deleted { name: &'a str },
    /// A page of the list of secrets: the first one, or the one at this address.
    Page { next: Option<&'a Url> },
    /// A secret, the latest version or this one.
    Secret { name: &'a str, version: Option<&'a str> },
}

/// The SDK's client, and whose it is.
pub(crate) struct Client {
    pub(crate) sdk: SecretClient,
    /// `None` where the client is the user's own, with its own credential and transport.
    pub(crate) session: Option<Session>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a call may take where the client is the user's own.
    pub(crate) limit: Duration,
    pub(crate) max_answer: usize,
}

impl Client {
    /// Asks, and returns the last answer, whatever its status.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer> {
        if self.session.is_none() {
            return tokio::select! {
                biased;
                answer = self.send_by_theirs(call) => answer,
                () = self.clock.sleep(self.limit) => Err(error::timeout(self.limit)),
            };
        }
        for _ in 0..ATTEMPTS {
            let exchange = Exchange::new(match call {
                Call::Page { .. } => Purpose::Page,
                Call::Deleted { .. } | Call::Secret { .. } => Purpose::Vault,
            });
            let refusal = self.call(call, exchange.context()).await.err();
            match (exchange.take(), refusal) {
                (Some(Err(error)), _) => return Err(error),
                // Of calls that are refused at once, the SDK asks for the token of one, or takes back that of another. Nothing
                // was sent.
                (_, Some(refusal)) if matches!(refusal.kind(), SdkKind::Credential) => {}
                (Some(Ok(answer)), Some(refusal)) if answer.status == 401 && !answered(&refusal) => {
                    return Err(error::challenge(&answer));
                }
                (Some(Ok(answer)), _) => return Ok(answer),
                (None, Some(refusal)) => return Err(error::sdk(&refusal)),
                (None, None) => {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        "the SDK has an answer that nobody gave",
                    ));
                }
            }
        }
        let message = "tokens are refused faster than they are issued";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    async fn send_by_theirs(&self, call: Call<'_>) -> Result<Answer> {
        match self.call(call, Context::new()).await {
            Ok(response) => self.answer(response),
            Err(error) => match error.kind() {
                SdkKind::HttpResponse {
                    raw_response: Some(raw),
                    ..
                } => self.answer((**raw).clone()),
                _ => Err(error::sdk(&error)),
            },
        }
    }

    async fn call(&self, call: Call<'_>, context: Context<'static>) -> azure_core::Result<RawResponse> {
        let method_options = ClientMethodOptions {
            context: context.clone(),
        };
        match call {
            Call::Secret { name, version } => {
                let options = SecretClientGetSecretOptions {
                    secret_version: version.map(str::to_owned),
                    method_options,
                    ..SecretClientGetSecretOptions::default()
                };
                Ok(self.sdk.get_secret(name, Some(options)).await?.into())
            }
            Call::Deleted { name } => {
                let options = SecretClientGetDeletedSecretOptions { method_options };
                Ok(self.sdk.get_deleted_secret(name, Some(options)).await?.into())
            }
            Call::Page { next } => {
                let options = SecretClientListSecretPropertiesOptions {
                    method_options: PagerOptions {
                        context,
                        continuation: next.cloned().map(PagerContinuation::Link),
                    },
                    ..SecretClientListSecretPropertiesOptions::default()
                };
                let mut pages = Box::pin(self.sdk.list_secret_properties(Some(options))?.into_pages());
                let page = std::future::poll_fn(|cx| pages.as_mut().poll_next(cx)).await;
                match page {
                    Some(page) => Ok(page?.into()),
                    None => Err(azure_core::Error::with_message(
                        SdkKind::DataConversion,
                        "no page",
                    )),
                }
            }
        }
    }

    /// What a client of the user's own has received. Its buffers are not ours, but the last one can be wiped.
    fn answer(&self, response: RawResponse) -> Result<Answer> {
        let (status, headers, body) = response.deconstruct();
        let body = bytes::Bytes::from(body);
        if body.len() > self.max_answer {
            return Err(error::too_large(self.max_answer));
        }
        let answer = Answer {
            status: status.into(),
            retry_after: headers
                .get_optional_str(&HeaderName::from_static("retry-after"))
                .and_then(|header| error::retry_after(header, self.clock.wall())),
            request_id: headers
                .get_optional_str(&HeaderName::from_static("x-ms-request-id"))
                .map(Into::into),
            body: Zeroizing::new(body.to_vec()),
        };
        if let Ok(mut body) = body.try_into_mut() {
            body.as_mut().zeroize();
        }
        Ok(answer)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.wall()
    }

    /// The address of the vault.
    pub(crate) fn endpoint(&self) -> &Url {
        self.sdk.endpoint()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("vault", &self.endpoint().as_str())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Whether the SDK only complains of the answer's status, or of its body, which it did not get.
fn answered(error: &azure_core::Error) -> bool {
    matches!(error.kind(), SdkKind::HttpResponse { .. })
}
