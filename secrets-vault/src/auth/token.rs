use async_trait::async_trait;
use secrets_core::Result;
use serde::Deserialize;
use vaultrs::api::token::requests::LookupTokenSelfRequest;

use super::{Grant, Method, Way};
use crate::answer::life;
use crate::credential::Credential;
use crate::error::Asked;
use crate::transport::secret_header;

/// A token somebody else obtained.
#[derive(Debug)]
pub(super) struct Token {
    token: Credential,
}

impl Token {
    pub(super) fn new(token: Credential) -> Self {
        Self { token }
    }
}

#[async_trait]
impl Method for Token {
    fn usual_mount(&self) -> Option<&'static str> {
        None
    }

    fn fixed(&self) -> bool {
        !self.token.is_file()
    }

    fn check(&self, _has_certificate: bool) -> Result<()> {
        self.token.check("token")
    }

    /// Reads the token and asks Vault how long it lives.
    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        #[derive(Deserialize)]
        struct Lookup<'a> {
            ttl: u64,
            renewable: Option<bool>,
            #[serde(rename = "type")]
            kind: Option<&'a str>,
        }
        let token = secret_header(&self.token.read("token").await?)?;
        let since = way.transport.clock().boot();
        let answer = way
            .transport
            .send(&LookupTokenSelfRequest {}, Some(&token), way.limit)
            .await?;
        if answer.status == 403 && !answer.hints().bad_token {
            // A token without the policy `default` may not look itself up. Whether it is any good, reads will tell.
            return Ok(Grant {
                token,
                since,
                lifetime: None,
                renewable: false,
                unverified: true,
            });
        }
        let frame = answer.frame(Asked::System {
            path: "auth/token/lookup-self",
        })?;
        let lookup = frame.data::<Lookup<'_>>()?;
        Ok(Grant {
            token,
            since,
            lifetime: (lookup.ttl > 0).then(|| life(lookup.ttl)),
            renewable: lookup.renewable.unwrap_or(false) && lookup.kind != Some("batch"),
            unverified: false,
        })
    }
}
