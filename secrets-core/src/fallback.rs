use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::merged::Merged;
use crate::watch::{BackendEvents, WatchedNames};
use crate::{Capabilities, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend, SecretName};

/// Several backends, asked in order: the first that has a secret answers.
///
/// The next member is asked when one says `NotFound`, or `InvalidName` because it cannot express the name; never when it
/// cannot be reached or refuses, because then nobody knows what it would have said.
///
/// It can do what all members can; `list` is the union of what they list. A chain fails as one: all members share a
/// circuit breaker, since which of them will have to answer is not known beforehand.
#[derive(Debug)]
pub struct FallbackBackend {
    name: String,
    members: Vec<Box<dyn SecretBackend>>,
}

impl FallbackBackend {
    /// A chain of these, in this order.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is none, or more than 100.
    pub fn new(members: Vec<Box<dyn SecretBackend>>) -> Result<Self> {
        if members.is_empty() || members.len() > 100 {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a fallback chain needs 1 to 100 members",
            ));
        }
        let names: Vec<_> = members.iter().map(SecretBackend::name).collect();
        Ok(Self {
            name: names.join(","),
            members,
        })
    }

    /// The members with their numbers.
    fn members(&self) -> impl Iterator<Item = (u16, &dyn SecretBackend)> {
        (0..).zip(self.members.iter().map(|member| &**member))
    }

    fn refuse_version(&self, request: &ReadRequest<'_>) -> Result<()> {
        if self.capabilities().versions {
            Ok(())
        } else {
            request
                .refuse_version()
                .map_err(|error| error.with_backend(&self.name))
        }
    }
}

/// Asks one member, which may only know again what came from itself.
async fn ask(number: u16, member: &dyn SecretBackend, request: ReadRequest<'_>) -> Result<Fetched> {
    let known = request.known.and_then(|known| known.known_to_member(number));
    let answer = member.get(request.with_known(known.as_ref())).await;
    mark(number, member, answer)
}

fn mark(number: u16, member: &dyn SecretBackend, answer: Result<Fetched>) -> Result<Fetched> {
    match answer {
        Ok(Fetched::Value(secret)) => {
            let metadata = secret.metadata().clone().through(number);
            Ok(secret.with_metadata(metadata).into())
        }
        Ok(unchanged) => Ok(unchanged),
        Err(error) => Err(error.with_backend(member.name())),
    }
}

fn passes_on(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidName)
}

/// What is said when nobody has it: everything that was said. `NotFound` if any member could have had it.
fn nobody(request: &ReadRequest<'_>, said: &[Error]) -> Error {
    let absent = said.iter().any(|error| error.kind() == ErrorKind::NotFound);
    let kind = if absent {
        ErrorKind::NotFound
    } else {
        ErrorKind::InvalidName
    };
    let each: Vec<_> = said
        .iter()
        .map(|error| format!("{}: {}", error.backend().unwrap_or("?"), error.message()))
        .collect();
    Error::new(kind, each.join("; ")).with_secret(request.name)
}

#[async_trait]
impl SecretBackend for FallbackBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let each = || self.members.iter().map(SecretBackend::capabilities);
        // Sorted before any number, `None` wins: one member that reads one at a time makes the chain do so.
        let batch = each().map(|can| can.batch).min().flatten();
        Capabilities::new()
            .with_versions(each().all(|can| can.versions))
            .with_list(each().all(|can| can.list))
            .with_watch(each().all(|can| can.watch))
            .with_batch(batch)
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        self.refuse_version(&request)?;
        let mut said = Vec::new();
        for (number, member) in self.members() {
            match ask(number, member, request).await {
                Err(error) if passes_on(&error) => said.push(error),
                answer => return answer,
            }
        }
        Err(nobody(&request, &said).with_backend(&self.name))
    }

    async fn get_many(&self, requests: &[ReadRequest<'_>]) -> Vec<Result<Fetched>> {
        let mut said = vec![Vec::new(); requests.len()];
        let mut answers: Vec<Option<Result<Fetched>>> = requests
            .iter()
            .map(|request| self.refuse_version(request).err().map(Err))
            .collect();
        for (number, member) in self.members() {
            let open: Vec<usize> = (0..requests.len()).filter(|&at| answers[at].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let known: Vec<_> = open
                .iter()
                .map(|&at| requests[at].known.and_then(|known| known.known_to_member(number)))
                .collect();
            let asked: Vec<_> = open
                .iter()
                .zip(&known)
                .map(|(&at, known)| requests[at].with_known(known.as_ref()))
                .collect();
            let mut given = member.get_many(&asked).await;
            if given.len() != asked.len() {
                let error = Error::new(
                    ErrorKind::Internal,
                    "the backend gave another number of answers than requests",
                );
                given = vec![Err(error.with_backend(member.name())); asked.len()];
            }
            for (at, answer) in open.into_iter().zip(given) {
                match mark(number, member, answer) {
                    Err(error) if passes_on(&error) => said[at].push(error),
                    answer => answers[at] = Some(answer),
                }
            }
        }
        let nobody = |at: usize| Err(nobody(&requests[at], &said[at]).with_backend(&self.name));
        answers
            .into_iter()
            .enumerate()
            .map(|(at, answer)| answer.unwrap_or_else(|| nobody(at)))
            .collect()
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let mut names = BTreeSet::new();
        for (_, member) in self.members() {
            match member.list(prefix).await {
                Ok(listed) => names.extend(listed),
                // It has no names like this one.
                Err(error) if error.kind() == ErrorKind::InvalidName => {}
                Err(error) => return Err(error.with_backend(member.name())),
            }
        }
        Ok(names.into_iter().collect())
    }

    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        self.members
            .iter()
            .map(|member| member.watch(names.clone()))
            .collect::<Option<_>>()
            .map(Merged::boxed)
    }

    async fn check(&self) -> Result<()> {
        for (_, member) in self.members() {
            member
                .check()
                .await
                .map_err(|error| error.with_backend(member.name()))?;
        }
        Ok(())
    }

    async fn shutdown(&self) -> Result<()> {
        let mut first = Ok(());
        for (_, member) in self.members() {
            let ended = member
                .shutdown()
                .await
                .map_err(|error| error.with_backend(member.name()));
            first = first.and(ended);
        }
        first
    }
}
