//! Listing names.

use std::collections::BTreeSet;

use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use secrets_core::{Error, ErrorKind, SecretName};

use crate::error::{Asked, Failed};
use crate::name::below;
use crate::secrets_manager::backend::SecretsManagerBackend;

/// More names than this are refused: nobody wants them all, and they would fill the memory.
const MOST_NAMES: usize = 100_000;

/// No list has more pages.
const MOST_PAGES: usize = 10_000;

/// The names below the base: all of them; or `prefix` itself, if it is one, and those below.
pub(super) async fn names(
    backend: &SecretsManagerBackend,
    prefix: Option<&SecretName>,
) -> Result<Vec<SecretName>, Failed> {
    let base = &*backend.base;
    // AWS compares the beginning; whole segments are compared here.
    let beginning = prefix.map_or_else(|| base.to_owned(), |prefix| format!("{base}{prefix}"));
    let mut names = BTreeSet::new();
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let page = page(backend, &beginning, 100, token.as_deref()).await?;
        let listed = page.secret_list.unwrap_or_default();
        let listed = listed
            .iter()
            .filter_map(|secret| below(base, secret.name()?, prefix));
        names.extend(listed);
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

/// Asks for one name.
pub(super) async fn one(backend: &SecretsManagerBackend) -> Result<(), Failed> {
    page(backend, "", 1, None).await.map(drop)
}

async fn page(
    backend: &SecretsManagerBackend,
    beginning: &str,
    most: i32,
    token: Option<&str>,
) -> Result<ListSecretsOutput, Failed> {
    let asked = Asked {
        action: "secretsmanager:ListSecrets",
        what: "*",
        pinned: false,
    };
    backend
        .caller
        .call(asked, |login| {
            let (client, call) = backend.client(login);
            let mut request = client.list_secrets().max_results(most);
            if !beginning.is_empty() {
                let filter = Filter::builder()
                    .key(FilterNameStringType::Name)
                    .values(beginning);
                request = request.filters(filter.build());
            }
            let request = request.set_next_token(token.map(Into::into));
            async move { request.customize().config_override(call).send().await }
        })
        .await
}
