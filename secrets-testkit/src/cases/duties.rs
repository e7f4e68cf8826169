//! D: what `SecretBackend` asks of every backend besides.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;

use secrets_core::{
    BackendEvent, BackendEvents, ErrorKind, Fetched, Metadata, ReadRequest, SecretName, WatchedNames,
};
use tokio::task::JoinSet;

use crate::Failure;
use crate::bench::{Bench, ensure, ensure_eq, same, told};
use crate::facts::Fault;

/// `check` finds a store that works, and one that does not; name and capabilities do not change.
pub(crate) async fn d1_check_finds_a_store_that_works(bench: &Bench<'_>) -> Result<(), Failure> {
    let backend = bench.backend();
    let before = (backend.name().to_owned(), backend.capabilities());
    ensure(!before.0.is_empty(), || "the backend's name is empty".into())?;
    let check = || async {
        let checked = backend.check().await;
        checked.map_err(|error| Failure::new(format!("`check` failed over a store that works: {error}")))
    };
    check().await?;
    for fault in [Fault::Unreachable, Fault::Unauthenticated] {
        if !bench.facts().faults.contains(&fault) {
            continue;
        }
        let injected = bench.harness().inject(fault, &bench.name("d1")).await;
        injected.map_err(|error| Failure::new(format!("the harness could not inject {fault:?}: {error}")))?;
        let Err(error) = backend.check().await else {
            return Err(Failure::new(format!(
                "`check` succeeds under the fault {fault:?}"
            )));
        };
        ensure(fault.kinds().contains(&error.kind()), || {
            format!("under the fault {fault:?}, `check` failed with {error}")
        })?;
        bench.heal().await?;
        check().await?;
    }
    let after = (backend.name().to_owned(), backend.capabilities());
    ensure_eq(
        "what the backend calls itself and can do, afterwards,",
        &after,
        &before,
    )
}

/// A name's fault domain is always the same, and there are not as many domains as names.
pub(crate) async fn d2_fault_domains_are_few_and_stable(bench: &Bench<'_>) -> Result<(), Failure> {
    let names: Vec<_> = (0..300)
        .map(|number| bench.name(&format!("d2/{}/secret{number}", number % 30)))
        .collect();
    let domains = || {
        names
            .iter()
            .map(|name| bench.backend().fault_domain(name).to_owned())
    };
    let before: Vec<_> = domains().collect();
    bench.create(&names[0], b"d2").await?;
    bench.expect(&names[0], b"d2").await?;
    let _ = bench.read(ReadRequest::new(&names[1])).await?;
    ensure(domains().eq(before.iter().cloned()), || {
        "a name's fault domain changed".into()
    })?;
    let distinct: BTreeSet<_> = before.into_iter().collect();
    ensure(distinct.len() <= 20, || {
        format!(
            "300 names below one are in {} fault domains; their number grows with that of the names",
            distinct.len()
        )
    })?;
    ensure(!distinct.contains(""), || {
        "a fault domain has an empty name".into()
    })
}

/// Many reads at once, one by one and in batches, each get their own value.
pub(crate) async fn d3_reads_at_once_keep_their_values(bench: &Bench<'_>) -> Result<(), Failure> {
    let names: Vec<_> = (0..24)
        .map(|number| bench.name(&format!("d3/secret{number}")))
        .collect();
    let value = |number: usize| format!("{number}.").repeat(number * 7 + 1);
    for (number, name) in names.iter().enumerate() {
        bench.create(name, value(number).as_bytes()).await?;
    }
    let mut reads = JoinSet::new();
    for round in 0..2 {
        for (number, name) in names.iter().cloned().enumerate() {
            let backend = bench.backend().clone();
            reads.spawn(async move {
                let request = ReadRequest::new(&name);
                let answer = if round == 0 {
                    backend.get(request).await
                } else {
                    let mut answers = backend.get_many(&[request]).await;
                    answers
                        .pop()
                        .unwrap_or_else(|| Ok(Fetched::unchanged(None, None)))
                };
                (number, answer)
            });
        }
    }
    while let Some(read) = reads.join_next().await {
        let (number, answer) =
            read.map_err(|_| Failure::new("a read among many panicked; the message is above"))?;
        let what = format!("one of many reads at once, of `{}`,", names[number]);
        match answer {
            Ok(Fetched::Value(secret)) => same(&what, secret.expose_secret(), value(number).as_bytes())?,
            Ok(_) => return Err(Failure::new(format!("{what} gave no value"))),
            Err(error) => return Err(Failure::new(format!("{what} failed: {error}"))),
        }
    }
    Ok(())
}

/// A read that is dropped, wherever it waits, breaks nothing for those after it.
pub(crate) async fn d4_a_dropped_read_leaves_the_backend_usable(bench: &Bench<'_>) -> Result<(), Failure> {
    let backend = bench.backend();
    let (name, absent) = (bench.name("d4/secret"), bench.name("d4/absent"));
    bench.create(&name, b"d4").await?;
    let requests = [ReadRequest::new(&name), ReadRequest::new(&absent)];
    for polls in (0..40).chain(0..40) {
        drop_after(polls, backend.get(requests[0])).await;
        drop_after(polls, backend.get_many(&requests)).await;
        drop_after(polls, backend.list(Some(&name))).await;
        drop_after(polls, backend.check()).await;
    }
    bench.expect(&name, b"d4").await?;
    if bench.facts().faults.contains(&Fault::Hang) {
        let injected = bench.harness().inject(Fault::Hang, &name).await;
        injected.map_err(|error| Failure::new(format!("the harness could not inject a hang: {error}")))?;
        for _ in 0..3 {
            ensure(!drop_after(200, backend.get(requests[0])).await, || {
                format!("{} was answered by a store that hangs", told(&requests[0]))
            })?;
        }
        bench.heal().await?;
    }
    for _ in 0..3 {
        bench.expect(&name, b"d4").await?;
    }
    bench.expect_kind(requests[1], &[ErrorKind::NotFound]).await?;
    Ok(())
}

/// `Unchanged` is said only of the value that the caller holds.
pub(crate) async fn d5_unchanged_is_only_what_is_current(bench: &Bench<'_>) -> Result<(), Failure> {
    let backend = bench.backend();
    let name = bench.name("d5/secret");
    let request = ReadRequest::new(&name);
    let written = bench.create(&name, b"first").await?;
    let first = bench.expect(&name, b"first").await?;
    match backend.get(request.with_known(first.metadata())).await {
        Ok(Fetched::Value(secret)) => bench.ensure_is(&told(&request), &secret, b"first")?,
        Ok(_) => {}
        Err(error) => {
            return Err(Failure::new(format!(
                "{} fails when the caller says what it holds: {error}",
                told(&request)
            )));
        }
    }
    let expect = async |request: ReadRequest<'_>, value: &[u8], why: &str| match backend.get(request).await {
        Ok(Fetched::Value(secret)) => bench.ensure_is(&told(&request), &secret, value),
        Ok(_) => Err(Failure::new(format!(
            "{} is called unchanged, {why}",
            told(&request)
        ))),
        Err(error) => Err(Failure::new(format!("{} failed: {error}", told(&request)))),
    };
    let nothing = Metadata::new();
    expect(
        request.with_known(&nothing),
        b"first",
        "and the caller holds nothing",
    )
    .await?;
    bench.update(&name, b"second").await?;
    expect(request.with_known(first.metadata()), b"second", "and has changed").await?;
    let second = bench.expect(&name, b"second").await?;
    if bench.backend().capabilities().versions {
        let pinned = request
            .with_version(written.as_ref())
            .with_known(second.metadata());
        expect(pinned, b"first", "and the caller holds another version").await?;
    }
    bench.delete(&name).await?;
    match backend.get(request.with_known(second.metadata())).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => {
            return Err(Failure::new(
                "a deleted secret that the caller holds is not `NotFound`",
            ));
        }
    }
    bench.create(&name, b"third").await?;
    expect(
        request.with_known(second.metadata()),
        b"third",
        "and was created anew",
    )
    .await
}

/// A backend keeps nothing: what is written, changed, deleted or created anew is what the next read gives.
pub(crate) async fn d6_a_change_is_read_at_once(bench: &Bench<'_>) -> Result<(), Failure> {
    let name = bench.name("d6/secret");
    let absent = [ErrorKind::NotFound];
    for round in 0..2 {
        bench.expect_kind(ReadRequest::new(&name), &absent).await?;
        let values = [format!("{round} first"), format!("{round} second")];
        bench.create(&name, values[0].as_bytes()).await?;
        for _ in 0..2 {
            bench.expect(&name, values[0].as_bytes()).await?;
        }
        bench.update(&name, values[1].as_bytes()).await?;
        bench.expect(&name, values[1].as_bytes()).await?;
        bench.delete(&name).await?;
    }
    bench.expect_kind(ReadRequest::new(&name), &absent).await?;
    Ok(())
}

/// Whatever happens to a watched secret after `watch` was called comes as an event.
pub(crate) async fn d7_a_watch_reports_changes(bench: &Bench<'_>) -> Result<(), Failure> {
    let (name, late) = (bench.name("d7/secret"), bench.name("d7/late"));
    bench.create(&name, b"first").await?;
    let (sender, names) = WatchedNames::channel();
    sender.set([name.clone()].into());
    let Some(mut events) = bench.backend().watch(names) else {
        return Err(Failure::new(
            "`watch` gives no stream, and the capabilities say it does",
        ));
    };
    // What was read after `watch` returned is what its events are about.
    bench.expect(&name, b"first").await?;
    bench.update(&name, b"second").await?;
    expect_event(&mut events, &name, "an update").await?;
    bench.expect(&name, b"second").await?;
    bench.delete(&name).await?;
    expect_event(&mut events, &name, "a deletion").await?;
    sender.set([name, late.clone()].into());
    bench
        .expect_kind(ReadRequest::new(&late), &[ErrorKind::NotFound])
        .await?;
    bench.create(&late, b"late").await?;
    expect_event(&mut events, &late, "the creation of a secret watched later").await
}

/// A backend that does not watch gives no stream.
pub(crate) async fn d7_without_watch_there_is_none(bench: &Bench<'_>) -> Result<(), Failure> {
    let (_sender, names) = WatchedNames::channel();
    ensure(bench.backend().watch(names).is_none(), || {
        "`watch` gives a stream, and the capabilities say it does not".into()
    })?;
    let name = bench.name("d7/secret");
    bench.create(&name, b"d7").await?;
    bench.expect(&name, b"d7").await?;
    Ok(())
}

/// Polls the future this many times, letting everything else run in between, and drops it. Whether it ended.
async fn drop_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let ended = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if ended {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Waits for an event about the name. It may take as long as the whole case may.
async fn expect_event(events: &mut BackendEvents, name: &SecretName, what: &str) -> Result<(), Failure> {
    loop {
        match poll_fn(|cx| events.as_mut().poll_next(cx)).await {
            Some(BackendEvent::Resync) => return Ok(()),
            Some(BackendEvent::Changed(changed)) if changed == *name => return Ok(()),
            Some(_) => {}
            None => return Err(Failure::new(format!("the watch ended before it reported {what}"))),
        }
    }
}
