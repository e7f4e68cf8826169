//! Reading many secrets with few calls.

use std::collections::HashMap;

use aws_sdk_secretsmanager::types::ApiErrorType;
use secrets_core::{Error, ErrorKind, Fetched, ReadRequest, Result, Secret};

use crate::error::{self, Asked, Failed};
use crate::fan::fan;
use crate::name::SECRETS;
use crate::secrets_manager::backend::{BATCH, SecretsManagerBackend};
use crate::secrets_manager::value::{Entry, Which, secret};

const ACTION: &str = "secretsmanager:BatchGetSecretValue";

/// What is asked for once, whoever asks.
type Key<'a> = (String, Which<'a>);

type Found<'a> = HashMap<Key<'a>, Result<Secret>>;

/// One result per request, in order; what is asked for twice is read once.
pub(super) async fn read(
    backend: &SecretsManagerBackend,
    requests: &[ReadRequest<'_>],
) -> Vec<Result<Fetched>> {
    let keys: Vec<Result<Key<'_>>> = requests
        .iter()
        .map(|request| {
            Ok((
                SECRETS.id(&backend.base, request.name)?,
                Which::of(request.version)?,
            ))
        })
        .collect();
    let mut latest = Vec::new();
    let mut alone = Vec::new();
    for key in keys.iter().flatten() {
        let list = if key.1.is_pinned() {
            &mut alone
        } else {
            &mut latest
        };
        if !list.contains(&key) {
            list.push(key);
        }
    }
    let mut found = Found::new();
    for page in latest.chunks(BATCH.get()) {
        // One secret needs no leave to read in batches.
        if page.len() == 1 || backend.refusal.stands() {
            alone.extend(page);
            continue;
        }
        batch(backend, page, &mut found).await;
        alone.extend(page.iter().filter(|key| !found.contains_key(**key)));
    }
    let reads = alone.into_iter().map(|key| {
        let read = async move {
            (
                key.clone(),
                backend.read(&key.0, &key.1).await.map_err(|failed| failed.error),
            )
        };
        Box::pin(read) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    });
    found.extend(fan(reads.collect()).await);
    let result = |key: Result<Key<'_>>| match found.get(&key?) {
        Some(result) => result.clone().map(Fetched::from),
        None => Err(Error::new(
            ErrorKind::Internal,
            "a read of many was lost; please report this",
        )),
    };
    keys.into_iter().map(result).collect()
}

/// Asks for a page, following its continuations. What is found is entered; what is not is left to be read alone.
async fn batch<'a>(backend: &SecretsManagerBackend, page: &[&Key<'a>], found: &mut Found<'a>) {
    let mut token = None;
    // A continuation holds something, or it would not end.
    for _ in 0..=page.len() {
        let answer = match ask(backend, page, token.as_deref()).await {
            Ok(answer) => answer,
            Err(failed) => return give_up(backend, page, found, &failed),
        };
        for entry in answer.secret_values.unwrap_or_default() {
            let entry = Entry::from(entry);
            let key = page.iter().find(|key| names(&key.0, &entry));
            if let Some(key) = key {
                found.insert((*key).clone(), secret(entry, backend.max));
            }
        }
        for failure in answer.errors.unwrap_or_default() {
            let key = page
                .iter()
                .find(|key| failure.secret_id() == Some(key.0.as_str()));
            if let Some(key) = key
                && let Some(error) = told(&key.0, &failure)
            {
                found.insert((*key).clone(), Err(error));
            }
        }
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return;
        }
    }
}

async fn ask(
    backend: &SecretsManagerBackend,
    page: &[&Key<'_>],
    token: Option<&str>,
) -> Result<aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput, Failed> {
    let asked = Asked {
        action: ACTION,
        what: "*",
        pinned: false,
    };
    let ids: Vec<String> = page.iter().map(|key| key.0.clone()).collect();
    backend
        .caller
        .call(asked, |login| {
            let (client, call) = backend.client(login);
            let request = client
                .batch_get_secret_value()
                .set_secret_id_list(Some(ids.clone()));
            let request = request.set_next_token(token.map(Into::into));
            async move { request.customize().config_override(call).send().await }
        })
        .await
}

/// A call that failed as a whole: either all of the page fails with it, or it is read one by one.
fn give_up<'a>(backend: &SecretsManagerBackend, page: &[&Key<'a>], found: &mut Found<'a>, failed: &Failed) {
    let kind = failed.error.kind();
    if failed.answered && matches!(kind, ErrorKind::PermissionDenied | ErrorKind::Unsupported) {
        backend.refusal.remember(ACTION);
        return;
    }
    // One name that AWS does not take must not cost the others their values.
    let of_one = matches!(
        kind,
        ErrorKind::Disabled | ErrorKind::InvalidData | ErrorKind::NotFound
    );
    if failed.answered && of_one {
        return;
    }
    for key in page {
        found
            .entry((*key).clone())
            .or_insert_with(|| Err(failed.error.clone()));
    }
}

/// Whether an answer is the secret asked for by this id: a name, an ARN, or an ARN without its random end.
fn names(id: &str, entry: &Entry) -> bool {
    if !id.starts_with("arn:") {
        return entry.name.as_deref() == Some(id);
    }
    let arn = entry.arn.as_deref().unwrap_or_default();
    let end = arn.strip_prefix(id);
    end.is_some_and(|end| end.is_empty() || (end.len() == 7 && end.starts_with('-')))
}

/// The error of one secret of a page; `None` when a read of its own tells more.
fn told(id: &str, failure: &ApiErrorType) -> Option<Error> {
    let asked = Asked {
        action: "secretsmanager:GetSecretValue",
        what: id,
        pinned: false,
    };
    let error = error::entry(asked, failure.error_code(), failure.message()).error;
    (error.kind() != ErrorKind::Unauthenticated).then_some(error)
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::types::SecretValueEntry;

    use super::*;

    #[test]
    fn e6_answers_find_who_asked_for_them() {
        let arn = "arn:aws:secretsmanager:eu-central-1:1:secret:a/b-AbCdEf";
        let entry = || Entry::from(SecretValueEntry::builder().name("a/b").arn(arn).build());
        for id in ["a/b", arn, "arn:aws:secretsmanager:eu-central-1:1:secret:a/b"] {
            assert!(names(id, &entry()), "{id}");
        }
        for id in [
            "a",
            "b",
            "a/b-AbCdEf",
            "arn:aws:secretsmanager:eu-central-1:1:secret:a",
            "arn:aws:",
        ] {
            assert!(!names(id, &entry()), "{id}");
        }
    }
}
