//! Typed loading: a struct from one document, or from one secret for each of its fields.

mod document;
mod halt;
mod kept;
mod kind;
mod node;
mod plan;
mod report;
mod value;

use serde::de::DeserializeOwned;

use self::plan::{Advance, Plan};
use crate::{ErrorKind, Result, SecretManager, SecretName};

/// How often further fields may turn up. One round is enough for every type whose fields do not depend on its values.
const MAX_ROUNDS: usize = 8;

/// The document `name`, or where there is none, its fields.
pub(super) async fn load<T: DeserializeOwned>(secrets: &SecretManager, name: SecretName) -> Result<T> {
    match secrets.get(&name).await {
        Ok(document) => document::read(&document)
            .map_err(|error| error.with_backend(secrets.backend_name()).with_secret(&name)),
        Err(error) if error.kind() == ErrorKind::NotFound => fields(secrets, name)
            .await
            .map_err(|error| error.with_backend(secrets.backend_name())),
        Err(error) => Err(error),
    }
}

async fn fields<T: DeserializeOwned>(secrets: &SecretManager, name: SecretName) -> Result<T> {
    let mut plan = Plan::new(name);
    for _ in 0..MAX_ROUNDS {
        let asked = match plan.advance()? {
            Advance::Ask(asked) => asked,
            Advance::Done(value) => return Ok(value),
        };
        let names = asked.iter().map(|&id| plan.name(id).clone());
        let answers = secrets.get_many(names.collect::<Vec<_>>()).await;
        plan.answer(&asked, answers);
    }
    Err(plan.endless())
}
