//! Credentials and region of an instance: version 2 of its metadata service.

use std::time::Duration;

use aws_credential_types::Credentials;
use secrets_core::{Clock, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::error::config;
use crate::login::answer;
use crate::settings::{Settings, variable};
use crate::transport::{Answer, Transport};
use crate::within::within;

const WHO: &str = "the instance metadata service";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Nobody answers where there is no such service, and it is one hop away where there is.
const LIMIT: Duration = Duration::from_secs(1);

/// How much longer the instance's credentials are used when it has no newer ones: AWS honours them while its service that makes
/// new ones is down.
const GRACE: Duration = Duration::from_mins(10);

/// The metadata service of this machine.
pub(super) struct Instance<'a> {
    transport: &'a Transport,
    clock: &'a dyn Clock,
    endpoint: String,
    /// Every answer asks for it: whoever merely has requests forwarded is refused.
    token: Zeroizing<String>,
}

impl<'a> Instance<'a> {
    /// The service, if there is one and it is not switched off.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for an address that cannot be used; otherwise the kind of what failed.
    pub(super) async fn find(
        transport: &'a Transport,
        clock: &'a dyn Clock,
        settings: &Settings,
    ) -> Result<Option<Self>> {
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let endpoint = endpoint(settings)?;
        let url = format!("{endpoint}/latest/api/token");
        let headers = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
        let asked = transport.ask("PUT", &url, &headers, WHO);
        let answer = match within(clock, LIMIT, asked).await {
            None => return Ok(None),
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                return Ok(None);
            }
            Some(answer) => answer?,
        };
        let token = std::str::from_utf8(&answer.body).map(str::trim);
        match (answer.status, token) {
            (200, Ok(token)) if !token.is_empty() => Ok(Some(Self {
                transport,
                clock,
                endpoint,
                token: Zeroizing::new(token.to_owned()),
            })),
            (200, _) => Err(answer::nonsense(&answer, WHO)),
            // Switched off for this instance; or the service is that of another cloud.
            (403..=405, _) => Ok(None),
            _ => Err(answer::refused(&answer, WHO, "is its version 2 switched on?")),
        }
    }

    /// The credentials of the instance's role; `None` when it has none.
    pub(super) async fn credentials(&self) -> Result<Option<Credentials>> {
        let roles = self.get(ROLES).await?;
        if roles.status == 404 {
            return Ok(None);
        }
        let advice = "does the instance have a role?";
        if roles.status != 200 {
            return Err(answer::refused(&roles, WHO, advice));
        }
        let role = std::str::from_utf8(&roles.body).unwrap_or_default();
        let role = role.lines().next().unwrap_or_default().trim();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if role.is_empty() || !role.bytes().all(plain) {
            return Err(answer::nonsense(&roles, WHO));
        }
        let answer = self.get(&format!("{ROLES}{role}")).await?;
        if answer.status != 200 {
            return Err(answer::refused(&answer, WHO, advice));
        }
        let mut found = answer::credentials(&answer, WHO)?;
        let now = self.clock.wall();
        if found.expiry().is_some_and(|end| end <= now) {
            *found.expiry_mut() = Some(now + GRACE);
        }
        Ok(Some(found))
    }

    /// The region that the instance is in; `None` when it does not say.
    pub(super) async fn region(&self) -> Result<Option<String>> {
        let answer = self.get("/latest/meta-data/placement/region").await?;
        match answer.status {
            200 => match std::str::from_utf8(&answer.body) {
                Ok(region) => Ok(Some(region.trim().to_owned())),
                Err(_) => Err(answer::nonsense(&answer, WHO)),
            },
            404 => Ok(None),
            _ => Err(answer::refused(
                &answer,
                WHO,
                "set AWS_REGION, which saves asking",
            )),
        }
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        let url = format!("{}{path}", self.endpoint);
        let headers = [("x-aws-ec2-metadata-token", self.token.as_str())];
        let asked = self.transport.ask("GET", &url, &headers, WHO);
        let answer = within(self.clock, LIMIT, asked).await;
        answer.unwrap_or_else(|| Err(crate::error::timeout(WHO, Some(LIMIT))))
    }
}

/// Where the service is, without a slash at the end.
fn endpoint(settings: &Settings) -> Result<String> {
    let said = settings.text(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "ec2_metadata_service_endpoint",
    );
    if let Some(url) = said {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let mode = settings.text(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        "ec2_metadata_service_endpoint_mode",
    );
    match mode.as_deref() {
        None => Ok("http://169.254.169.254".to_owned()),
        Some(mode) if mode.eq_ignore_ascii_case("ipv4") => Ok("http://169.254.169.254".to_owned()),
        Some(mode) if mode.eq_ignore_ascii_case("ipv6") => Ok("http://[fd00:ec2::254]".to_owned()),
        Some(_) => Err(config(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE, or its key in the profile, is neither IPv4 nor IPv6",
        )),
    }
}
