use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use secrets_core::Result;

use super::{Method, Way, by};
use crate::error;
use crate::token::Grant;
use crate::transport::bearer;

const NAME: &str = "the credential given";

/// A credential of the SDK, as it is.
pub(super) struct Custom(Arc<dyn TokenCredential>);

impl Custom {
    pub(super) fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self(credential)
    }
}

#[async_trait]
impl Method for Custom {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let clock = way.transport.clock();
        let since = clock.boot();
        let token = self.0.get_token(&[way.scope], None).await;
        let token = token.map_err(|error| by(NAME, &error::sdk(&error)))?;
        let ends = std::time::SystemTime::from(token.expires_on);
        Ok(Grant {
            header: bearer(token.token.secret().as_bytes())?,
            since,
            lifetime: ends.duration_since(clock.wall()).unwrap_or_default(),
        })
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What somebody else's credential prints of itself is not known.
        f.write_str("Credential")
    }
}
