use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use secrets_core::{Error, ErrorKind, Fetched, ReadRequest, Secret, SecretBackend, SecretName, Version};

use crate::{Canary, Facts, Failure, Harness, canary};

/// What a case works with: a backend over an empty corner of the store, and words for what it expects.
pub(crate) struct Bench<'h> {
    harness: &'h dyn Harness,
    facts: Facts,
    backend: Arc<dyn SecretBackend>,
    base: SecretName,
    created: Mutex<Vec<SecretName>>,
}

impl<'h> Bench<'h> {
    pub(crate) async fn new(harness: &'h dyn Harness, facts: Facts) -> Result<Self, Failure> {
        let backend = harness.backend().await;
        let backend = backend.map_err(|error| failed("make the backend", &*error))?;
        // Lower-case letters and digits are a name everywhere.
        let own = format!("kit{}", canary::random(9));
        let base = match &facts.under {
            Some(prefix) => prefix.join(own),
            None => SecretName::new(own),
        };
        Ok(Self {
            base: base.map_err(|error| Failure::new(error.to_string()))?,
            harness,
            facts,
            backend,
            created: Mutex::default(),
        })
    }

    pub(crate) fn harness(&self) -> &dyn Harness {
        self.harness
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn backend(&self) -> &Arc<dyn SecretBackend> {
        &self.backend
    }

    /// The name above all names of this case.
    pub(crate) fn base(&self) -> &SecretName {
        &self.base
    }

    /// A name of this case alone.
    pub(crate) fn name(&self, rest: &str) -> SecretName {
        self.base.join(rest).expect("the kit names its secrets well")
    }

    /// A random value that fits the store, to be looked for later.
    pub(crate) fn canary(&self) -> Result<Canary, Failure> {
        let canary = Canary::random();
        ensure(self.facts.max_len >= 64, || {
            format!(
                "a store of values of {} bytes is too small to test",
                self.facts.max_len
            )
        })?;
        Ok(canary)
    }

    pub(crate) async fn create(&self, name: &SecretName, value: &[u8]) -> Result<Option<Version>, Failure> {
        self.created
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name.clone());
        let created = self.harness.create(name, value).await;
        created.map_err(|error| {
            let what = format!("create `{name}` with {} bytes", value.len());
            failed(&what, &*error)
        })
    }

    pub(crate) async fn update(&self, name: &SecretName, value: &[u8]) -> Result<Option<Version>, Failure> {
        let updated = self.harness.update(name, value).await;
        updated.map_err(|error| failed(&format!("update `{name}`"), &*error))
    }

    pub(crate) async fn delete(&self, name: &SecretName) -> Result<(), Failure> {
        let deleted = self.harness.delete(name).await;
        deleted.map_err(|error| failed(&format!("delete `{name}`"), &*error))?;
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.retain(|other| other != name);
        Ok(())
    }

    pub(crate) async fn heal(&self) -> Result<(), Failure> {
        let healed = self.harness.heal().await;
        healed.map_err(|error| failed("heal", &*error))
    }

    /// Deletes what is left of what the case created, and gives back what the backend obtained.
    pub(crate) async fn clean_up(&self) -> Result<(), Failure> {
        let created = std::mem::take(&mut *self.created.lock().unwrap_or_else(PoisonError::into_inner));
        self.heal().await?;
        for name in created {
            // Two names may be one secret, and a case may have failed before it was created.
            let _ = self.harness.delete(&name).await;
        }
        let ended = self.backend.shutdown().await;
        ended.map_err(|error| Failure::new(format!("`shutdown` failed: {error}")))
    }

    /// The value that the backend answers a request with, when nothing was known.
    pub(crate) async fn read(&self, request: ReadRequest<'_>) -> Result<Result<Secret, Error>, Failure> {
        match self.backend.get(request).await {
            Ok(Fetched::Value(secret)) => Ok(Ok(secret)),
            Ok(_) => Err(Failure::new(format!(
                "{} was answered with `Unchanged`, and the request knew nothing",
                told(&request)
            ))),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Reads a secret that exists.
    pub(crate) async fn secret(&self, request: ReadRequest<'_>) -> Result<Secret, Failure> {
        let read = self.read(request).await?;
        read.map_err(|error| Failure::new(format!("{} exists, and was answered: {error}", told(&request))))
    }

    /// The latest version is what was written.
    pub(crate) async fn expect(&self, name: &SecretName, written: &[u8]) -> Result<Secret, Failure> {
        self.expect_of(ReadRequest::new(name), written).await
    }

    /// The version asked for is what was written.
    pub(crate) async fn expect_of(
        &self,
        request: ReadRequest<'_>,
        written: &[u8],
    ) -> Result<Secret, Failure> {
        let secret = self.secret(request).await?;
        self.ensure_is(&told(&request), &secret, written)?;
        Ok(secret)
    }

    pub(crate) fn ensure_is(&self, what: &str, secret: &Secret, written: &[u8]) -> Result<(), Failure> {
        same(what, secret.expose_secret(), self.facts.expected(written))
    }

    /// The request fails with one of these kinds.
    pub(crate) async fn expect_kind(
        &self,
        request: ReadRequest<'_>,
        kinds: &[ErrorKind],
    ) -> Result<Error, Failure> {
        match self.read(request).await? {
            Ok(_) => Err(Failure::new(format!(
                "{} was answered with a value instead of {}",
                told(&request),
                one_of(kinds)
            ))),
            Err(error) => {
                ensure(kinds.contains(&error.kind()), || {
                    format!(
                        "{} was answered with {error} instead of {}",
                        told(&request),
                        one_of(kinds)
                    )
                })?;
                Ok(error)
            }
        }
    }

    /// The request is refused for its name or version, without the store hearing of it, where the harness can tell.
    pub(crate) async fn expect_refused(&self, request: ReadRequest<'_>, why: &str) -> Result<Error, Failure> {
        let before = self.harness.requests();
        let error = self.expect_kind(request, &[ErrorKind::InvalidName]).await?;
        self.ensure_no_io(before, &format!("{} ({why})", told(&request)))?;
        Ok(error)
    }

    pub(crate) fn ensure_no_io(&self, before: Option<u64>, what: &str) -> Result<(), Failure> {
        ensure(before == self.harness.requests(), || {
            format!("{what} was refused only after a request to the store")
        })
    }
}

/// What a request asks for, for messages.
pub(crate) fn told(request: &ReadRequest<'_>) -> String {
    // A name may be very long, or hard to print.
    let name: String = request.name.as_str().chars().take(120).collect();
    match request.version {
        None => format!("`{}`", name.escape_debug()),
        Some(version) => format!("version `{version}` of `{}`", name.escape_debug()),
    }
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(otherwise()))
    }
}

pub(crate) fn ensure_eq<T: PartialEq + Debug>(what: &str, seen: &T, expected: &T) -> Result<(), Failure> {
    ensure(seen == expected, || {
        format!("{what} is {seen:?} instead of {expected:?}")
    })
}

/// Compares values, and says where they differ without printing them.
pub(crate) fn same(what: &str, seen: &[u8], expected: &[u8]) -> Result<(), Failure> {
    let differ = || seen.iter().zip(expected).position(|(a, b)| a != b);
    ensure(seen == expected, || {
        let at = match differ() {
            Some(at) => format!("the first difference is at byte {at}"),
            None => "the shorter one is the beginning of the other".into(),
        };
        format!(
            "{what} came back with {} bytes instead of {}; {at}",
            seen.len(),
            expected.len()
        )
    })
}

fn one_of(kinds: &[ErrorKind]) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{kind:?}`")).collect();
    kinds.join(" or ")
}

fn failed(what: &str, error: &(dyn std::error::Error + Send + Sync)) -> Failure {
    Failure::new(format!("the harness could not {what}: {error}"))
}
