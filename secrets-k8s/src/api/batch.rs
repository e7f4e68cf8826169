//! Several names at once: each Secret is asked for once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use secrets_core::{Error, ErrorKind, Fetched, ReadRequest, Result, Version};

use super::list;
use super::object::Object;
use super::say::Said;
use super::server::{Scope, Server};

/// How many Secrets are asked for at the same time.
const AT_ONCE: usize = 8;

/// Fewer Secrets than this are not worth a list.
const WORTH_A_LIST: usize = 3;

/// Whoever may not list now may be allowed to later.
const DENIED_FOR: Duration = Duration::from_secs(600);

/// What is wanted of one Secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Which request asks, and for which key; `None` for the whole of it.
    pub(super) keys: Vec<(usize, Option<String>)>,
    /// The version that everybody who asks holds already.
    pub(super) known: Option<Version>,
}

impl Wanted {
    pub(super) fn add(&mut self, index: usize, key: Option<String>, request: &ReadRequest<'_>) {
        let known = request.known.and_then(|known| known.version()).cloned();
        self.known = if self.keys.is_empty() {
            known
        } else {
            self.known
                .take()
                .filter(|version| known.as_ref() == Some(version))
        };
        self.keys.push((index, key));
    }

    fn read(&self, object: &Object<'_>, server: &Server) -> Vec<(usize, Result<Fetched>)> {
        let each = self.keys.iter().map(|(index, key)| {
            let secret = object.secret(key.as_deref(), &server.values);
            (*index, secret.map(Into::into))
        });
        each.collect()
    }

    fn all(&self, answer: &Result<Fetched>) -> Vec<(usize, Result<Fetched>)> {
        self.keys
            .iter()
            .map(|(index, _)| (*index, answer.clone()))
            .collect()
    }
}

/// Whether a list is worth trying.
#[derive(Debug)]
pub(super) struct Listing {
    /// `None` where Secrets are only read by name.
    pub(super) scope: Option<Scope>,
    pub(super) denied_at: Mutex<Option<Duration>>,
}

impl Listing {
    fn scope(&self, now: Duration) -> Option<&Scope> {
        let denied_at = *self.denied_at.lock().unwrap_or_else(PoisonError::into_inner);
        let denied = denied_at.is_some_and(|at| now < at + DENIED_FOR);
        self.scope.as_ref().filter(|_| !denied)
    }
}

/// The answers, each with the number of its request.
pub(super) async fn read(
    server: &Server,
    listing: &Listing,
    said: &Said,
    mut wanted: BTreeMap<String, Wanted>,
) -> Vec<(usize, Result<Fetched>)> {
    let mut answers = Vec::new();
    let now = server.transport.clock().boot();
    if let Some(scope) = listing.scope(now).filter(|_| wanted.len() >= WORTH_A_LIST) {
        let listed = list::objects(server, scope, |object, found: &mut Vec<_>| {
            if let Some(keys) = wanted.get(&*object.metadata.name) {
                found.push((object.metadata.name.to_string(), keys.read(object, server)));
            }
            Ok(())
        });
        match listed.await {
            Ok(found) => {
                for (secret, read) in found {
                    // A list that was begun anew may show a Secret twice.
                    if wanted.remove(&secret).is_some() {
                        answers.extend(read);
                    }
                }
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                said.list_denied(&error);
                *listing.denied_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            }
            Err(error) => {
                return wanted
                    .values()
                    .flat_map(|each| each.all(&Err(error.clone())))
                    .collect();
            }
        }
    }
    // What was not in the list is asked for by name: it may lack the labels, or have come into being since.
    let mut reads: Vec<BoxFuture<'_, _>> = Vec::with_capacity(wanted.len());
    for (secret, wanted) in &wanted {
        reads.push(Box::pin(read_one(server, secret, wanted)));
    }
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some(read) = reads.next().await {
        answers.extend(read);
    }
    answers
}

/// Reads one Secret, unless it is still of the version that is known.
pub(super) async fn read_one(
    server: &Server,
    secret: &str,
    wanted: &Wanted,
) -> Vec<(usize, Result<Fetched>)> {
    let read = async {
        if let Some(known) = &wanted.known {
            if server.version(secret).await? == known.as_str() {
                return Ok(wanted.all(&Ok(Fetched::unchanged(None, None))));
            }
        }
        let answer = server.secret(secret).await?;
        let object = server.object(&answer, secret)?;
        Ok::<_, Error>(wanted.read(&object, server))
    };
    match read.await {
        Ok(read) => read,
        Err(error) => wanted.all(&Err(error)),
    }
}
