//! Where credentials come from: the chain of the SDK, one profile, a role, or the user.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_config::identity::IdentityCache;
use aws_config::imds::client::error::ImdsError;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_types::app_name::AppName;
use aws_types::sdk_ua_metadata::FrameworkMetadata;
use secrets_core::{Cause, Clock, Error, ErrorKind, Result};

use crate::error;
use crate::transport::Transport;

/// Everything that a login needs to know.
pub(crate) struct Source {
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) region: OnceLock<Region>,
    pub(crate) profile: Option<String>,
    /// Given by the user; otherwise the chain.
    pub(crate) fixed: Option<Credentials>,
    pub(crate) role: Option<Role>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) fips: Option<bool>,
    pub(crate) dual_stack: Option<bool>,
    pub(crate) application: Option<AppName>,
}

/// A role to assume with the credentials found.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: String,
}

impl Source {
    /// Whether asking again may bring other credentials.
    pub(crate) fn renewable(&self) -> bool {
        self.fixed.is_none() || self.role.is_some()
    }

    /// Credentials as they are now, and what to use them with. Files and services are read again each time.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is no region, or the configuration of AWS cannot be used; otherwise the kind of what
    /// failed, and `Unauthenticated` when nothing gives credentials.
    pub(crate) async fn obtain(&self) -> Result<(SdkConfig, Credentials)> {
        let config = self.load().await?;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the SDK was configured without credentials"))?;
        let Some(role) = &self.role else {
            let credentials = provider.provide_credentials().await;
            return Ok((config, credentials.map_err(|error| refused(&error, None))?));
        };
        let assumed = self.assume(role, &config, provider).await?;
        Ok((config, assumed))
    }

    async fn load(&self) -> Result<SdkConfig> {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(self.transport.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .time_source(Wall(self.clock.clone()));
        if let Ok(metadata) = FrameworkMetadata::new("secrets-aws", Some(env!("CARGO_PKG_VERSION"))) {
            loader = loader.framework_metadata(metadata);
        }
        if let Some(application) = &self.application {
            loader = loader.app_name(application.clone());
        }
        if let Some(region) = self.region.get() {
            loader = loader.region(region.clone());
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(fips) = self.fips {
            loader = loader.use_fips(fips);
        }
        if let Some(dual_stack) = self.dual_stack {
            loader = loader.use_dual_stack(dual_stack);
        }
        if let Some(credentials) = &self.fixed {
            loader = loader.credentials_provider(credentials.clone());
        }
        let config = loader.load().await;
        match config.region() {
            Some(region) => {
                crate::endpoint::region(region.as_ref())?;
                // Found once, by the environment, the profile or the machine's metadata, it stays.
                let _ = self.region.set(region.clone());
                Ok(config)
            }
            None => Err(error::config(
                "no region is known: give it to the builder (or the URI), set AWS_REGION, or `region` in the profile",
            )),
        }
    }

    async fn assume(
        &self,
        role: &Role,
        config: &SdkConfig,
        base: SharedCredentialsProvider,
    ) -> Result<Credentials> {
        let mut builder = config.to_builder();
        if let Some(endpoint) = &self.sts_endpoint {
            builder.set_endpoint_url(Some(endpoint.clone()));
        }
        let mut provider = AssumeRoleProvider::builder(&role.arn)
            .configure(&builder.build())
            .session_name(&role.session_name);
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        // Found first, so that what is wrong with them is not told as what is wrong with the role.
        let found = base.provide_credentials().await;
        let found = found.map_err(|error| refused(&error, None))?;
        let provider = provider.build_from_provider(found).await;
        let assumed = provider.provide_credentials().await;
        assumed.map_err(|error| refused(&error, Some(&role.arn)))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("region", &self.region.get().map(AsRef::as_ref))
            .field("profile", &self.profile)
            .field("fixed", &self.fixed.is_some())
            .field("role", &self.role.as_ref().map(|role| &role.arn))
            .finish_non_exhaustive()
    }
}

/// The time of day, for signatures and the ends of credentials.
#[derive(Debug)]
struct Wall(Arc<dyn Clock>);

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        self.0.wall()
    }
}

/// What a failed login means. Texts of the SDK may quote answers with credentials in them, and go no further.
fn refused(failure: &CredentialsError, role: Option<&str>) -> Error {
    let mut source = failure.source();
    while let Some(cause) = source {
        if let Some(known) = known(cause, role) {
            return known;
        }
        source = cause.source();
    }
    match failure {
        CredentialsError::CredentialsNotLoaded(_) => Error::new(
            ErrorKind::Unauthenticated,
            "nothing gives AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or give the \
             task, pod or instance a role",
        ),
        CredentialsError::ProviderTimedOut(_) => error::timeout("the source of AWS credentials", None),
        CredentialsError::InvalidConfiguration(_) => error::config(
            "the configuration of AWS credentials cannot be used: check the profile, and the variables of the web identity \
             or container",
        ),
        _ => Error::new(
            ErrorKind::Unavailable,
            "a source of AWS credentials answered with something that is no credential; check what the profile, web \
             identity, container or instance metadata gives",
        ),
    }
}

/// The one cause in a chain that says what happened.
fn known(cause: &(dyn std::error::Error + 'static), role: Option<&str>) -> Option<Error> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return Some(error.clone());
    }
    if let Some(sts) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
        return Some(error::login(sts, role));
    }
    if let Some(sts) = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>() {
        return Some(error::login(sts, role));
    }
    if let Some(wire) = cause.downcast_ref::<ConnectorError>() {
        return Some(error::transport(wire));
    }
    if let Some(ImdsError::ErrorResponse(answer)) = cause.downcast_ref::<ImdsError>() {
        let status = answer.response().status().as_u16();
        let (kind, message) = match status {
            500.. => (
                ErrorKind::Unavailable,
                "the instance metadata service fails; it may answer soon",
            ),
            _ => (
                ErrorKind::Unauthenticated,
                "the instance metadata service gives no credentials; does the instance have a role?",
            ),
        };
        return Some(Error::new(kind, message).with_cause(Cause::new().with_status(status)));
    }
    if let Some(io) = cause.downcast_ref::<std::io::Error>() {
        let message = "a file of AWS credentials cannot be read; check AWS_WEB_IDENTITY_TOKEN_FILE, \
                       AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE and the profile files";
        return Some(Error::new(ErrorKind::Unauthenticated, message).with_cause(Cause::from(io)));
    }
    None
}

/// How long the whole of a login may take, and where to look for the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One request.
    pub(crate) request: Duration,
    /// A whole login.
    pub(crate) login: Duration,
}
