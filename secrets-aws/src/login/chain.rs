//! The order in which credentials are looked for.

use std::path::Path;

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use secrets_core::{Clock, Error, ErrorKind, Result};

use crate::error::config;
use crate::login::container;
use crate::login::instance::Instance;
use crate::login::plan::{Base, plan};
use crate::login::process;
use crate::login::sts::Sts;
use crate::settings::{Settings, absent, variable};
use crate::source::Role;
use crate::transport::Transport;

/// What is asked, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) settings: &'a Settings,
    /// How STS is reached.
    pub(crate) sts: &'a SdkConfig,
}

/// The first credentials there are: those of the profile that the builder names; the environment, the profile, the web
/// identity, the container, the instance.
///
/// # Errors
///
/// `InvalidConfig` for what makes no sense, `Unauthenticated` when nothing gives credentials, otherwise the kind of what failed.
pub(crate) async fn credentials(way: Way<'_>, chosen: bool) -> Result<Credentials> {
    if !chosen && let Some(found) = environment()? {
        return Ok(found);
    }
    if let Some(found) = profile(way).await? {
        return Ok(found);
    }
    if chosen && let Some(found) = environment()? {
        return Ok(found);
    }
    if let Some(file) = variable("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role = variable("AWS_ROLE_ARN")
            .ok_or_else(|| config("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not"))?;
        let session = variable("AWS_ROLE_SESSION_NAME");
        let role = Role {
            arn: (*role).clone(),
            external_id: None,
            session_name: session.map_or_else(|| "secrets-aws".to_owned(), |name| (*name).clone()),
            seconds: None,
        };
        let sts = Sts::new(way.sts, None);
        return sts.assume_with_identity(&role, Path::new(file.as_str())).await;
    }
    if let Some(found) = container::credentials(way.transport).await? {
        return Ok(found);
    }
    let found = instance(way).await?;
    found.ok_or_else(|| {
        let message = "nothing gives AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or give \
                       the task, pod or instance a role";
        Error::new(ErrorKind::Unauthenticated, message)
    })
}

/// The credentials of a role, assumed with others.
pub(crate) async fn assume(sts: &SdkConfig, with: Credentials, role: &Role) -> Result<Credentials> {
    Sts::new(sts, Some(with)).assume(role).await
}

/// The region that the machine's metadata names.
pub(crate) async fn region(
    transport: &Transport,
    clock: &dyn Clock,
    settings: &Settings,
) -> Result<Option<String>> {
    match Instance::find(transport, clock, settings).await? {
        Some(instance) => instance.region().await,
        None => Ok(None),
    }
}

fn environment() -> Result<Option<Credentials>> {
    let id = variable("AWS_ACCESS_KEY_ID");
    let key = variable("AWS_SECRET_ACCESS_KEY");
    match (id, key) {
        (Some(id), Some(key)) => {
            let token = variable("AWS_SESSION_TOKEN").map(|token| (*token).clone());
            let (id, key) = ((*id).clone(), (*key).clone());
            Ok(Some(Credentials::new(id, key, token, None, "secrets-aws")))
        }
        (None, None) => Ok(None),
        _ => Err(config(
            "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set without the other",
        )),
    }
}

async fn instance(way: Way<'_>) -> Result<Option<Credentials>> {
    match Instance::find(way.transport, way.clock, way.settings).await? {
        Some(instance) => instance.credentials().await,
        None => Ok(None),
    }
}

/// The credentials that the profile asks for.
async fn profile(way: Way<'_>) -> Result<Option<Credentials>> {
    let Settings {
        profiles,
        profile,
        named,
    } = way.settings;
    if profiles.get(profile).is_none() {
        return if *named { Err(absent(profile)) } else { Ok(None) };
    }
    let Some(plan) = plan(profiles, profile)? else {
        return Ok(None);
    };
    let mut roles = plan.roles.iter();
    let nothing = |source: &str| {
        let message = format!(
            "the AWS profile `{}` takes its credentials from {source}, where there are none",
            profile.escape_debug()
        );
        Error::new(ErrorKind::Unauthenticated, message)
    };
    let mut found = match plan.base {
        Base::Container => container::credentials(way.transport)
            .await?
            .ok_or_else(|| nothing("the container (AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI)"))?,
        Base::Environment => environment()?
            .ok_or_else(|| nothing("the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"))?,
        Base::Instance => instance(way)
            .await?
            .ok_or_else(|| nothing("the instance's metadata"))?,
        Base::Keys { id, key, token } => {
            Credentials::new(id, key, token.map(ToOwned::to_owned), None, "secrets-aws")
        }
        Base::Process { command, profile } => process::credentials(command, profile).await?,
        Base::WebIdentity { file } => {
            let role = roles.next().ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    "a web identity without a role; please report this",
                )
            })?;
            let sts = Sts::new(way.sts, None);
            sts.assume_with_identity(role, Path::new(file)).await?
        }
    };
    for role in roles {
        found = assume(way.sts, found, role).await?;
    }
    Ok(Some(found))
}
