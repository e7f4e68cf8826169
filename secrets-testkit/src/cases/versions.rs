//! R: a version is the one asked for.

use secrets_core::{ErrorKind, ReadRequest, Version};

use crate::Failure;
use crate::bench::{Bench, ensure, ensure_eq, told};
use crate::facts::VersionFacts;

/// Each version, by id and by stage, stays what it was while others come.
pub(crate) async fn r1_versions_address_distinct_things(bench: &Bench<'_>) -> Result<(), Failure> {
    let facts = facts(bench)?;
    let name = bench.name("r1/secret");
    let request = ReadRequest::new(&name);
    let values = ["first", "second", "third"];
    let mut versions = Vec::new();
    for (number, value) in values.iter().enumerate() {
        versions.push(write(bench, &request, number == 0, value).await?);
        bench.expect(&name, value.as_bytes()).await?;
        for (version, value) in versions.iter().zip(values) {
            bench
                .expect_of(request.with_version(version), value.as_bytes())
                .await?;
        }
        for stage in &facts.latest {
            bench
                .expect_of(request.with_version(stage), value.as_bytes())
                .await?;
        }
        let Some(before) = number.checked_sub(1) else {
            continue;
        };
        for stage in &facts.previous {
            bench
                .expect_of(request.with_version(stage), values[before].as_bytes())
                .await?;
        }
    }
    let distinct = versions[0] != versions[1] && versions[1] != versions[2] && versions[0] != versions[2];
    ensure(distinct, || "the harness gave two versions one id".into())
}

/// Malformed and absent versions have errors of their own.
pub(crate) async fn r1_what_is_no_version_is_never_latest(bench: &Bench<'_>) -> Result<(), Failure> {
    let facts = facts(bench)?;
    let name = bench.name("r1/secret");
    let absent = bench.name("r1/absent");
    let request = ReadRequest::new(&name);
    let version = write(bench, &request, true, "only").await?;
    for malformed in &facts.malformed {
        bench
            .expect_refused(request.with_version(malformed), "a malformed version")
            .await?;
    }
    bench
        .expect_kind(request.with_version(&facts.absent), &[ErrorKind::VersionNotFound])
        .await?;
    for stage in &facts.previous {
        bench
            .expect_kind(request.with_version(stage), &[ErrorKind::VersionNotFound])
            .await?;
    }
    for version in [&version, &facts.absent] {
        bench
            .expect_kind(
                ReadRequest::new(&absent).with_version(version),
                &[ErrorKind::NotFound, ErrorKind::VersionNotFound],
            )
            .await?;
    }
    bench.expect(&name, b"only").await?;
    Ok(())
}

/// Metadata names the version that was served: its id, whichever way it was asked for.
pub(crate) async fn r2_metadata_states_the_version_served(bench: &Bench<'_>) -> Result<(), Failure> {
    let facts = facts(bench)?;
    let name = bench.name("r2/secret");
    let request = ReadRequest::new(&name);
    let first = write(bench, &request, true, "first").await?;
    let second = write(bench, &request, false, "second").await?;
    let mut asked = vec![
        (request, &second),
        (request.with_version(&first), &first),
        (request.with_version(&second), &second),
    ];
    asked.extend(
        facts
            .latest
            .iter()
            .map(|stage| (request.with_version(stage), &second)),
    );
    asked.extend(
        facts
            .previous
            .iter()
            .map(|stage| (request.with_version(stage), &first)),
    );
    for (request, served) in asked {
        let secret = bench.secret(request).await?;
        let what = format!("the version in the metadata of {}", told(&request));
        ensure_eq(&what, &secret.metadata().version(), &Some(served))?;
    }
    Ok(())
}

/// A backend without versions refuses them, whatever they look like, and goes on as before.
pub(crate) async fn r5_without_versions_one_is_unsupported(bench: &Bench<'_>) -> Result<(), Failure> {
    let name = bench.name("r5/secret");
    let absent = bench.name("r5/absent");
    bench.create(&name, b"r5").await?;
    for version in ["1", "latest", "0f5a77", "stage:AWSCURRENT"] {
        let version = Version::new(version).expect("the kit names its versions well");
        for name in [&name, &absent] {
            let request = ReadRequest::new(name).with_version(&version);
            let before = bench.harness().requests();
            bench.expect_kind(request, &[ErrorKind::Unsupported]).await?;
            bench.ensure_no_io(before, &told(&request))?;
        }
        let requests = [
            ReadRequest::new(&name).with_version(&version),
            ReadRequest::new(&name),
        ];
        let answers = bench.backend().get_many(&requests).await;
        let kinds: Vec<_> = answers
            .iter()
            .map(|answer| answer.as_ref().err().map(secrets_core::Error::kind))
            .collect();
        ensure_eq(
            "what `get_many` makes of a version and of the latest",
            &kinds,
            &vec![Some(ErrorKind::Unsupported), None],
        )?;
    }
    bench.expect(&name, b"r5").await?;
    Ok(())
}

fn facts<'a>(bench: &'a Bench<'_>) -> Result<&'a VersionFacts, Failure> {
    bench.facts().versions.as_ref().ok_or_else(|| {
        Failure::new("the backend has versions; say in `Facts::with_versions` how they are addressed")
    })
}

async fn write(
    bench: &Bench<'_>,
    request: &ReadRequest<'_>,
    create: bool,
    value: &str,
) -> Result<Version, Failure> {
    let written = if create {
        bench.create(request.name, value.as_bytes()).await?
    } else {
        bench.update(request.name, value.as_bytes()).await?
    };
    written.ok_or_else(|| {
        Failure::new(
            "the backend has versions; `create` and `update` of the harness have to return the one written",
        )
    })
}
