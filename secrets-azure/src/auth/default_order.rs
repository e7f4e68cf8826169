use std::ffi::OsString;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrets_core::{Cause, Error, ErrorKind, Result};

use super::client_secret::ClientSecret;
use super::managed_identity::{Identity, ManagedIdentity};
use super::tools::{Tool, too_slow};
use super::workload_identity::{self, WorkloadIdentity};
use super::{MANAGED, Method, Way, again, text};
use crate::token::Grant;

/// How long the endpoint of virtual machines may take to show that it is there.
const PROBE: Duration = Duration::from_secs(1);

/// How long developers' tools may take together. With the probe it stays well below what a read may take.
const TOOLS: Duration = Duration::from_secs(3);

/// The first credential that there is.
pub(super) struct DefaultOrder {
    client_secret: Result<ClientSecret, String>,
    workload_identity: Result<WorkloadIdentity, String>,
    managed_identity: ManagedIdentity,
    app_service: bool,
    found: Mutex<Option<Found>>,
}

/// What was found, and is used from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    ClientSecret,
    ManagedIdentity,
    Tool(Tool),
    WorkloadIdentity,
}

impl DefaultOrder {
    pub(super) fn new(variables: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variables(name).is_some_and(|value| !value.is_empty());
        let client = variables("AZURE_CLIENT_ID").filter(|client| !client.is_empty());
        Self {
            client_secret: ClientSecret::from_variables(&variables),
            workload_identity: WorkloadIdentity::from_variables(&variables),
            managed_identity: ManagedIdentity::new(client.map(|client| Identity::ClientId(text(&client)))),
            app_service: set("IDENTITY_ENDPOINT") && set("IDENTITY_HEADER"),
            found: Mutex::new(None),
        }
    }

    fn found(&self) -> Option<Found> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        tracing::info!(
            backend = crate::backend::NAME,
            using = found.name(),
            "credential found by the default order"
        );
    }

    /// Logs in with what was found, whatever comes of it.
    async fn with(&self, found: Found, way: Way<'_>) -> Option<Result<Grant>> {
        match found {
            Found::ClientSecret => match &self.client_secret {
                Ok(method) => Some(method.login(way).await),
                Err(_) => None,
            },
            Found::WorkloadIdentity => match &self.workload_identity {
                Ok(method) => Some(method.login(way).await),
                Err(_) => None,
            },
            Found::ManagedIdentity => Some(self.managed_identity.login(way).await),
            Found::Tool(tool) => Some(tool.login(way).await),
        }
    }

    /// Finds a credential and logs in with it.
    async fn search(&self, way: Way<'_>) -> Result<Grant> {
        let mut passed = Vec::new();
        let configured = [
            (Found::ClientSecret, self.client_secret.as_ref().err()),
            (Found::WorkloadIdentity, self.workload_identity.as_ref().err()),
        ];
        for (found, missing) in configured {
            match missing {
                Some(missing) => passed.push(format!("{} ({missing} not set)", found.name())),
                None => {
                    if let Some(outcome) = self.with(found, way).await {
                        return self.settled(found, outcome, &passed);
                    }
                }
            }
        }
        if self.app_service || way.transport.imds_answers(PROBE).await {
            let outcome = self.managed_identity.login(way).await;
            let absent = outcome.as_ref().err().and_then(absent);
            match absent.filter(|_| !self.app_service) {
                Some(reason) => passed.push(format!("{MANAGED} ({reason})")),
                None => return self.settled(Found::ManagedIdentity, outcome, &passed),
            }
        } else {
            passed.push(format!(
                "{MANAGED} (nothing answers at its endpoint within {} s)",
                PROBE.as_secs()
            ));
        }
        let clock = way.transport.clock();
        let run = async |tool: Tool| {
            tokio::select! {
                biased;
                granted = tool.login(way) => granted,
                () = clock.sleep(TOOLS) => Err(too_slow(tool, TOOLS)),
            }
        };
        let (az, azd) = tokio::join!(run(Tool::Az), run(Tool::Azd));
        for (tool, granted) in [(Tool::Az, az), (Tool::Azd, azd)] {
            match granted {
                Ok(grant) => return self.settled(Found::Tool(tool), Ok(grant), &passed),
                Err(error) => {
                    let prefix = format!("no login by {}", tool.name());
                    let reason = error.message().strip_prefix(&prefix).unwrap_or_default();
                    let reason = reason.trim_start_matches([':', ' ']);
                    passed.push(format!("{} ({reason})", tool.name()));
                }
            }
        }
        let message = format!(
            "there is no credential for Azure in this environment; passed over: {}. Set one up, or name one by `auth`",
            passed.join("; ")
        );
        Err(Error::new(ErrorKind::Unauthenticated, message))
    }

    fn settled(&self, found: Found, outcome: Result<Grant>, passed: &[String]) -> Result<Grant> {
        match outcome {
            Ok(grant) => {
                self.note(found);
                Ok(grant)
            }
            Err(error) if passed.is_empty() => Err(error),
            Err(error) => {
                let message = format!(
                    "{}; the default order came to it after {}",
                    error.message(),
                    passed.join("; ")
                );
                Err(again(&error, message))
            }
        }
    }
}

/// Why what answered at the endpoint of virtual machines brings no identity. Other clouds have their own metadata there,
/// and networks that ask for a login answer anything.
fn absent(error: &Error) -> Option<&'static str> {
    match (error.kind(), error.cause().and_then(Cause::status)) {
        (ErrorKind::Unauthenticated, Some(400)) => Some("none is assigned here"),
        (ErrorKind::InvalidData, _) | (_, Some(300..=399 | 401 | 403 | 404 | 405)) => {
            Some("what answers at its endpoint is not Azure's")
        }
        _ => None,
    }
}

#[async_trait]
impl Method for DefaultOrder {
    fn name(&self) -> &'static str {
        "the default order"
    }

    fn used(&self) -> &'static str {
        self.found().map_or(self.name(), Found::name)
    }

    fn check(&self) -> Result<()> {
        if let Ok(method) = &self.client_secret {
            return method.check();
        }
        if let Ok(method) = &self.workload_identity {
            return method.check();
        }
        self.managed_identity.check()
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        if let Some(found) = self.found()
            && let Some(outcome) = self.with(found, way).await
        {
            return outcome;
        }
        self.search(way).await
    }
}

impl Found {
    fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client secret",
            Self::ManagedIdentity => MANAGED,
            Self::Tool(tool) => tool.name(),
            Self::WorkloadIdentity => workload_identity::NAME,
        }
    }
}

impl fmt::Debug for DefaultOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultOrder")
            .field("using", &self.found().map(Found::name))
            .finish_non_exhaustive()
    }
}
