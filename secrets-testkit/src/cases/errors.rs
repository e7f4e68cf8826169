//! E: errors say who and what, and nothing else.

use secrets_core::{Error, ErrorKind, Fetched, ReadRequest, Secret, SecretName, Version};

use crate::Failure;
use crate::bench::{Bench, ensure, ensure_eq, same, told};
use crate::cases::secrecy::Exposure;
use crate::facts::Fault;

/// Whatever goes wrong with a secret, the error says which secret and which backend.
pub(crate) async fn e5_errors_name_backend_and_secret(bench: &Bench<'_>) -> Result<(), Failure> {
    let (there, absent) = (bench.name("e5/there"), bench.name("e5/absent"));
    bench.create(&there, b"e5").await?;
    let version = Version::new("999999").expect("the kit names its versions well");
    let version = bench
        .facts()
        .versions
        .as_ref()
        .map_or(&version, |versions| &versions.absent);
    let mut requests = vec![
        ReadRequest::new(&absent),
        ReadRequest::new(&there).with_version(version),
    ];
    requests.extend(bench.facts().inexpressible.iter().map(ReadRequest::new));
    for request in &requests {
        let Err(error) = bench.read(*request).await? else {
            return Err(Failure::new(format!(
                "{} was answered with a value",
                told(request)
            )));
        };
        ensure_names(&error, request.name)?;
    }
    let answers = bench.backend().get_many(&requests).await;
    ensure_eq(
        "the number of `get_many`'s answers",
        &answers.len(),
        &requests.len(),
    )?;
    for (answer, request) in answers.iter().zip(&requests) {
        let Err(error) = answer else {
            return Err(Failure::new(format!(
                "{} was answered with a value",
                told(request)
            )));
        };
        ensure_names(error, request.name)?;
    }
    if let Err(error) = bench.backend().list(None).await {
        ensure(error.backend().is_some(), || {
            format!("the error of `list` names no backend: {error}; use `with_backend`")
        })?;
    }
    Ok(())
}

/// No error shows a value it was read beside, nor a credential.
pub(crate) async fn e5_errors_show_no_value(bench: &Bench<'_>) -> Result<(), Failure> {
    let mut exposure = Exposure::new(bench)?;
    let name = bench.name("e5/secret");
    exposure.create(&name).await?;
    let absent = bench.name("e5/absent");
    let below = bench.name("e5/secret/below");
    let version = Version::new("999999").expect("the kit names its versions well");
    let mut requests = vec![
        ReadRequest::new(&absent),
        ReadRequest::new(&below),
        ReadRequest::new(&name).with_version(&version),
    ];
    if let Some(versions) = &bench.facts().versions {
        requests.push(ReadRequest::new(&name).with_version(&versions.absent));
        let malformed = versions.malformed.iter();
        requests.extend(malformed.map(|version| ReadRequest::new(&name).with_version(version)));
    }
    requests.extend(bench.facts().inexpressible.iter().map(ReadRequest::new));
    let mut errors = 0;
    for request in &requests {
        match bench.backend().get(*request).await {
            Ok(fetched) => exposure.printed.look("what was fetched", &fetched),
            Err(error) => {
                errors += 1;
                exposure.printed.error(&error);
            }
        }
    }
    ensure(errors > 0, || "nothing failed, so no error was seen".into())?;
    requests.push(ReadRequest::new(&name));
    for answer in bench.backend().get_many(&requests).await {
        match answer {
            Ok(fetched) => exposure.printed.look("what was fetched", &fetched),
            Err(error) => exposure.printed.error(&error),
        }
    }
    bench.delete(&name).await?;
    let error = bench
        .expect_kind(ReadRequest::new(&name), &[ErrorKind::NotFound])
        .await?;
    exposure.printed.error(&error);
    exposure.conclude()
}

/// Each fault the harness can inject has its kind; the error names what failed and shows nothing.
pub(crate) async fn e5_faults_are_told_apart_and_show_nothing(bench: &Bench<'_>) -> Result<(), Failure> {
    let mut exposure = Exposure::new(bench)?;
    let name = bench.name("e5/faulty");
    exposure.create(&name).await?;
    let request = ReadRequest::new(&name);
    for &fault in &bench.facts().faults {
        if fault == Fault::Hang {
            continue;
        }
        let injected = bench.harness().inject(fault, &name).await;
        injected.map_err(|error| Failure::new(format!("the harness could not inject {fault:?}: {error}")))?;
        let failed = bench.expect_kind(request, fault.kinds()).await;
        let error = failed
            .map_err(|failure| Failure::new(format!("under the fault {fault:?}, {}", failure.reason())))?;
        ensure_names(&error, &name)?;
        exposure.printed.error(&error);
        for answer in bench.backend().get_many(&[request, request]).await {
            let Err(error) = answer else {
                return Err(Failure::new(format!(
                    "under the fault {fault:?}, `get_many` answered with a value"
                )));
            };
            ensure(fault.kinds().contains(&error.kind()), || {
                format!("under the fault {fault:?}, `get_many` answered with {error}")
            })?;
            exposure.printed.error(&error);
        }
        exposure.printed.look("the backend", bench.backend());
        bench.heal().await?;
        let secret = bench.secret(request).await.map_err(|failure| {
            Failure::new(format!(
                "after the fault {fault:?} was healed, {}",
                failure.reason()
            ))
        })?;
        exposure.printed.look("a secret", &secret);
    }
    exposure.conclude()
}

/// One answer per request, in order; one failure is one failure, and a name may come twice.
pub(crate) async fn e6_get_many_answers_each_in_order(bench: &Bench<'_>) -> Result<(), Failure> {
    let backend = bench.backend();
    ensure_eq(
        "the number of answers to no request",
        &backend.get_many(&[]).await.len(),
        &0,
    )?;
    let names: Vec<_> = (0..12)
        .map(|number| bench.name(&format!("e6/secret{number}")))
        .collect();
    for (number, name) in names.iter().enumerate() {
        bench.create(name, format!("e6 {number}").as_bytes()).await?;
    }
    let absent = bench.name("e6/absent");
    // Not in the order of creation, nor of the alphabet; with a failure in the middle and names that come twice.
    let mut asked: Vec<Option<usize>> = (0..names.len()).rev().map(Some).collect();
    asked.insert(asked.len() / 2, None);
    asked.extend((0..names.len()).map(Some));
    let request = |asked: &Option<usize>| ReadRequest::new(asked.map_or(&absent, |number| &names[number]));
    let requests: Vec<_> = asked.iter().map(request).collect();
    let mut answers = Vec::with_capacity(requests.len());
    // A batch is never larger than the backend says it takes.
    let most = backend
        .capabilities()
        .batch
        .map_or(requests.len(), std::num::NonZero::get);
    for page in requests.chunks(most) {
        let answered = backend.get_many(page).await;
        ensure_eq("the number of `get_many`'s answers", &answered.len(), &page.len())?;
        answers.extend(answered);
    }
    for (at, (answer, asked)) in answers.into_iter().zip(&asked).enumerate() {
        let what = format!("answer {at} of `get_many`, to {},", told(&requests[at]));
        match (value(&what, answer)?, asked) {
            (Ok(secret), Some(number)) => {
                same(&what, secret.expose_secret(), format!("e6 {number}").as_bytes())?;
            }
            (Err(error), None) => {
                ensure_eq(
                    &format!("the kind of {what}"),
                    &error.kind(),
                    &ErrorKind::NotFound,
                )?;
                ensure_names(&error, &absent)?;
            }
            (Ok(_), None) => return Err(Failure::new(format!("{what} is a value of another name"))),
            (Err(error), Some(_)) => {
                return Err(Failure::new(format!("{what} is {error}, and the secret exists")));
            }
        }
    }
    Ok(())
}

fn value(what: &str, answer: Result<Fetched, Error>) -> Result<Result<Secret, Error>, Failure> {
    match answer {
        Ok(Fetched::Value(secret)) => Ok(Ok(secret)),
        Ok(_) => Err(Failure::new(format!(
            "{what} is `Unchanged`, and the request knew nothing"
        ))),
        Err(error) => Ok(Err(error)),
    }
}

fn ensure_names(error: &Error, name: &SecretName) -> Result<(), Failure> {
    ensure(error.secret() == Some(name), || {
        format!("the error about `{name}` does not name it as it was asked for: {error}; use `with_secret`")
    })?;
    ensure(error.backend().is_some_and(|backend| !backend.is_empty()), || {
        format!("the error about `{name}` names no backend: {error}; use `with_backend`")
    })
}
