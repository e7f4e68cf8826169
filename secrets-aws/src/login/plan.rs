//! What a profile asks for: where its credentials begin, and the roles that are assumed from there.

use secrets_core::Result;

use crate::error::config;
use crate::profiles::{Profile, Profiles};
use crate::settings::absent;
use crate::source::Role;

/// Where the credentials of a profile begin.
#[derive(Clone, Copy)]
pub(super) enum Base<'a> {
    /// `credential_source = EcsContainer`
    Container,
    /// `credential_source = Environment`
    Environment,
    /// `credential_source = Ec2InstanceMetadata`
    Instance,
    /// The keys that stand in the profile.
    Keys {
        id: &'a str,
        key: &'a str,
        token: Option<&'a str>,
    },
    /// What the program prints that a profile of this name has run.
    Process { command: &'a str, profile: &'a str },
    /// The file of a token that STS takes.
    WebIdentity { file: &'a str },
}

/// The way to the credentials of a profile.
pub(super) struct Plan<'a> {
    pub(super) base: Base<'a>,
    /// Assumed one with the credentials of the other, in this order. The first one is assumed with the token, where there is
    /// one.
    pub(super) roles: Vec<Role>,
}

/// The plan of a profile; `None` when it says nothing of credentials.
///
/// # Errors
///
/// `InvalidConfig` for what makes no sense, or is not supported: the message says what is.
pub(super) fn plan<'a>(profiles: &'a Profiles, first: &'a str) -> Result<Option<Plan<'a>>> {
    let (mut roles, mut seen, mut name) = (Vec::new(), Vec::new(), first);
    let base = loop {
        let profile = profiles.get(name).ok_or_else(|| absent(name))?;
        seen.push(name);
        if seen.len() > 1
            && let Some(keys) = keys(profile, name)?
        {
            break Some(keys);
        }
        if let Some(file) = profile.get("web_identity_token_file") {
            let role = role(profile, name)?;
            roles.push(role.ok_or_else(|| lacks(name, "role_arn", "web_identity_token_file"))?);
            break Some(Base::WebIdentity { file });
        }
        let Some(role) = role(profile, name)? else {
            break base(profile, name)?;
        };
        if profile.get("mfa_serial").is_some() {
            return Err(unsupported(name, "asks for a one-time code (mfa_serial)"));
        }
        roles.push(role);
        match (profile.get("source_profile"), profile.get("credential_source")) {
            (Some(source), None) if source == name => break keys(profile, name)?,
            (Some(source), None) if seen.contains(&source) => {
                return Err(config(format!(
                    "the AWS profile {} leads back to itself through source_profile",
                    quoted(name)
                )));
            }
            (Some(source), None) => name = source,
            (None, Some(source)) => break Some(named(source, name)?),
            _ => {
                return Err(config(format!(
                    "the AWS profile {} has a role_arn: give it either a source_profile or a credential_source",
                    quoted(name)
                )));
            }
        }
    };
    roles.reverse();
    match base {
        Some(base) => Ok(Some(Plan { base, roles })),
        None if roles.is_empty() && seen.len() == 1 => Ok(None),
        None => Err(config(format!(
            "the AWS profile {} gives no credentials to assume a role with",
            quoted(name)
        ))),
    }
}

fn base<'a>(profile: Profile<'a>, name: &'a str) -> Result<Option<Base<'a>>> {
    if let Some(source) = profile.get("credential_source") {
        return named(source, name).map(Some);
    }
    for key in ["sso_session", "sso_start_url", "sso_account_id", "login_session"] {
        if profile.get(key).is_some() {
            return Err(unsupported(name, &format!("signs in through a browser ({key})")));
        }
    }
    if let Some(command) = profile.get("credential_process") {
        return Ok(Some(Base::Process {
            command,
            profile: name,
        }));
    }
    keys(profile, name)
}

fn named<'a>(source: &str, name: &str) -> Result<Base<'a>> {
    match source {
        "Ec2InstanceMetadata" => Ok(Base::Instance),
        "EcsContainer" => Ok(Base::Container),
        "Environment" => Ok(Base::Environment),
        _ => Err(config(format!(
            "credential_source of the AWS profile {} is none of Ec2InstanceMetadata, EcsContainer, Environment",
            quoted(name)
        ))),
    }
}

fn keys<'a>(profile: Profile<'a>, name: &str) -> Result<Option<Base<'a>>> {
    let token = profile.get("aws_session_token");
    match (
        profile.get("aws_access_key_id"),
        profile.get("aws_secret_access_key"),
    ) {
        (Some(id), Some(key)) => Ok(Some(Base::Keys { id, key, token })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(lacks(name, "aws_secret_access_key", "aws_access_key_id")),
        (None, Some(_)) => Err(lacks(name, "aws_access_key_id", "aws_secret_access_key")),
    }
}

fn role(profile: Profile<'_>, name: &str) -> Result<Option<Role>> {
    let Some(arn) = profile.get("role_arn") else {
        return Ok(None);
    };
    let seconds = profile.get("duration_seconds").map(|seconds| {
        let seconds = seconds
            .parse()
            .ok()
            .filter(|seconds| (900..=43_200).contains(seconds));
        seconds.ok_or_else(|| {
            config(format!(
                "duration_seconds of the AWS profile {} is no number from 900 to 43200",
                quoted(name)
            ))
        })
    });
    Ok(Some(Role {
        arn: arn.to_owned(),
        external_id: profile.get("external_id").map(ToOwned::to_owned),
        session_name: profile
            .get("role_session_name")
            .unwrap_or("secrets-aws")
            .to_owned(),
        seconds: seconds.transpose()?,
    }))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.escape_debug())
}

fn lacks(name: &str, key: &str, with: &str) -> secrets_core::Error {
    config(format!(
        "the AWS profile {} has {with} and no {key}",
        quoted(name)
    ))
}

fn unsupported(name: &str, does: &str) -> secrets_core::Error {
    config(format!(
        "the AWS profile {name} {does}, which is not supported: use keys, a role with a source_profile or credential_source, \
         a web identity or a credential_process; or take the session of another tool: aws configure export-credentials --profile {name} --format env",
        name = quoted(name)
    ))
}

#[cfg(test)]
mod tests {
    use secrets_core::ErrorKind;

    use super::*;

    fn shown(config: &str, name: &str) -> Result<String> {
        let profiles = Profiles::of(config);
        let Some(plan) = plan(&profiles, name)? else {
            return Ok("nothing".into());
        };
        let base = match plan.base {
            Base::Container => "container".to_owned(),
            Base::Environment => "environment".to_owned(),
            Base::Instance => "instance".to_owned(),
            Base::Keys { id, key, token } => format!("{id} {key} {}", token.unwrap_or("-")),
            Base::Process { command, profile } => format!("{profile}: {command}"),
            Base::WebIdentity { file } => file.to_owned(),
        };
        let roles = plan.roles.iter().map(|role| {
            let id = role.external_id.as_deref().unwrap_or("-");
            format!(" > {} {} {id} {:?}", role.arn, role.session_name, role.seconds)
        });
        Ok(base + &roles.collect::<String>())
    }

    #[test]
    fn a_profile_leads_to_keys_and_the_roles_assumed_with_them() {
        let config = "[default]\nregion = x\n\
            [profile keys]\naws_access_key_id = AKID\naws_secret_access_key = k\naws_session_token = t\n\
            [profile one]\nrole_arn = r1\nsource_profile = keys\nexternal_id = e\nduration_seconds = 900\n\
            [profile two]\nrole_arn = r2\nsource_profile = one\nrole_session_name = s\n\
            [profile self]\nrole_arn = r3\nsource_profile = self\naws_access_key_id = A\naws_secret_access_key = k\n\
            [profile task]\nrole_arn = r4\ncredential_source = EcsContainer\n\
            [profile instance]\ncredential_source = Ec2InstanceMetadata\n\
            [profile variables]\nrole_arn = r5\ncredential_source = Environment\n\
            [profile token]\nrole_arn = r6\nweb_identity_token_file = /token\n\
            [profile program]\ncredential_process = \"/opt/my creds\" --user h # x\naws_access_key_id = A\n\
            [profile over-program]\nrole_arn = r8\nsource_profile = program-alone\n\
            [profile program-alone]\ncredential_process = creds\n\
            [profile over-token]\nrole_arn = r7\nsource_profile = token\n";
        for (name, expected) in [
            ("default", "nothing"),
            ("keys", "AKID k t"),
            ("one", "AKID k t > r1 secrets-aws e Some(900)"),
            ("two", "AKID k t > r1 secrets-aws e Some(900) > r2 s - None"),
            ("self", "A k - > r3 secrets-aws - None"),
            ("task", "container > r4 secrets-aws - None"),
            ("instance", "instance"),
            ("variables", "environment > r5 secrets-aws - None"),
            ("token", "/token > r6 secrets-aws - None"),
            ("program", "program: \"/opt/my creds\" --user h"),
            ("over-program", "program-alone: creds > r8 secrets-aws - None"),
            (
                "over-token",
                "/token > r6 secrets-aws - None > r7 secrets-aws - None",
            ),
        ] {
            assert_eq!(shown(config, name).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_a_profile_may_not_ask_for_is_said_at_once_with_what_to_do() {
        for (profile, says) in [
            ("sso_session = s", "browser (sso_session)"),
            ("sso_start_url = s", "browser (sso_start_url)"),
            ("login_session = s", "browser (login_session)"),
            (
                "sso_session = s\naws_access_key_id = hunter2\naws_secret_access_key = hunter2",
                "browser",
            ),
            ("aws_access_key_id = hunter2", "no aws_secret_access_key"),
            ("aws_secret_access_key = hunter2", "no aws_access_key_id"),
            ("web_identity_token_file = x", "no role_arn"),
            ("role_arn = r", "either a source_profile or a credential_source"),
            (
                "role_arn = r\nsource_profile = a\ncredential_source = Environment",
                "either",
            ),
            ("role_arn = r\nsource_profile = a", "gives no credentials"),
            ("role_arn = r\nsource_profile = nobody", "no AWS profile `nobody`"),
            ("role_arn = r\nsource_profile = b", "leads back to itself"),
            ("role_arn = r\nsource_profile = c", "browser (sso_session)"),
            (
                "role_arn = r\ncredential_source = hunter2",
                "none of Ec2InstanceMetadata",
            ),
            (
                "role_arn = r\nmfa_serial = hunter2\nsource_profile = d",
                "one-time code",
            ),
            (
                "role_arn = r\nduration_seconds = hunter2\nsource_profile = d",
                "900",
            ),
        ] {
            let config = format!(
                "[profile a]\n{profile}\n[profile b]\nrole_arn = r\nsource_profile = a\n[profile c]\nsso_session = s\n\
                 [profile d]\naws_access_key_id = A\naws_secret_access_key = k\n"
            );
            let error = shown(&config, "a").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{profile}");
            assert!(error.message().contains(says), "{profile}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
