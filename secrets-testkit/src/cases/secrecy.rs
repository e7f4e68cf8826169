//! S1: what is confidential shows nowhere.

use secrets_core::{ReadRequest, SecretName, WatchedNames};

use crate::bench::{Bench, ensure};
use crate::capture::Capture;
use crate::facts::Fault;
use crate::printed::Printed;
use crate::{Canary, Failure};

/// The backend, secrets, metadata and errors, printed in every way, show no value and no credential.
pub(crate) async fn s1_debug_shows_no_value(bench: &Bench<'_>) -> Result<(), Failure> {
    let mut exposure = Exposure::new(bench)?;
    exposure.printed.look("the backend", bench.backend());
    use_all(bench, &mut exposure).await?;
    exposure
        .printed
        .look("the backend, after it was used", bench.backend());
    exposure.conclude()
}

/// Nothing that is logged or traced while the backend is made, used and ended shows a value or a credential, at any level.
pub(crate) async fn s1_logs_show_no_value(bench: &Bench<'_>) -> Result<(), Failure> {
    let capture = Capture::start().map_err(Failure::new)?;
    let mut exposure = Exposure::new(bench)?;
    // One more backend, made and ended while we listen.
    let own = bench.harness().backend().await;
    let own =
        own.map_err(|error| Failure::new(format!("the harness could not make the backend: {error}")))?;
    use_all(bench, &mut exposure).await?;
    let name = bench.name("s1/own");
    exposure.create(&name).await?;
    let _ = own.get(ReadRequest::new(&name)).await;
    for &fault in &bench.facts().faults {
        if fault == Fault::Hang {
            continue;
        }
        let injected = bench.harness().inject(fault, &name).await;
        injected.map_err(|error| Failure::new(format!("the harness could not inject {fault:?}: {error}")))?;
        let _ = bench.backend().get(ReadRequest::new(&name)).await;
        bench.heal().await?;
    }
    let _ = own.shutdown().await;
    drop(own);
    for record in capture.records() {
        exposure
            .printed
            .text("a record of the process's log", record.to_string());
    }
    exposure.conclude()
}

/// Every way to use a backend, with a canary in the secret.
async fn use_all(bench: &Bench<'_>, exposure: &mut Exposure<'_, '_>) -> Result<(), Failure> {
    let backend = bench.backend();
    let (names_sender, names) = WatchedNames::channel();
    let name = bench.name("s1/secret");
    names_sender.set([name.clone()].into());
    let events = backend.watch(names);
    let version = exposure.create(&name).await?;
    let absent = bench.name("s1/absent");
    let request = ReadRequest::new(&name);
    let mut requests = vec![request, ReadRequest::new(&absent)];
    requests.push(request.with_version(version.as_ref()));
    for request in &requests {
        match backend.get(*request).await {
            Ok(fetched) => exposure.printed.fetched(&fetched),
            Err(error) => exposure.printed.error(&error),
        }
    }
    for answer in backend.get_many(&requests).await {
        match answer {
            Ok(fetched) => exposure.printed.fetched(&fetched),
            Err(error) => exposure.printed.error(&error),
        }
    }
    let known = bench.secret(request).await?;
    match backend.get(request.with_known(known.metadata())).await {
        Ok(fetched) => exposure.printed.fetched(&fetched),
        Err(error) => exposure.printed.error(&error),
    }
    match backend.list(None).await {
        Ok(listed) => exposure.printed.look("the names listed", &listed),
        Err(error) => exposure.printed.error(&error),
    }
    if let Err(error) = backend.check().await {
        exposure.printed.error(&error);
    }
    exposure
        .printed
        .text("the fault domain", backend.fault_domain(&name).into());
    drop(events);
    Ok(())
}

/// What was printed, and what must not be in it.
pub(crate) struct Exposure<'b, 'h> {
    bench: &'b Bench<'h>,
    values: Vec<Canary>,
    pub(crate) printed: Printed,
}

impl<'b, 'h> Exposure<'b, 'h> {
    pub(crate) fn new(bench: &'b Bench<'h>) -> Result<Self, Failure> {
        // One that was never written proves that the search finds what is there, and nothing else.
        let control = bench.canary()?;
        ensure(
            control.find_in(&format!("x {} x", control.expose())).is_some(),
            || "the search for canaries finds none".into(),
        )?;
        Ok(Self {
            bench,
            values: Vec::new(),
            printed: Printed::default(),
        })
    }

    /// Creates a secret whose value is to be looked for.
    pub(crate) async fn create(
        &mut self,
        name: &SecretName,
    ) -> Result<Option<secrets_core::Version>, Failure> {
        let canary = self.bench.canary()?;
        let version = self.bench.create(name, canary.expose().as_bytes()).await?;
        self.bench.expect(name, canary.expose().as_bytes()).await?;
        self.values.push(canary);
        Ok(version)
    }

    /// Nothing that was printed has anything confidential in it.
    pub(crate) fn conclude(self) -> Result<(), Failure> {
        let values = self.values.iter().map(|canary| ("a secret's value", canary));
        let credentials = &self.bench.facts().credentials;
        let credentials = credentials.iter().map(|canary| ("a credential", canary));
        for (whose, canary) in values.chain(credentials) {
            self.printed.shows_nothing_of(whose, canary)?;
        }
        Ok(())
    }
}
