//! Listing names.

use std::collections::BTreeSet;

use aws_sdk_ssm::operation::get_parameters_by_path::GetParametersByPathOutput;
use aws_sdk_ssm::types::Parameter;
use secrets_core::{Error, ErrorKind, SecretName};
use zeroize::Zeroize as _;

use crate::error::{Asked, Failed};
use crate::name::{PARAMETERS, below};
use crate::parameter_store::backend::ParameterStoreBackend;

/// More names than this are refused: nobody wants them all, and they would fill the memory.
const MOST_NAMES: usize = 100_000;

/// No list has more pages, ten names each.
const MOST_PAGES: usize = 10_000;

/// The names below the base: all of them; or `prefix` itself, if it is one, and those below.
pub(super) async fn names(
    backend: &ParameterStoreBackend,
    prefix: Option<&SecretName>,
) -> Result<Vec<SecretName>, Failed> {
    let base = &*backend.base;
    let mut names = BTreeSet::new();
    let path = match prefix {
        None => folder(base).to_owned(),
        Some(prefix) => {
            let id = PARAMETERS.id(base, prefix)?;
            // A path does not hold the parameter of its own name.
            match exists(backend, &id).await {
                Ok(true) => drop(names.insert(prefix.clone())),
                Ok(false) => {}
                Err(failed) if failed.error.kind() == ErrorKind::PermissionDenied => {}
                Err(failed) => return Err(failed),
            }
            if !id.starts_with('/') {
                return Ok(names.into_iter().collect());
            }
            id
        }
    };
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let page = page(backend, &path, 10, token.as_deref()).await?;
        for mut parameter in page.parameters.unwrap_or_default() {
            wipe(&mut parameter);
            names.extend(parameter.name().and_then(|name| below(base, name, prefix)));
        }
        if names.len() > MOST_NAMES {
            let message = format!("there are more than {MOST_NAMES} names; list below a prefix");
            return Err(Error::new(ErrorKind::InvalidData, message).into());
        }
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(names.into_iter().collect());
        }
    }
    Err(Error::new(
        ErrorKind::InvalidData,
        "the list does not end; is the endpoint AWS's?",
    )
    .into())
}

/// Asks for one parameter below the base.
pub(super) async fn one(backend: &ParameterStoreBackend) -> Result<(), Failed> {
    let page = page(backend, folder(&backend.base), 1, None).await?;
    page.parameters.unwrap_or_default().iter_mut().for_each(wipe);
    Ok(())
}

/// The path that holds every parameter whose name begins so.
fn folder(base: &str) -> &str {
    match base.rfind('/') {
        None | Some(0) => "/",
        Some(last) => &base[..last],
    }
}

/// Whether there is a parameter of this very name, without decrypting it.
async fn exists(backend: &ParameterStoreBackend, id: &str) -> Result<bool, Failed> {
    let asked = Asked {
        action: "ssm:GetParameter",
        what: id,
        pinned: false,
    };
    let answer = backend
        .caller
        .call(asked, |login| {
            let (client, call) = backend.client(login);
            let request = client.get_parameter().name(id).with_decryption(false);
            async move { request.customize().config_override(call).send().await }
        })
        .await;
    match answer {
        Ok(mut answer) => {
            answer.parameter.iter_mut().for_each(wipe);
            Ok(answer.parameter.is_some())
        }
        Err(failed) if failed.error.kind() == ErrorKind::NotFound => Ok(false),
        Err(failed) => Err(failed),
    }
}

/// Values come along with names, those of secure strings encrypted.
fn wipe(parameter: &mut Parameter) {
    parameter.value.zeroize();
}

async fn page(
    backend: &ParameterStoreBackend,
    path: &str,
    most: i32,
    token: Option<&str>,
) -> Result<GetParametersByPathOutput, Failed> {
    let asked = Asked {
        action: "ssm:GetParametersByPath",
        what: path,
        pinned: false,
    };
    backend
        .caller
        .call(asked, |login| {
            let (client, call) = backend.client(login);
            let request = client.get_parameters_by_path().path(path).recursive(true);
            let request = request.with_decryption(false).max_results(most);
            let request = request.set_next_token(token.map(Into::into));
            async move { request.customize().config_override(call).send().await }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_the_folder_of_a_base_holds_all_that_begins_so() {
        for (base, path) in [
            ("", "/"),
            ("/", "/"),
            ("/prod/", "/prod"),
            ("/prod/app-", "/prod"),
            ("/app-", "/"),
        ] {
            assert_eq!(folder(base), path, "{base}");
        }
    }
}
