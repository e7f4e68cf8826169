//! Credentials of a role: the calls of STS.

use std::fmt;
use std::path::Path;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as Assumed;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use secrets_core::{Cause, Error, ErrorKind, Result};

use crate::error;
use crate::files;
use crate::source::Role;

/// STS in the region, and with the credentials, of a configuration.
pub(super) struct Sts(Client);

impl Sts {
    pub(super) fn new(config: &SdkConfig, credentials: Option<Credentials>) -> Self {
        let mut builder = aws_sdk_sts::config::Builder::from(config).interceptor(Veil);
        builder.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
        Self(Client::from_conf(builder.build()))
    }

    /// The credentials of a role that the caller may assume.
    pub(super) async fn assume(&self, role: &Role) -> Result<Credentials> {
        let request = self
            .0
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&role.session_name)
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.seconds);
        let answer = request.send().await;
        let answer = answer.map_err(|failure| error::login(&failure, Some(&role.arn)))?;
        credentials(answer.credentials)
    }

    /// The credentials of a role for whoever shows the token in a file, which is read again each time.
    pub(super) async fn assume_with_identity(&self, role: &Role, file: &Path) -> Result<Credentials> {
        let token = files::text(file).map_err(|error| {
            let message = "the token of the web identity cannot be read: check AWS_WEB_IDENTITY_TOKEN_FILE, or \
                           web_identity_token_file of the profile";
            Error::new(ErrorKind::Unauthenticated, message).with_cause(Cause::from(&error))
        })?;
        let request = self
            .0
            .assume_role_with_web_identity()
            .role_arn(&role.arn)
            .role_session_name(&role.session_name)
            .set_duration_seconds(role.seconds)
            .web_identity_token(token.trim());
        let answer = request.send().await;
        let answer = answer.map_err(|failure| error::login(&failure, Some(&role.arn)))?;
        credentials(answer.credentials)
    }
}

fn credentials(assumed: Option<Assumed>) -> Result<Credentials> {
    let assumed = assumed.filter(|assumed| !assumed.access_key_id.is_empty());
    let assumed = assumed.ok_or_else(|| {
        let message = "STS answered without credentials; is the endpoint AWS's?";
        Error::new(ErrorKind::InvalidData, message)
    })?;
    Ok(Credentials::new(
        assumed.access_key_id,
        assumed.secret_access_key,
        Some(assumed.session_token),
        assumed.expiration.try_into().ok(),
        "secrets-aws",
    ))
}

/// Keeps the token in a request from being traced: the SDK traces the bytes of bodies that it knows to be whole. Whether it
/// knows that of this one changes with its versions.
struct Veil;

fn veil(body: &mut SdkBody) {
    *body = SdkBody::from_body_1_x(std::mem::replace(body, SdkBody::taken()));
}

impl Intercept for Veil {
    fn name(&self) -> &'static str {
        "Veil"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        veil(context.request_mut().body_mut());
        Ok(())
    }
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Veil")
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[tokio::test]
    async fn s1_a_body_under_the_veil_is_sent_and_not_printed() {
        let mut body = SdkBody::from("WebIdentityToken=hunter2");
        assert!(format!("{body:?}").contains("hunter2"), "that is why");
        veil(&mut body);
        assert!(body.bytes().is_none() && !format!("{body:?} {body:#?}").contains("hunter2"));
        assert_eq!(body.content_length(), Some(24));
        let mut body = std::pin::pin!(body);
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let sent = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!(sent, "WebIdentityToken=hunter2");
    }
}
