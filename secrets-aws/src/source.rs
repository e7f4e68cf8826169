//! Everything that a login needs to know, and what it brings.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::config::IdentityCache;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use aws_types::sdk_ua_metadata::FrameworkMetadata;
use secrets_core::{Clock, Error, ErrorKind, Result};

use crate::endpoint;
use crate::error;
use crate::login::{self, Way};
use crate::settings::{Service, Settings};
use crate::transport::Transport;

/// Where credentials come from: the user, or what the environment, the profile and the machine say.
pub(crate) struct Source {
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) service: Service,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: OnceLock<Region>,
    pub(crate) profile: Option<String>,
    /// Given by the user.
    pub(crate) fixed: Option<Credentials>,
    pub(crate) role: Option<Role>,
    pub(crate) sts_endpoint: Option<String>,
    pub(crate) fips: Option<bool>,
    pub(crate) dual_stack: Option<bool>,
    pub(crate) application: Option<AppName>,
    pub(crate) allow_insecure: bool,
}

/// A role to assume.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: String,
    /// How long its sessions live; an hour unless said.
    pub(crate) seconds: Option<i32>,
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
        let settings = Settings::load(self.profile.as_deref())?;
        let config = self.config(&settings).await?;
        let endpoint = match &self.endpoint {
            Some(url) => Some(url.clone()),
            None => settings.endpoint(self.service, self.allow_insecure)?,
        };
        let service = at(&config, endpoint)?;
        let found = match &self.fixed {
            Some(fixed) if self.role.is_none() => return Ok((service, fixed.clone())),
            Some(fixed) => fixed.clone(),
            None => {
                let sts = at(&config, settings.endpoint(Service::Sts, self.allow_insecure)?)?;
                let way = Way {
                    transport: &self.transport,
                    clock: &*self.clock,
                    settings: &settings,
                    sts: &sts,
                };
                usable(login::credentials(way, self.profile.is_some()).await?)?
            }
        };
        let Some(role) = &self.role else {
            return Ok((service, found));
        };
        let endpoint = match &self.sts_endpoint {
            Some(url) => Some(url.clone()),
            None => settings.endpoint(Service::Sts, self.allow_insecure)?,
        };
        let assumed = login::assume(&at(&config, endpoint)?, found, role).await?;
        Ok((service, usable(assumed)?))
    }

    /// How every service is reached, endpoints excepted.
    async fn config(&self, settings: &Settings) -> Result<SdkConfig> {
        let fips = match self.fips {
            Some(fips) => fips,
            None => settings.flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?,
        };
        let dual_stack = match self.dual_stack {
            Some(dual_stack) => dual_stack,
            None => settings.flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?,
        };
        let application = self.application.clone();
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.transport.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .sleep_impl(TokioSleep::new())
            .time_source(Wall(self.clock.clone()))
            .region(self.region(settings).await?)
            .use_fips(fips)
            .use_dual_stack(dual_stack);
        builder.set_app_name(application.or_else(|| settings.application()));
        if let Ok(metadata) = FrameworkMetadata::new("secrets-aws", Some(env!("CARGO_PKG_VERSION"))) {
            builder = builder.framework_metadata(metadata);
        }
        Ok(builder.build())
    }

    async fn region(&self, settings: &Settings) -> Result<Region> {
        if let Some(region) = self.region.get() {
            return Ok(region.clone());
        }
        let found = match settings.region() {
            Some(region) => Some(region),
            None => login::region(&self.transport, &*self.clock, settings).await?,
        };
        let found = found.ok_or_else(|| {
            error::config(
                "no region is known: give it to the builder (or the URI), set AWS_REGION, or `region` in the profile",
            )
        })?;
        endpoint::region(&found)?;
        // Found once, by the environment, the profile or the machine's metadata, it stays.
        Ok(self.region.get_or_init(|| Region::new(found)).clone())
    }
}

/// Whether requests can carry these in their headers; the SDK's signer panics when one cannot.
pub(crate) fn can_be_sent(credentials: &Credentials) -> bool {
    let texts = [Some(credentials.access_key_id()), credentials.session_token()];
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    texts.into_iter().flatten().all(visible)
}

fn usable(found: Credentials) -> Result<Credentials> {
    if can_be_sent(&found) {
        return Ok(found);
    }
    let message = "the credentials found have a blank or another character in them that no request can carry; see who gives them out, \
                   and whether something in between rewrites them";
    Err(Error::new(ErrorKind::Unauthenticated, message))
}

/// The same configuration for a service at this endpoint, or where AWS has it.
fn at(config: &SdkConfig, endpoint: Option<String>) -> Result<SdkConfig> {
    if endpoint.is_some() {
        endpoint::only(
            config.use_fips().unwrap_or_default(),
            config.use_dual_stack().unwrap_or_default(),
        )?;
    }
    let mut builder = config.to_builder();
    builder.set_endpoint_url(endpoint);
    Ok(builder.build())
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

/// How long the whole of a login may take, and where to look for the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One request.
    pub(crate) request: Duration,
    /// A whole login.
    pub(crate) login: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v8_only_what_a_header_can_hold_is_used() {
        let found = |id: &str, token: Option<&str>| {
            Credentials::new(id, "a b\n", token.map(Into::into), None, "test")
        };
        assert!(usable(found("AKID", Some("IQoJ+/="))).is_ok());
        for (id, token) in [
            ("AK\nID", None),
            ("AKID", Some("IQoJ\r\n")),
            ("AKID", Some("é")),
            (" AKID", None),
        ] {
            let error = usable(found(id, token)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{id:?} {token:?}");
        }
    }
}
