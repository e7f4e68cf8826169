//! The laws of concurrency, C1 to C8 and C10.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use secrets_core::{Clock, ErrorKind, FakeClock, SecretManager};
use secrets_testkit::{Answer, CallState, Gate, ScriptedBackend};
use tokio::task::JoinSet;

/// 10,000 readers of one key; the first of them, who started the call, is cancelled.
async fn herd() {
    const READERS: usize = 10_000;
    let backend = ScriptedBackend::new();
    let gate = Gate::new();
    backend.on("a", [Answer::value("v").behind(&gate)]);
    let secrets = SecretManager::builder(backend.clone()).build().unwrap();
    let read = |secrets: SecretManager| async move { secrets.get("a").await.map(|secret| text(&secret)) };

    let leader = tokio::spawn(read(secrets.clone()));
    backend.wait_for_calls(1).await;
    let mut others = JoinSet::new();
    for _ in 1..READERS {
        others.spawn(read(secrets.clone()));
    }
    // All have joined the call once all but the leader are counted as such.
    while secrets.stats().coalesced < READERS as u64 - 1 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open();
    let mut answers = 0;
    while let Some(answer) = others.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), "v");
        answers += 1;
    }
    assert_eq!((answers, backend.call_count()), (READERS - 1, 1));
    let stats = secrets.stats();
    assert_eq!(
        (stats.lookups, stats.misses, stats.fetches),
        (READERS as u64, READERS as u64, 1)
    );
}

#[test]
fn c1_c3_a_herd_makes_one_call_also_when_its_leader_is_cancelled_on_one_thread() {
    block_on(herd());
}

#[test]
fn c1_c3_a_herd_makes_one_call_also_when_its_leader_is_cancelled_on_many_threads() {
    block_on_threads(herd());
}

#[test]
fn c2_a_slow_key_blocks_no_other_below_the_bound() {
    block_on(async {
        let rig = Rig::with(|builder| builder.concurrency(4));
        let gate = Gate::new();
        for slow in ["s1", "s2", "s3"] {
            rig.backend.on(slow, [Answer::value("slow").behind(&gate)]);
            let secrets = rig.secrets.clone();
            tokio::spawn(async move { secrets.get(slow).await.is_ok() });
        }
        rig.backend.on("quick", [Answer::value("v")]);
        settle().await;
        assert_eq!(rig.backend.in_flight(), 3);
        assert_eq!(text(&rig.secrets.get("quick").await.unwrap()), "v");
    });
}

#[test]
fn c2_a_fresh_hit_never_waits_for_a_refresh() {
    block_on(async {
        let rig = Rig::new();
        rig.backend.on("a", [Answer::value("old"), Answer::hang()]);
        assert_eq!(rig.text("a").await, "old");
        rig.clock.advance(secs(275));
        assert_eq!(
            text(&rig.secrets.get("a").await.unwrap()),
            "old",
            "this read starts the refresh"
        );
        rig.pass(millis(60)).await;
        assert_eq!(rig.backend.in_flight(), 1, "the refresh is under way");
        let mut read = Box::pin(rig.secrets.get("a"));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx))).await;
        assert!(polled.is_ready());
    });
}

#[test]
fn c4_a_call_nobody_waits_for_goes_on_and_is_cached() {
    block_on(async {
        let rig = Rig::new();
        let gate = Gate::new();
        rig.backend.on("a", [Answer::value("v").behind(&gate)]);
        let secrets = rig.secrets.clone();
        let reader = tokio::spawn(async move { secrets.get("a").await.is_ok() });
        rig.backend.wait_for_calls(1).await;
        reader.abort();
        settle().await;
        gate.open();
        rig.backend.wait_for_idle().await;
        settle().await;
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "v");
        let stats = rig.secrets.stats();
        assert_eq!((rig.backend.call_count(), stats.misses, stats.hits), (1, 1, 1));
    });
}

#[test]
fn c4_a_call_nobody_waits_for_ends_at_its_deadline() {
    block_on(async {
        let rig = Rig::new();
        rig.backend.on("a", [Answer::hang()]);
        let secrets = rig.secrets.clone();
        let reader = tokio::spawn(async move { secrets.get("a").await.is_ok() });
        rig.backend.wait_for_calls(1).await;
        reader.abort();
        rig.pass(secs(15)).await;
        assert_eq!((rig.backend.in_flight(), rig.secrets.stats().in_flight), (0, 0));
        assert!(rig.backend.call_count() <= 3);
    });
}

#[test]
fn c4_dropping_the_last_manager_ends_every_task() {
    block_on(async {
        let rig = Rig::over(
            |backend| backend.with_capabilities(secrets_core::Capabilities::new().with_watch(true)),
            |builder| builder,
        );
        rig.backend.on("hangs", [Answer::hang()]);
        rig.backend.on("held", [Answer::value("v")]);
        rig.backend.on("due", [Answer::value("v"), Answer::hang()]);
        let handle = rig.secrets.handle("held").await.unwrap();
        rig.secrets.get("due").await.unwrap();
        let Rig {
            clock,
            backend,
            secrets,
        } = rig;
        clock.advance(secs(275));
        secrets.get("due").await.unwrap();
        let reader = tokio::spawn({
            let secrets = secrets.clone();
            async move { secrets.get("hangs").await.is_ok() }
        });
        clock.run_for(millis(60)).await;
        let metrics = tokio::runtime::Handle::current().metrics();
        assert!(metrics.num_alive_tasks() >= 4, "fetches, keeper and watcher run");
        reader.abort();
        drop(secrets);
        settle().await;
        assert!(metrics.num_alive_tasks() > 0, "the handle keeps them going");
        drop(handle);
        settle().await;
        assert_eq!(
            (metrics.num_alive_tasks(), backend.in_flight(), clock.sleepers()),
            (0, 0, 0)
        );
    });
}

#[test]
fn c5_waiters_share_the_error_and_do_not_retry_each() {
    block_on(async {
        let rig = Rig::new();
        rig.backend.on("a", [Answer::kind(ErrorKind::PermissionDenied)]);
        let mut readers = JoinSet::new();
        for _ in 0..100 {
            let secrets = rig.secrets.clone();
            readers.spawn(async move { secrets.get("a").await.unwrap_err().kind() });
        }
        while let Some(kind) = readers.join_next().await {
            assert_eq!(kind.unwrap(), ErrorKind::PermissionDenied);
        }
        assert_eq!(rig.backend.call_count(), 1);
    });
}

#[test]
fn c6_a_panic_is_an_error_now_and_nothing_later() {
    block_on(async {
        let rig = Rig::new();
        rig.backend
            .on("a", [Answer::panic("a panic, on purpose"), Answer::value("v")]);
        let mut readers = JoinSet::new();
        for _ in 0..10 {
            let secrets = rig.secrets.clone();
            readers.spawn(async move { secrets.get("a").await.unwrap_err() });
        }
        while let Some(error) = readers.join_next().await {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(
                !error.to_string().contains("on purpose"),
                "the panic's message may hold anything"
            );
        }
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "v");
        assert_eq!((rig.backend.call_count(), rig.secrets.stats().in_flight), (2, 0));
    });
}

#[test]
fn c7_an_invalidated_fetch_is_returned_but_not_cached() {
    block_on(async {
        let rig = Rig::new();
        let gate = Gate::new();
        rig.backend
            .on("a", [Answer::value("old").behind(&gate), Answer::value("new")]);
        let secrets = rig.secrets.clone();
        let before = tokio::spawn(async move { text(&secrets.get("a").await.unwrap()) });
        rig.backend.wait_for_calls(1).await;
        rig.secrets.invalidate("a");
        // Who asks from now on gets what is true from now on, whichever of the two calls ends first.
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "new");
        gate.open();
        assert_eq!(before.await.unwrap(), "old");
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "new");
        assert_eq!(rig.backend.call_count(), 2);
    });
}

#[test]
fn c8_calls_stay_within_the_bound_and_background_work_within_half() {
    block_on(async {
        let rig = Rig::with(|builder| builder.concurrency(8));
        let gate = Gate::new();
        let opened = gate.clone();
        rig.backend.otherwise(move |_| Answer::value("v").behind(&opened));
        let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
        let (secrets, all) = (rig.secrets.clone(), names.clone());
        let cold = tokio::spawn(async move { secrets.get_many(all).await });
        settle().await;
        assert_eq!(rig.backend.in_flight(), 8);
        gate.let_through(100);
        assert!(cold.await.unwrap().iter().all(Result::is_ok));
        assert_eq!(rig.backend.max_in_flight(), 8);

        // All come due; their refreshes are background work.
        rig.clock.advance(secs(269));
        for name in &names {
            rig.secrets.get(name).await.unwrap();
        }
        rig.pass(millis(60)).await;
        assert_eq!(rig.backend.in_flight(), 4);
        assert_eq!(rig.secrets.stats().in_flight, 4);
    });
}

#[test]
fn c8_waiting_for_a_place_counts_towards_the_deadline() {
    block_on(async {
        let rig = Rig::with(|builder| builder.concurrency(1).timeout(secs(10)).attempts(1));
        rig.backend.on("slow", [Answer::hang()]);
        rig.backend.on("slower", [Answer::hang()]);
        rig.backend.on("waits", [Answer::value("v")]);
        let started = rig.clock.monotonic();
        let all = rig
            .clock
            .run(rig.secrets.get_many(["slow", "slower", "waits"]))
            .await;
        assert!(
            all.iter()
                .all(|result| result.as_ref().unwrap_err().kind() == ErrorKind::Timeout)
        );
        assert_eq!(rig.since(started), secs(15));
        assert_eq!(
            rig.backend.asked("waits"),
            0,
            "its place would have come too late"
        );
    });
}

#[test]
fn c10_outside_a_runtime_a_miss_is_a_typed_error_and_a_hit_works() {
    let backend = ScriptedBackend::new();
    backend.on("a", [Answer::value("v")]);
    let secrets = SecretManager::builder(backend).build().unwrap();
    let poll = |reference: &'static str| {
        let mut read = Box::pin(secrets.get(reference));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match read.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => panic!("it has nothing to wait for"),
        }
    };
    let error = poll("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("tokio runtime"), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(secrets.get("a")).unwrap();
    assert_eq!(text(&poll("a").unwrap()), "v");
    assert_eq!(poll("b").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn c10_a_waiter_starts_anew_when_the_leaders_runtime_ends() {
    let backend = ScriptedBackend::new();
    backend.on("a", [Answer::hang(), Answer::value("v")]);
    let secrets = SecretManager::builder(backend.clone()).build().unwrap();
    let leaders = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let leader = secrets.clone();
    leaders.spawn(async move { leader.get("a").await.is_ok() });
    leaders.block_on(backend.wait_for_calls(1));
    block_on(async {
        let waiter = tokio::spawn({
            let secrets = secrets.clone();
            async move { text(&secrets.get("a").await.unwrap()) }
        });
        settle().await;
        assert_eq!(secrets.stats().coalesced, 1);
        leaders.shutdown_background();
        assert_eq!(waiter.await.unwrap(), "v");
    });
    let ends: Vec<CallState> = backend.calls().iter().map(|call| call.state).collect();
    assert_eq!(ends, [CallState::Dropped, CallState::Answered]);
}

#[test]
fn c10_a_waiter_takes_over_from_a_runtime_that_nobody_drives() {
    let clock = FakeClock::new();
    let backend = ScriptedBackend::new().with_clock(clock.clone());
    backend.on("a", [Answer::hang(), Answer::value("v")]);
    let secrets = SecretManager::builder(backend.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    // Driven until the call is under way, then neither driven nor dropped.
    let frozen = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let leader = secrets.clone();
    frozen.spawn(async move { leader.get("a").await.is_ok() });
    frozen.block_on(backend.wait_for_calls(1));
    block_on(async {
        assert_eq!(text(&clock.run(secrets.get("a")).await.unwrap()), "v");
    });
    drop(frozen);
}

#[test]
fn t13_counts_add_up_after_any_concurrency() {
    block_on_threads(async {
        const TASKS: u64 = 8;
        const READS: u64 = 3_000;
        let backend = ScriptedBackend::new();
        backend.otherwise(|asked| match asked.name.as_str() {
            "missing" => Answer::kind(ErrorKind::NotFound),
            "denied" => Answer::kind(ErrorKind::PermissionDenied),
            "down" => Answer::kind(ErrorKind::Unavailable),
            _ => Answer::value("v"),
        });
        let secrets = SecretManager::builder(backend)
            .capacity(4, 1 << 20)
            .retry_delay(millis(0), millis(0))
            .build()
            .unwrap();
        let cancelled = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (secrets, cancelled) = (secrets.clone(), cancelled.clone());
            tasks.spawn(async move {
                let mut rng = task;
                for _ in 0..READS {
                    rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let name =
                        ["a", "b", "c", "d", "e", "f", "missing", "denied", "down"][(rng >> 33) as usize % 9];
                    match (rng >> 50) % 10 {
                        0 => secrets.invalidate(name),
                        // Polled once at the most, then dropped.
                        1 => {
                            let mut read = Box::pin(secrets.get(name));
                            std::future::poll_fn(|cx| {
                                let _ = read.as_mut().poll(cx);
                                std::task::Poll::Ready(())
                            })
                            .await;
                            cancelled.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        _ => {}
                    }
                    let _ = secrets.get(name).await;
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let stats = secrets.stats();
        assert!(cancelled.load(Ordering::Relaxed) > 0);
        assert_eq!(stats.lookups, TASKS * READS);
        assert_eq!(
            stats.hits + stats.misses + stats.negative_hits + stats.stale_served,
            TASKS * READS
        );
        assert!(
            stats.hits > 0 && stats.misses > 0 && stats.negative_hits > 0 && stats.evictions > 0,
            "{stats:?}"
        );
    });
}
