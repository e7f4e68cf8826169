//! Credentials of a container: the agents of ECS and of EKS Pod Identity.

use std::path::Path;

use aws_credential_types::Credentials;
use secrets_core::{Cause, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::error::config;
use crate::files;
use crate::login::answer;
use crate::settings::variable;
use crate::transport::Transport;

/// Where the agent of ECS is, to each task.
const ECS: &str = "http://169.254.170.2";

const WHO: &str = "the container's source of AWS credentials";

/// Asks the agent that the environment names; `None` when it names none.
///
/// # Errors
///
/// `InvalidConfig` for an address or token that cannot be used, `Unauthenticated` when the token cannot be read or is refused,
/// otherwise the kind of what failed.
pub(super) async fn credentials(transport: &Transport) -> Result<Option<Credentials>> {
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match relative {
        Some(path) if path.starts_with('/') => Some(Zeroizing::new(format!("{ECS}{}", *path))),
        Some(_) => {
            return Err(config(
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with `/`",
            ));
        }
        None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    };
    let Some(url) = url else { return Ok(None) };
    let token = token()?;
    let mut headers = vec![("accept", "application/json")];
    if let Some(token) = &token {
        headers.push(("authorization", token));
    }
    let answer = transport.ask("GET", &url, &headers, WHO).await?;
    if answer.status == 200 {
        return answer::credentials(&answer, WHO).map(Some);
    }
    let advice = "does the task or pod have a role, and is its token (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) the current one?";
    Err(answer::refused(&answer, WHO, advice))
}

/// What the agent wants to be shown, read again each time.
fn token() -> Result<Option<Zeroizing<String>>> {
    let Some(path) = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    let text = files::text(Path::new(path.as_str())).map_err(|error| {
        let message = "the token for the container's credentials cannot be read: check AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
        Error::new(ErrorKind::Unauthenticated, message).with_cause(Cause::from(&error))
    })?;
    Ok(Some(Zeroizing::new(text.trim().to_owned())))
}
