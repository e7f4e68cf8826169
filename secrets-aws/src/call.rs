//! One call of AWS: credentials, a deadline, one more try with other credentials, and what its failure means.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use secrets_core::{Clock, Result};

use crate::error::{self, Asked, Failed};
use crate::life::Login;
use crate::session::Session;
use crate::within::within;

/// Makes calls with the session's credentials, or with those of a client that the user made.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) session: Option<Session>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limit: Duration,
}

impl Caller {
    /// Makes a call, and makes it once more with new credentials when AWS no longer accepts the first.
    ///
    /// `send` gets the login to call with; none when the client has credentials of its own.
    pub(crate) async fn call<T, E, F>(
        &self,
        asked: Asked<'_>,
        send: impl Fn(Option<&Login>) -> F + Send + Sync,
    ) -> Result<T, Failed>
    where
        T: Send,
        E: ProvideErrorMetadata + Send,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let Some(session) = &self.session else {
            return self.once(asked, send(None)).await;
        };
        let login = session.login().await?;
        match self.once(asked, send(Some(&login))).await {
            Err(failed) if failed.credentials && session.reject(&login) => {}
            outcome => return outcome,
        }
        let login = session.login().await?;
        self.once(asked, send(Some(&login))).await
    }

    /// Ends what runs beside the calls.
    pub(crate) fn close(&self) {
        if let Some(session) = &self.session {
            session.close();
        }
    }

    async fn once<T, E, F>(&self, asked: Asked<'_>, sent: F) -> Result<T, Failed>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        match within(&*self.clock, self.limit, sent).await {
            Some(answer) => answer.map_err(|failure| error::failed(asked, &failure, self.clock.wall())),
            None => Err(error::timeout("AWS", Some(self.limit)).into()),
        }
    }
}
