use async_trait::async_trait;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use secrets_core::Result;

use super::{MANAGED, Method, Way};
use crate::config;
use crate::error;
use crate::token::Grant;

/// Which of the identities that a user has assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Identity {
    /// The one of this client id.
    ClientId(String),
    /// The one of this object id, also called principal id.
    ObjectId(String),
    /// The one of this resource id: `/subscriptions/…/userAssignedIdentities/…`. Not on App Service.
    ResourceId(String),
}

/// What Azure has assigned to where this runs.
#[derive(Debug)]
pub(super) struct ManagedIdentity {
    identity: Option<Identity>,
}

impl ManagedIdentity {
    pub(super) fn new(identity: Option<Identity>) -> Self {
        Self { identity }
    }
}

#[async_trait]
impl Method for ManagedIdentity {
    fn name(&self) -> &'static str {
        MANAGED
    }

    fn check(&self) -> Result<()> {
        match &self.identity {
            None => Ok(()),
            Some(Identity::ClientId(id)) => config::id(id, "client id of the identity"),
            Some(Identity::ObjectId(id)) => config::id(id, "object id of the identity"),
            Some(Identity::ResourceId(id)) => {
                if id.starts_with('/') && !id.chars().any(|c| c.is_control() || c.is_whitespace()) {
                    return Ok(());
                }
                Err(error::config(
                    "the resource id of the identity is none; it begins with /subscriptions/",
                ))
            }
        }
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        let user_assigned_id = self.identity.clone().map(|identity| match identity {
            Identity::ClientId(id) => UserAssignedId::ClientId(id),
            Identity::ObjectId(id) => UserAssignedId::ObjectId(id),
            Identity::ResourceId(id) => UserAssignedId::ResourceId(id),
        });
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id,
            client_options: way.options(),
        };
        way.login(MANAGED, ManagedIdentityCredential::new(Some(options)))
            .await
    }
}
