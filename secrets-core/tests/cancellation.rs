//! C3, C4, C10: a read is given up, or its runtime ends, at every point at which it can wait. Nothing is lost by it.

mod common;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use common::*;
use secrets_core::{Clock, Error, ErrorKind, FakeClock, SecretManager, SecretStats};
use secrets_testkit::Answer;

/// One way to ask for the secret `a`.
type Ask = fn(SecretManager) -> Pin<Box<dyn Future<Output = bool> + Send>>;

const ASKS: [(&str, Ask); 7] = [
    ("get", |secrets| {
        Box::pin(async move { secrets.get("a").await.is_ok() })
    }),
    ("get_optional", |secrets| {
        Box::pin(async move { secrets.get_optional("a").await.is_ok() })
    }),
    ("get_many", |secrets| {
        Box::pin(async move { secrets.get_many(["a", "b"]).await.iter().all(Result::is_ok) })
    }),
    ("require", |secrets| {
        Box::pin(async move { secrets.require(["a", "b"]).await.is_ok() })
    }),
    ("exists", |secrets| {
        Box::pin(async move { secrets.exists("a").await.is_ok() })
    }),
    ("refresh", |secrets| {
        Box::pin(async move { secrets.refresh("a").await.is_ok() })
    }),
    ("handle", |secrets| {
        Box::pin(async move { secrets.handle("a").await.is_ok() })
    }),
];

/// The way to the value leads past every wait there is: for a place, which another call has; for the next attempt; for the
/// pause that the store asks for; for the call itself.
fn rig() -> Rig {
    let rig = Rig::with(|builder| builder.concurrency(1));
    let throttled = Error::new(ErrorKind::RateLimited, "slow down").with_retry_after(secs(2));
    rig.backend.on(
        "a",
        [
            Answer::kind(ErrorKind::Unavailable).after(secs(1)),
            Answer::from(throttled),
            Answer::value("v").after(secs(1)),
        ],
    );
    rig.backend.on("b", [Answer::value("v")]);
    rig.backend.on("slow", [Answer::value("v").after(secs(1))]);
    rig
}

/// A point of a read: so many times of waiting done with, and so many turns of its tasks after that.
#[derive(Clone, Copy, Debug)]
struct Point {
    waits: usize,
    turns: usize,
}

/// More of each than any of these reads takes.
fn points() -> impl Iterator<Item = Point> {
    (0..10).flat_map(|waits| (0..6).map(move |turns| Point { waits, turns }))
}

async fn reach(point: Point, clock: &FakeClock) {
    for _ in 0..point.waits {
        settle().await;
        if let Some(wake) = clock.next_wake() {
            clock.advance(wake.saturating_sub(clock.monotonic()));
        }
    }
    for _ in 0..point.turns {
        tokio::task::yield_now().await;
    }
}

fn assert_sums(stats: &SecretStats, context: &dyn std::fmt::Debug) {
    let SecretStats {
        lookups,
        hits,
        misses,
        negative_hits,
        stale_served,
        ..
    } = *stats;
    assert_eq!(
        hits + misses + negative_hits + stale_served,
        lookups,
        "{context:?}"
    );
    assert_eq!(stats.in_flight, 0, "{context:?}");
}

/// Everything comes to rest, and a later read gets the value.
async fn recovers(rig: &Rig, context: &dyn std::fmt::Debug) {
    // Longer than the deadline of any fetch.
    rig.pass(secs(20)).await;
    assert_eq!(rig.backend.in_flight(), 0, "{context:?}");
    assert_eq!(rig.text("a").await, "v", "{context:?}");
    assert_eq!(rig.text("a").await, "v", "{context:?}");
    assert!(rig.secrets.stats().hits > 0, "{context:?}");
}

#[test]
fn c3_c4_a_read_given_up_at_any_point_costs_nobody_anything() {
    for (ask, asked) in ASKS {
        let mut cut_short = 0;
        for point in points() {
            block_on(async {
                let context = (ask, point);
                let rig = rig();
                let slow = tokio::spawn({
                    let secrets = rig.secrets.clone();
                    async move { secrets.get("slow").await.is_ok() }
                });
                rig.backend.wait_for_calls(1).await;
                let reader = tokio::spawn(asked(rig.secrets.clone()));
                // Somebody else waits for the same.
                let other = tokio::spawn({
                    let secrets = rig.secrets.clone();
                    async move { secrets.get("a").await.map(|secret| text(&secret)) }
                });
                reach(point, &rig.clock).await;
                reader.abort();
                cut_short += usize::from(reader.await.is_err());
                let other = rig.clock.run(other).await.unwrap();
                // A refresh makes one attempt, and the other may have joined another fetch than that.
                assert_eq!(other.unwrap(), "v", "{context:?}");
                assert!(rig.clock.run(slow).await.unwrap(), "{context:?}");
                recovers(&rig, &context).await;
                let calls = rig.backend.asked("a");
                assert!(
                    calls <= 3 + usize::from(ask == "refresh"),
                    "{context:?}: {calls} calls"
                );
                assert_sums(&rig.secrets.stats(), &context);
                rig.secrets.shutdown().await.unwrap();
                settle().await;
                let metrics = tokio::runtime::Handle::current().metrics();
                assert_eq!(
                    (metrics.num_alive_tasks(), rig.clock.sleepers()),
                    (0, 0),
                    "{context:?}"
                );
            });
        }
        assert!(
            cut_short > 10,
            "{ask}: {cut_short} of them were given up on the way"
        );
    }
}

#[test]
fn c10_a_runtime_that_ends_at_any_point_costs_the_next_nothing() {
    for (ask, asked) in ASKS {
        for point in points() {
            let context = (ask, point);
            let rig = rig();
            block_on(async {
                drop(tokio::spawn(asked(rig.secrets.clone())));
                reach(point, &rig.clock).await;
            });
            // That runtime is gone, with the task that fetched.
            block_on(async {
                recovers(&rig, &context).await;
                assert_sums(&rig.secrets.stats(), &context);
            });
        }
    }
}

#[test]
fn c10_a_reader_on_another_runtime_goes_on_when_the_one_that_fetches_ends_at_any_point() {
    for point in points() {
        let rig = rig();
        let first = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let second = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        first.block_on(async {
            drop(tokio::spawn({
                let secrets = rig.secrets.clone();
                async move { secrets.get("a").await.is_ok() }
            }));
            tokio::task::yield_now().await;
        });
        // Waits for the first one's fetch from here.
        let reader = second.spawn({
            let secrets = rig.secrets.clone();
            async move { secrets.get("a").await.map(|secret| text(&secret)) }
        });
        second.block_on(settle());
        first.block_on(reach(point, &rig.clock));
        drop(first);
        let lost = rig.clock.monotonic();
        let read = second.block_on(rig.clock.run(reader)).unwrap();
        assert_eq!(read.unwrap(), "v", "{point:?}");
        // It did not wait for the lost one's deadline, nor ask after it again and again.
        assert!(rig.since(lost) < secs(10), "{point:?}: {:?}", rig.since(lost));
        assert!(rig.secrets.stats().coalesced <= 2, "{point:?}");
        second.block_on(recovers(&rig, &point));
        assert_sums(&rig.secrets.stats(), &point);
    }
}

/// A stale value is at hand: the read waits for half a second at the most, and may be given up in it.
#[test]
fn c4_a_read_that_may_fall_back_is_given_up_at_any_point() {
    for point in points() {
        block_on(async {
            let rig = Rig::with(|builder| builder.ttl(secs(60)).ttl_jitter(0.0).refresh_ahead(false));
            rig.backend
                .on("a", [Answer::value("v"), Answer::value("w").after(secs(4))]);
            rig.get("a").await.unwrap();
            rig.clock.advance(secs(60));
            let reader = tokio::spawn({
                let secrets = rig.secrets.clone();
                async move { secrets.get("a").await.is_ok() }
            });
            reach(point, &rig.clock).await;
            reader.abort();
            settle().await;
            rig.pass(Duration::from_secs(5)).await;
            assert!(["v", "w"].contains(&rig.text("a").await.as_str()), "{point:?}");
            rig.pass(Duration::from_secs(5)).await;
            assert_eq!(rig.text("a").await, "w", "{point:?}");
            assert_eq!(rig.backend.call_count(), 2, "{point:?}");
            assert_sums(&rig.secrets.stats(), &point);
        });
    }
}

#[test]
fn c10_o7_a_probe_that_is_lost_with_its_runtime_is_followed_by_another() {
    let rig = Rig::with(|builder| builder.breaker(1, secs(5), secs(60)));
    rig.backend.on(
        "a",
        [
            Answer::kind(ErrorKind::Unauthenticated),
            Answer::hang(),
            Answer::value("v"),
        ],
    );
    block_on(async {
        assert_eq!(rig.kind("a").await, ErrorKind::Unauthenticated);
        assert_eq!(rig.kind("a").await, ErrorKind::Unavailable, "the breaker is open");
        rig.pass(secs(5)).await;
        let probe = rig.secrets.clone();
        drop(tokio::spawn(async move { probe.get("a").await.is_ok() }));
        rig.backend.wait_for_calls(2).await;
    });
    // The runtime is gone, and the probe with it.
    block_on(async { assert_eq!(rig.text("a").await, "v") });
}
