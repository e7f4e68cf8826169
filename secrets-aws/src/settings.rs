//! What variables and profile say about the way to AWS.

use aws_types::app_name::AppName;
use secrets_core::Result;
use zeroize::Zeroizing;

use crate::endpoint;
use crate::error::config;
use crate::profiles::{Profile, Profiles};

/// A service, as variables and profiles call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    ParameterStore,
    SecretsManager,
    Sts,
}

impl Service {
    /// The variable of its endpoint, and the key in a section `services`.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ParameterStore => ("AWS_ENDPOINT_URL_SSM", "ssm.endpoint_url"),
            Self::SecretsManager => ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "secrets_manager.endpoint_url"),
            Self::Sts => ("AWS_ENDPOINT_URL_STS", "sts.endpoint_url"),
        }
    }
}

/// The environment and one profile. A variable stands before what the profile says.
pub(crate) struct Settings {
    pub(crate) profiles: Profiles,
    /// The name of the profile.
    pub(crate) profile: String,
    /// Somebody has named it: then it has to be there.
    pub(crate) named: bool,
}

impl Settings {
    /// Reads the files, for this profile or the one that the environment names.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when a file makes no sense, or has no profile of the name given.
    pub(crate) fn load(profile: Option<&str>) -> Result<Self> {
        let profiles = Profiles::load()?;
        if let Some(name) = profile
            && profiles.get(name).is_none()
        {
            return Err(absent(name));
        }
        let name = profile.map(ToOwned::to_owned);
        let name = name.or_else(|| variable("AWS_PROFILE").map(|name| (*name).clone()));
        Ok(Self {
            profiles,
            named: name.is_some(),
            profile: name.unwrap_or_else(|| "default".to_owned()),
        })
    }

    /// The profile, if it is there.
    pub(crate) fn profile(&self) -> Option<Profile<'_>> {
        self.profiles.get(&self.profile)
    }

    /// What a variable or the profile says.
    pub(crate) fn text(&self, name: &str, key: &str) -> Option<String> {
        let said = variable(name).map(|text| (*text).clone());
        said.or_else(|| self.profile()?.get(key).map(ToOwned::to_owned))
    }

    /// Whether a variable or the profile turns something on.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for what is neither `true` nor `false`.
    pub(crate) fn flag(&self, name: &str, key: &str) -> Result<bool> {
        match self.text(name, key) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(config(format!(
                "{name}, or `{key}` of the profile, is neither true nor false"
            ))),
        }
    }

    /// The region, unless the machine's metadata has to be asked.
    pub(crate) fn region(&self) -> Option<String> {
        let said = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let said = said.map(|region| (*region).clone());
        said.or_else(|| self.profile()?.get("region").map(ToOwned::to_owned))
    }

    /// The name of the application; nothing for one that a user agent cannot hold.
    pub(crate) fn application(&self) -> Option<AppName> {
        AppName::new(self.text("AWS_SDK_UA_APP_ID", "sdk_ua_app_id")?).ok()
    }

    /// Where a service is, if it is not where AWS has it.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for what is no URL, or goes out of this machine in the clear.
    pub(crate) fn endpoint(&self, service: Service, allow_insecure: bool) -> Result<Option<String>> {
        if self.flag(
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "ignore_configured_endpoint_urls",
        )? {
            return Ok(None);
        }
        let (own, key) = service.names();
        for name in [own, "AWS_ENDPOINT_URL"] {
            if let Some(url) = variable(name) {
                return endpoint::url(&url, allow_insecure, name).map(Some);
            }
        }
        let Some(profile) = self.profile() else {
            return Ok(None);
        };
        let section = profile
            .get("services")
            .and_then(|name| self.profiles.service(name, key));
        let url = section
            .filter(|url| !url.is_empty())
            .or_else(|| profile.get("endpoint_url"));
        url.map(|url| endpoint::url(url, allow_insecure, "endpoint_url"))
            .transpose()
    }
}

/// A variable of the environment, without white space around it; `None` when it is empty.
pub(crate) fn variable(name: &str) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(std::env::var(name).ok()?);
    let text = text.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// The error of a profile that is not there.
pub(crate) fn absent(name: &str) -> secrets_core::Error {
    config(format!(
        "there is no AWS profile `{}`: check its name, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
        name.escape_debug()
    ))
}
