//! Reading many parameters with few calls.

use std::collections::HashMap;

use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use secrets_core::{Error, ErrorKind, Fetched, ReadRequest, Result, Secret};

use crate::error::{self, Asked, Failed};
use crate::fan::fan;
use crate::parameter_store::backend::{BATCH, ParameterStoreBackend};
use crate::parameter_store::value::{secret, selector};

const ACTION: &str = "ssm:GetParameters";

/// What is asked for once, whoever asks: the name with its version or label, and whether it has one.
type Key = (String, bool);

type Found = HashMap<Key, Result<Secret>>;

/// One result per request, in order; what is asked for twice is read once.
pub(super) async fn read(
    backend: &ParameterStoreBackend,
    requests: &[ReadRequest<'_>],
) -> Vec<Result<Fetched>> {
    let keys: Vec<Result<Key>> = requests
        .iter()
        .map(|request| Ok((selector(&backend.base, request)?, request.version.is_some())))
        .collect();
    let mut wanted = Vec::new();
    for key in keys.iter().flatten() {
        if !wanted.contains(&key) {
            wanted.push(key);
        }
    }
    let mut found = Found::new();
    for page in wanted.chunks(BATCH.get()) {
        // One parameter needs no leave to read in batches.
        let mut denied = false;
        if page.len() > 1 && !backend.refusal.stands() {
            denied = batch(backend, page, &mut found).await;
        }
        let reads = page.iter().filter(|key| !found.contains_key(**key)).map(|key| {
            let key = (*key).clone();
            let read = async move {
                let read = backend.read(&key.0, key.1).await;
                (key, read.map_err(|failed| failed.error))
            };
            Box::pin(read) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let alone = fan(reads.collect()).await;
        // One parameter that may not be read has the whole page denied; where all of them may, it is the batch.
        let each_allowed = || {
            let refused = |read: &Result<Secret>| matches!(read, Err(error) if error.kind() == ErrorKind::PermissionDenied);
            !alone.iter().any(|(_, read)| refused(read))
        };
        if denied && each_allowed() {
            backend.refusal.remember(ACTION);
        }
        found.extend(alone);
    }
    let result = |key: Result<Key>| match found.get(&key?) {
        Some(result) => result.clone().map(Fetched::from),
        None => Err(Error::new(
            ErrorKind::Internal,
            "a read of many was lost; please report this",
        )),
    };
    keys.into_iter().map(result).collect()
}

/// Asks for a page. What is found is entered; what is not is left to be read alone. `true` when it was denied.
async fn batch(backend: &ParameterStoreBackend, page: &[&Key], found: &mut Found) -> bool {
    let answer = match ask(backend, page).await {
        Ok(answer) => answer,
        Err(failed) => return give_up(page, found, &failed),
    };
    for parameter in answer.parameters.unwrap_or_default() {
        let name = parameter.name().unwrap_or_default();
        let whole = format!("{name}{}", parameter.selector().unwrap_or_default());
        // A shared parameter is asked for by its ARN, and answered by that or by its name.
        let of_arn = parameter
            .arn()
            .map(|arn| format!("{arn}{}", parameter.selector().unwrap_or_default()));
        let key = page
            .iter()
            .find(|key| key.0 == whole || Some(&key.0) == of_arn.as_ref());
        if let Some(key) = key {
            found.insert((*key).clone(), secret(parameter, backend.max));
        }
    }
    for absent in answer.invalid_parameters.unwrap_or_default() {
        let key = page.iter().find(|key| key.0 == absent);
        // Whether the parameter or its version is absent, only a read of its own tells.
        if let Some(key) = key.filter(|key| !key.1) {
            let asked = Asked {
                action: "ssm:GetParameter",
                what: &absent,
                pinned: false,
            };
            found.insert(
                (*key).clone(),
                Err(error::entry(asked, Some("ParameterNotFound"), None).error),
            );
        }
    }
    false
}

async fn ask(backend: &ParameterStoreBackend, page: &[&Key]) -> Result<GetParametersOutput, Failed> {
    let asked = Asked {
        action: ACTION,
        what: "*",
        pinned: false,
    };
    let names: Vec<String> = page.iter().map(|key| key.0.clone()).collect();
    backend
        .caller
        .call(asked, |login| {
            let (client, call) = backend.client(login);
            let request = client
                .get_parameters()
                .set_names(Some(names.clone()))
                .with_decryption(true);
            async move { request.customize().config_override(call).send().await }
        })
        .await
}

/// A call that failed as a whole: either all of the page fails with it, or it is read one by one. `true` when it was denied.
fn give_up(page: &[&Key], found: &mut Found, failed: &Failed) -> bool {
    let kind = failed.error.kind();
    if failed.answered && matches!(kind, ErrorKind::PermissionDenied | ErrorKind::Unsupported) {
        return true;
    }
    // One parameter that cannot be decrypted must not cost the others their values.
    let of_one = matches!(
        kind,
        ErrorKind::Disabled | ErrorKind::InvalidData | ErrorKind::NotFound | ErrorKind::VersionNotFound
    );
    if failed.answered && of_one {
        return false;
    }
    for key in page {
        found
            .entry((*key).clone())
            .or_insert_with(|| Err(failed.error.clone()));
    }
    false
}
