//! The laws of cache and time, T1 to T12 and T15, and those of names and fields that the manager keeps.

mod common;

use std::time::{Duration, SystemTime};

use common::*;
use secrets_core::{
    Clock, ErrorKind, Field, Lease, Metadata, Secret, SecretManager, SecretName, SecretProbe, Version,
};
use secrets_testkit::{Answer, Gate, MemoryBackend, ScriptedBackend};

const TTL: Duration = Duration::from_secs(300);

fn exactly(builder: secrets_core::SecretManagerBuilder) -> secrets_core::SecretManagerBuilder {
    builder.ttl(TTL).ttl_jitter(0.0).refresh_ahead(false)
}

fn leased(value: &str, seconds: u64) -> Answer {
    let lease = Lease::new("lease/1", secs(seconds), true);
    Secret::copy_from(value.as_bytes())
        .with_metadata(Metadata::new().with_lease(lease))
        .into()
}

#[test]
fn t1_a_value_is_fresh_strictly_before_its_ttl() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::value("1"), Answer::value("2")]);
        assert_eq!(rig.text("a").await, "1");
        rig.clock.advance(TTL.saturating_sub(Duration::from_nanos(1)));
        assert_eq!(rig.text("a").await, "1");
        rig.clock.advance(Duration::from_nanos(1));
        assert_eq!(rig.text("a").await, "2");
    });
}

#[test]
fn t2_a_ttl_of_zero_keeps_nothing() {
    block_on(async {
        let rig = Rig::with(|builder| builder.ttl(Duration::ZERO));
        rig.backend.on(
            "a",
            [
                Answer::value("1"),
                Answer::value("2"),
                Answer::kind(ErrorKind::Unavailable),
            ],
        );
        rig.backend.on("missing", [Answer::kind(ErrorKind::NotFound)]);
        let first = rig.get("a").await.unwrap();
        let probe = first.probe();
        drop(first);
        assert!(!probe.is_alive());
        assert_eq!(rig.text("a").await, "2");
        assert_eq!(
            rig.kind("a").await,
            ErrorKind::Unavailable,
            "nothing stale is left to serve"
        );
        for calls in 1..=3 {
            assert_eq!(rig.kind("missing").await, ErrorKind::NotFound);
            assert_eq!(rig.backend.asked("missing"), calls);
        }
        assert_eq!(rig.secrets.stats().entries, 0);
    });
}

#[test]
fn t2_single_flight_stays_with_a_ttl_of_zero() {
    block_on(async {
        let rig = Rig::with(|builder| builder.ttl(Duration::ZERO));
        let gate = Gate::new();
        rig.backend.on("a", [Answer::value("v").behind(&gate)]);
        let readers: Vec<_> = (0..50)
            .map(|_| {
                let secrets = rig.secrets.clone();
                tokio::spawn(async move { secrets.get("a").await.is_ok() })
            })
            .collect();
        settle().await;
        gate.open();
        for reader in readers {
            assert!(reader.await.unwrap());
        }
        assert_eq!(rig.backend.call_count(), 1);
    });
}

#[test]
fn t2_options_out_of_range_are_refused_at_build() {
    type Configure = fn(secrets_core::SecretManagerBuilder) -> secrets_core::SecretManagerBuilder;
    let cases: [(&str, Configure); 15] = [
        ("ttl", |b| b.ttl(millis(99))),
        ("ttl", |b| b.ttl(Duration::MAX)),
        ("ttl_jitter", |b| b.ttl_jitter(0.6)),
        ("ttl_jitter", |b| b.ttl_jitter(f64::NAN)),
        ("attempts", |b| b.attempts(0)),
        ("retry_delay", |b| b.retry_delay(secs(2), secs(1))),
        ("timeout", |b| b.timeout(Duration::ZERO)),
        ("deadline", |b| b.timeout(secs(5)).deadline(secs(4))),
        ("deadline", |b| b.deadline(Duration::MAX)),
        ("concurrency", |b| b.concurrency(0)),
        ("concurrency", |b| b.concurrency(usize::MAX)),
        ("capacity", |b| b.capacity(0, 1)),
        ("negative_ttl", |b| b.negative_ttl(secs(2), secs(1))),
        ("stale_if_error", |b| b.stale_if_error(Duration::MAX)),
        ("breaker", |b| b.breaker(1, Duration::ZERO, secs(1))),
    ];
    for (option, configure) in cases {
        let error = configure(SecretManager::builder(MemoryBackend::new()))
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.message().starts_with(option), "{error}");
    }
    assert!(
        SecretManager::builder(MemoryBackend::new())
            .ttl(millis(100))
            .build()
            .is_ok()
    );
}

#[test]
fn t3_the_shortest_of_ttl_lease_and_expiry_counts() {
    block_on(async {
        let rig = Rig::with(exactly);
        let expires = rig.clock.wall() + secs(20);
        let expiring = Secret::copy_from(b"1").with_metadata(Metadata::new().with_expires(expires));
        rig.backend.on("lease", [leased("1", 10), leased("2", 10_000)]);
        rig.backend
            .on("expiry", [Answer::from(expiring), Answer::value("2")]);
        for (name, seconds) in [("expiry", 20), ("lease", 10)] {
            assert_eq!(rig.text(name).await, "1");
            let calls = rig.backend.asked(name);
            rig.clock.advance(secs(seconds).saturating_sub(millis(1)));
            assert_eq!(
                (rig.text(name).await, rig.backend.asked(name)),
                ("1".into(), calls)
            );
            rig.clock.advance(millis(1));
            assert_eq!(rig.text(name).await, "2");
        }
        // A long lease does not prolong the TTL.
        rig.clock.advance(TTL);
        rig.get("lease").await.unwrap();
        assert_eq!(rig.backend.asked("lease"), 3);
    });
}

#[test]
fn t3_an_expiry_already_past_is_kept_for_one_second() {
    block_on(async {
        let rig = Rig::with(exactly);
        let past = Metadata::new().with_expires(SystemTime::UNIX_EPOCH);
        rig.backend.on("a", [Secret::copy_from(b"v").with_metadata(past)]);
        rig.get("a").await.unwrap();
        rig.clock.advance(millis(999));
        rig.get("a").await.unwrap();
        assert_eq!(rig.backend.call_count(), 1);
        rig.clock.advance(millis(1));
        rig.get("a").await.unwrap();
        assert_eq!(rig.backend.call_count(), 2);
    });
}

#[test]
fn t4_jitter_is_downward_bounded_and_repeatable() {
    // When the value of each name ends, found by reading at every second.
    let ends = |seed| {
        block_on(async move {
            let rig = Rig::with(|builder| builder.refresh_ahead(false).seed(seed));
            rig.backend.otherwise(|_| Answer::value("v"));
            let names: Vec<String> = (0..50).map(|n| format!("n{n}")).collect();
            rig.secrets.get_many(&names).await;
            rig.clock.advance(secs(269));
            let mut ends = vec![None; names.len()];
            for second in 269..=300 {
                for (name, end) in names.iter().zip(&mut ends) {
                    rig.get(name).await.unwrap();
                    if end.is_none() && rig.backend.asked(name) == 2 {
                        *end = Some(second);
                    }
                }
                rig.clock.advance(secs(1));
            }
            ends.into_iter().map(Option::unwrap).collect::<Vec<u64>>()
        })
    };
    let one = ends(1);
    assert!(one.iter().all(|&end| (270..=300).contains(&end)), "{one:?}");
    assert!(
        one.iter().max().unwrap() - one.iter().min().unwrap() > 15,
        "spread over the band: {one:?}"
    );
    assert_eq!(one, ends(1));
    assert_ne!(one, ends(2));
}

#[test]
fn t5_one_refresh_ahead_of_time_while_hits_are_served() {
    block_on(async {
        let rig = Rig::with(|builder| builder.ttl_jitter(0.0));
        let gate = Gate::new();
        rig.backend
            .on("a", [Answer::value("1"), Answer::value("2").behind(&gate)]);
        rig.get("a").await.unwrap();
        rig.clock.advance(secs(179));
        rig.get("a").await.unwrap();
        rig.pass(millis(60)).await;
        assert_eq!(rig.backend.call_count(), 1, "never before 60 %");
        rig.clock.advance(secs(91));
        for _ in 0..1_000 {
            assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "1");
        }
        rig.pass(millis(60)).await;
        assert_eq!(rig.backend.call_count(), 2, "at 90 % at the latest, and once");
        for _ in 0..1_000 {
            assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "1");
        }
        gate.open();
        settle().await;
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "2");
        assert_eq!((rig.backend.call_count(), rig.secrets.stats().refreshes), (2, 1));
    });
}

#[test]
fn t5_refreshes_after_a_cold_load_are_spread_and_gathered() {
    block_on(async {
        let batch = std::num::NonZeroUsize::new(20);
        let rig = Rig::over(
            |backend| backend.with_batch(batch),
            |builder| builder.ttl_jitter(0.0),
        );
        rig.backend.otherwise(|_| Answer::value("v"));
        let names: Vec<String> = (0..100).map(|n| format!("n{n}")).collect();
        assert!(rig.secrets.get_many(&names).await.iter().all(Result::is_ok));
        assert_eq!(rig.backend.call_count(), 5, "a cold load takes pages");
        rig.backend.forget_calls();
        rig.clock.advance(secs(180));
        let mut per_second = Vec::new();
        for _ in 180..=270 {
            let before = rig.backend.call_count();
            for name in &names {
                rig.secrets.get(name).await.unwrap();
            }
            rig.pass(secs(1)).await;
            per_second.push(rig.backend.call_count() - before);
        }
        let asked: usize = rig.backend.calls().iter().map(|call| call.requests.len()).sum();
        assert_eq!(asked, 100, "each once");
        assert!(
            per_second.iter().all(|&calls| calls <= 1),
            "those of one moment share a call: {per_second:?}"
        );
        assert!(
            per_second.iter().filter(|&&calls| calls > 0).count() > 30,
            "spread: {per_second:?}"
        );
    });
}

#[test]
fn t6_jumps_of_the_wall_clock_neither_extend_nor_expire() {
    block_on(async {
        let rig = Rig::with(exactly);
        let expires = rig.clock.wall() + secs(100);
        let expiring = Secret::copy_from(b"1").with_metadata(Metadata::new().with_expires(expires));
        rig.backend.on("a", [Answer::from(expiring), Answer::value("2")]);
        rig.get("a").await.unwrap();
        rig.clock.set_wall(rig.clock.wall() + secs(86_400));
        assert_eq!(rig.text("a").await, "1");
        rig.clock.set_wall(SystemTime::UNIX_EPOCH);
        rig.clock.advance(secs(99));
        assert_eq!(rig.text("a").await, "1");
        rig.clock.advance(secs(1));
        assert_eq!(rig.text("a").await, "2");
    });
}

#[test]
fn t7_time_asleep_ends_leases_but_not_ttls() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("plain", [Answer::value("1"), Answer::value("2")]);
        rig.backend.on("leased", [leased("1", 200), leased("2", 200)]);
        rig.get("plain").await.unwrap();
        rig.get("leased").await.unwrap();
        rig.clock.suspend(secs(250));
        // Within a second of waking.
        rig.clock.advance(secs(1));
        assert_eq!(rig.text("leased").await, "2");
        assert_eq!(rig.text("plain").await, "1");
    });
}

#[test]
fn t8_absence_is_remembered_for_a_doubling_while_and_forgotten_on_demand() {
    block_on(async {
        let rig = Rig::new();
        rig.backend.on("a", [Answer::kind(ErrorKind::NotFound)]);
        let mut waits = Vec::new();
        let mut last = rig.clock.monotonic();
        for calls in 1..=7 {
            while rig.backend.call_count() < calls {
                assert_eq!(rig.kind("a").await, ErrorKind::NotFound);
                if rig.backend.call_count() < calls {
                    rig.clock.advance(secs(1));
                }
            }
            waits.push(rig.since(last).as_secs());
            last = rig.clock.monotonic();
        }
        assert_eq!(waits, [0, 5, 10, 20, 40, 60, 60]);
        assert!(rig.secrets.stats().negative_hits > 0);
        rig.backend.on("a", [Answer::value("created")]);
        rig.secrets.invalidate("a");
        assert_eq!(rig.text("a").await, "created");
    });
}

#[test]
fn t9_no_other_error_is_absence() {
    block_on(async {
        for kind in [
            ErrorKind::Disabled,
            ErrorKind::Internal,
            ErrorKind::InvalidData,
            ErrorKind::PermissionDenied,
            ErrorKind::Timeout,
            ErrorKind::Unauthenticated,
            ErrorKind::Unavailable,
            ErrorKind::VersionNotFound,
        ] {
            let rig = Rig::with(|builder| builder.breaker(0, secs(1), secs(1)));
            rig.backend.on("a", [Answer::kind(kind)]);
            for _ in 0..2 {
                let error = rig.clock.run(rig.secrets.get_optional("a")).await.unwrap_err();
                assert_eq!(error.kind(), kind);
                assert_eq!(
                    rig.clock.run(rig.secrets.exists("a")).await.unwrap_err().kind(),
                    kind
                );
            }
            assert_eq!(rig.secrets.stats().negative_hits, 0);
        }
    });
}

#[test]
fn t10_capacity_holds_and_what_is_used_stays() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).capacity(100, 1 << 20));
        rig.backend.otherwise(|_| Answer::value("v"));
        rig.get("favourite").await.unwrap();
        for n in 0..1_000 {
            rig.get(&format!("n{n}")).await.unwrap();
            rig.get("favourite").await.unwrap();
            assert!(rig.secrets.stats().entries <= 100);
        }
        assert_eq!(
            rig.backend.asked("favourite"),
            1,
            "read all the time, it is never evicted"
        );
        let stats = rig.secrets.stats();
        assert_eq!((stats.evictions, stats.entries), (901, 100));
    });
}

#[test]
fn t10_a_refresh_does_not_make_a_used_value_look_unused() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).capacity(2, 1 << 20));
        rig.backend.otherwise(|_| Answer::value("v"));
        rig.get("used").await.unwrap();
        rig.get("unused").await.unwrap();
        rig.get("used").await.unwrap();
        rig.secrets.refresh("used").await.unwrap();
        rig.get("another").await.unwrap();
        let calls = rig.backend.call_count();
        rig.get("used").await.unwrap();
        assert_eq!(rig.backend.call_count(), calls, "the unused one made way");
    });
}

#[test]
fn t10_bytes_are_bounded_too_and_an_oversized_value_is_not_cached() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).capacity(1_000, 1_000));
        rig.backend
            .otherwise(|asked| Answer::value(vec![b'v'; asked.name.as_str().len().min(2) * 300]));
        rig.backend.on("huge", [Answer::value(vec![b'v'; 1_001])]);
        for n in 0..9 {
            rig.get(&n.to_string()).await.unwrap();
        }
        assert_eq!(rig.secrets.stats().entries, 3, "300 bytes each");
        rig.get("huge").await.unwrap();
        rig.get("huge").await.unwrap();
        assert_eq!(rig.backend.asked("huge"), 2);
    });
}

#[test]
fn t10_eviction_never_drops_a_fetch_in_flight() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).capacity(1, 1 << 20));
        let gate = Gate::new();
        rig.backend.on("slow", [Answer::value("v").behind(&gate)]);
        rig.backend.otherwise(|_| Answer::value("v"));
        let secrets = rig.secrets.clone();
        let slow = tokio::spawn(async move { secrets.get("slow").await.is_ok() });
        rig.backend.wait_for_calls(1).await;
        for n in 0..50 {
            rig.get(&format!("n{n}")).await.unwrap();
        }
        let secrets = rig.secrets.clone();
        let joins = tokio::spawn(async move { secrets.get("slow").await.is_ok() });
        settle().await;
        gate.open();
        assert!(slow.await.unwrap() && joins.await.unwrap());
        assert_eq!(rig.backend.asked("slow"), 1);
    });
}

#[test]
fn t11_r3_name_version_and_field_are_part_of_the_key() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.otherwise(|asked| {
            let version = asked.version.as_ref().map_or("latest", Version::as_str);
            Answer::value(format!(r#"{{"f":"{}@{version}","g":"g"}}"#, asked.name))
        });
        for _ in 0..2 {
            for (reference, value) in [
                ("a#f", "a@latest"),
                ("a?version=1#f", "a@1"),
                ("a?version=2#f", "a@2"),
                ("b#f", "b@latest"),
                ("a#g", "g"),
            ] {
                assert_eq!(rig.text(reference).await, value);
            }
        }
        assert_eq!(rig.backend.call_count(), 4);
        let pinned = rig
            .secrets
            .get_version("a", &Version::new("1").unwrap())
            .await
            .unwrap();
        assert!(text(&pinned).contains("a@1"));
        assert_eq!(rig.backend.call_count(), 4);
    });
}

#[test]
fn t12_refresh_makes_one_attempt_and_returns_what_it_brings() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on(
            "a",
            [
                Answer::value("1"),
                Answer::value("2"),
                Answer::kind(ErrorKind::Unavailable),
            ],
        );
        assert_eq!(rig.text("a").await, "1");
        assert_eq!(text(&rig.secrets.refresh("a").await.unwrap()), "2");
        assert_eq!(rig.text("a").await, "2");
        assert!(
            !rig.backend.calls()[1].requests[0].known,
            "it passes nothing known"
        );
        assert_eq!(
            rig.secrets.refresh("a").await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(rig.backend.call_count(), 3);
        assert_eq!(
            rig.text("a").await,
            "2",
            "a store that cannot be reached takes nothing away"
        );
    });
}

#[test]
fn t12_refresh_goes_past_back_off_and_breaker() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).breaker(1, secs(60), secs(60)).attempts(1));
        rig.backend.on(
            "a",
            [Answer::kind(ErrorKind::PermissionDenied), Answer::value("v")],
        );
        rig.backend
            .on("b", [Answer::kind(ErrorKind::Unavailable), Answer::value("v")]);
        assert_eq!(rig.kind("a").await, ErrorKind::PermissionDenied);
        assert_eq!(text(&rig.secrets.refresh("a").await.unwrap()), "v");
        assert_eq!(rig.text("a").await, "v");
        assert_eq!(rig.kind("b").await, ErrorKind::Unavailable);
        let error = rig.get("b").await.unwrap_err();
        assert!(
            error.message().contains("circuit breaker") && error.retry_after().is_some(),
            "{error}"
        );
        assert_eq!(text(&rig.secrets.refresh("b").await.unwrap()), "v");
        assert!(
            rig.get("c").await.unwrap_err().kind() == ErrorKind::NotFound,
            "its success closed the breaker"
        );
    });
}

/// Reads a value and lets go of it; what is left of it is the cache's.
async fn cached(rig: &Rig, reference: &str) -> SecretProbe {
    let probe = rig.get(reference).await.unwrap().probe();
    assert!(probe.is_alive());
    probe
}

#[test]
fn t15_every_way_a_value_leaves_drops_it_at_once() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).capacity(3, 1 << 20));
        rig.backend.otherwise(|_| Answer::value(r#"{"f":"v"}"#));

        let (whole, field) = (cached(&rig, "a").await, cached(&rig, "a#f").await);
        rig.secrets.invalidate("a");
        assert!(!whole.is_alive() && !field.is_alive(), "invalidate");

        let (whole, field) = (cached(&rig, "a").await, cached(&rig, "a#f").await);
        rig.secrets.invalidate_all();
        assert!(!whole.is_alive() && !field.is_alive(), "invalidate_all");

        let (whole, field) = (cached(&rig, "a").await, cached(&rig, "a#f").await);
        rig.secrets.refresh("a").await.unwrap();
        settle().await;
        assert!(!whole.is_alive() && !field.is_alive(), "replacement");

        rig.secrets.invalidate_all();
        let evicted = cached(&rig, "a").await;
        let others = [
            cached(&rig, "b").await,
            cached(&rig, "c").await,
            cached(&rig, "d").await,
        ];
        settle().await;
        assert!(
            !evicted.is_alive() && others.iter().all(SecretProbe::is_alive),
            "eviction"
        );

        rig.backend.on("d", [Answer::kind(ErrorKind::NotFound)]);
        rig.secrets.refresh("d").await.unwrap_err();
        settle().await;
        assert!(!others[2].is_alive(), "the store says that it is gone");

        rig.secrets.shutdown().await.unwrap();
        assert!(others.iter().all(|probe| !probe.is_alive()), "shutdown");

        let rig = Rig::with(exactly);
        rig.backend.otherwise(|_| Answer::value("v"));
        let last = cached(&rig, "a").await;
        drop(rig.secrets);
        assert!(!last.is_alive(), "the last manager's end");
    });
}

#[test]
fn t15_a_readers_clone_is_the_readers() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on(
            "a",
            [
                Answer::value("v"),
                Answer::value("the script keeps its last answer"),
            ],
        );
        let kept = rig.get("a").await.unwrap();
        rig.secrets.invalidate_all();
        settle().await;
        assert_eq!(text(&kept), "v");
        let probe = kept.probe();
        drop(kept);
        assert!(!probe.is_alive());
    });
}

#[test]
fn j6_j7_all_fields_of_one_call_come_from_one_call_and_one_version() {
    block_on(async {
        let rig = Rig::with(exactly);
        let document = |n: u32| Answer::value(format!(r#"{{"user":"u{n}","password":"p{n}"}}"#));
        rig.backend.on("db", (1..=9).map(document));
        let read = ["db#user", "db#password", "db", "db#user", "db#nothing"];
        let results = rig.secrets.get_many(read).await;
        let texts: Vec<_> = results[..2]
            .iter()
            .map(|result| text(result.as_ref().unwrap()))
            .collect();
        assert_eq!(texts, ["u1", "p1"]);
        assert_eq!(results[4].as_ref().unwrap_err().kind(), ErrorKind::FieldNotFound);
        assert_eq!(rig.backend.call_count(), 1);
        assert_eq!(rig.secrets.stats().lookups, 5);

        // One field is in the hot map, the other is not; the secret rotates in between.
        rig.secrets.refresh("db").await.unwrap();
        assert_eq!(rig.text("db#user").await, "u2");
        let results = rig.secrets.get_many(["db#user", "db#password"]).await;
        let texts: Vec<_> = results
            .iter()
            .map(|result| text(result.as_ref().unwrap()))
            .collect();
        assert_eq!(texts, ["u2", "p2"]);
    });
}

#[test]
fn j6_no_torn_pair_is_ever_read_while_a_secret_rotates() {
    block_on_threads(async {
        let backend = MemoryBackend::new();
        let store = backend.store();
        store.put("db", r#"{"user":"0","password":"0"}"#);
        let secrets = SecretManager::builder(backend).build().unwrap();
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let secrets = secrets.clone();
            readers.spawn(async move {
                for _ in 0..2_000 {
                    let pair = secrets.get_many(["db#user", "db#password"]).await;
                    let [user, password] = pair.as_slice() else {
                        panic!("two were asked for")
                    };
                    assert_eq!(text(user.as_ref().unwrap()), text(password.as_ref().unwrap()));
                }
            });
        }
        for n in 1..500 {
            store.put("db", format!(r#"{{"user":"{n}","password":"{n}"}}"#));
            if n % 2 == 0 {
                secrets.invalidate("db");
            } else {
                secrets.refresh("db").await.unwrap();
            }
        }
        while let Some(reader) = readers.join_next().await {
            reader.unwrap();
        }
    });
}

#[test]
fn fields_of_a_secret_share_its_entry_and_leave_with_it() {
    block_on(async {
        let rig = Rig::with(exactly);
        let fields = vec![
            Field::new("user", b"u".to_vec()),
            Field::new("password", b"p".to_vec()),
        ];
        rig.backend.on("db", [Secret::from_fields(fields, "value")]);
        assert_eq!(rig.text("db#user").await, "u");
        assert_eq!(rig.text("db#password").await, "p");
        assert_eq!(rig.text("db").await, r#"{"user":"u","password":"p"}"#);
        assert_eq!((rig.backend.call_count(), rig.secrets.stats().entries), (1, 3));
        rig.secrets.invalidate("db");
        assert_eq!(rig.secrets.stats().entries, 0);
    });
}

#[test]
fn known_values_may_be_found_unchanged() {
    block_on(async {
        let rig = Rig::with(exactly);
        let renewed = Lease::new("lease/1", secs(50), true);
        rig.backend
            .on("a", [Answer::value("v"), Answer::unchanged(Some(renewed), None)]);
        let first = rig.get("a").await.unwrap();
        rig.clock.advance(TTL);
        let second = rig.get("a").await.unwrap();
        assert!(rig.backend.calls()[1].requests[0].known);
        assert_eq!(text(&second), text(&first));
        assert_eq!(second.metadata().lease().unwrap().duration(), secs(50));
        rig.clock.advance(secs(49));
        rig.get("a").await.unwrap();
        assert_eq!(rig.backend.call_count(), 2);
    });
}

#[test]
fn unchanged_for_nobody_is_the_backends_defect() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::unchanged(None, None)]);
        assert_eq!(rig.kind("a").await, ErrorKind::Internal);
    });
}

#[test]
fn e6_a_batch_gives_one_result_each_and_duplicates_cost_nothing() {
    block_on(async {
        let batch = std::num::NonZeroUsize::new(20);
        let rig = Rig::over(|backend| backend.with_batch(batch), exactly);
        rig.backend.otherwise(|_| Answer::value("v"));
        rig.backend.on("missing", [Answer::kind(ErrorKind::NotFound)]);
        rig.backend
            .on("denied", [Answer::kind(ErrorKind::PermissionDenied)]);
        let asked = ["a", "missing", "../bad", "a", "denied", "b"];
        let kinds: Vec<_> = rig
            .secrets
            .get_many(asked)
            .await
            .into_iter()
            .map(|result| result.err().map(|e| e.kind()))
            .collect();
        assert_eq!(
            kinds,
            [
                None,
                Some(ErrorKind::NotFound),
                Some(ErrorKind::InvalidName),
                None,
                Some(ErrorKind::PermissionDenied),
                None
            ]
        );
        assert_eq!(rig.backend.call_count(), 1);
        assert_eq!(
            rig.secrets.stats().lookups,
            5,
            "a malformed reference is no lookup"
        );

        rig.backend.answer_batches_with(1);
        rig.secrets.invalidate_all();
        for result in rig.secrets.get_many(["a", "b"]).await {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
        }
    });
}

#[test]
fn l2_require_names_everything_that_is_missing() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("there", [Answer::value(r#"{"f":1}"#)]);
        rig.secrets.require(["there", "there#f"]).await.unwrap();
        let calls = rig.backend.call_count();
        rig.get("there").await.unwrap();
        assert_eq!(rig.backend.call_count(), calls, "the cache is warm");

        let error = rig
            .secrets
            .require(["there", "smtp/key", "there#g", "db/password"])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let missing: Vec<_> = error.missing().iter().map(SecretName::as_str).collect();
        assert_eq!(missing, ["smtp/key", "there", "db/password"]);
        for name in ["smtp/key", "there#g", "db/password"] {
            assert!(error.to_string().contains(name), "{error}");
        }

        rig.backend
            .on("refused", [Answer::kind(ErrorKind::PermissionDenied)]);
        let error = rig.secrets.require(["smtp/key", "refused"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(
            error.to_string().contains("smtp/key") && error.to_string().contains("refused"),
            "{error}"
        );
        assert_eq!(rig.secrets.stats().lookups, 1, "require is no lookup");
    });
}

#[test]
fn l1_only_absence_makes_an_optional_secret_none() {
    block_on(async {
        let rig = Rig::with(exactly);
        let smtp = secrets_core::ConfigSecretLoader::new(&rig.secrets, "smtp");
        rig.backend.on("smtp/api-key", [Answer::value("k")]);
        rig.backend.on("smtp/doc", [Answer::value(r#"{"a":"1"}"#)]);
        rig.backend
            .on("smtp/down", [Answer::kind(ErrorKind::Unauthenticated)]);
        assert_eq!(text(&smtp.load("api-key").await.unwrap()), "k");
        assert_eq!(text(&smtp.load("doc#a").await.unwrap()), "1");
        assert!(smtp.load_optional("missing").await.unwrap().is_none());
        assert!(smtp.load_optional("doc#b").await.unwrap().is_none());
        assert_eq!(
            smtp.load_optional("down").await.unwrap_err().kind(),
            ErrorKind::Unauthenticated
        );
        assert_eq!(
            smtp.load("missing").await.unwrap_err().secret().unwrap().as_str(),
            "smtp/missing"
        );
        for bad in ["../x", "", "/x", "#f", "x?y"] {
            assert_eq!(
                smtp.load(bad).await.unwrap_err().kind(),
                ErrorKind::InvalidName,
                "{bad:?}"
            );
        }
        let broken = secrets_core::ConfigSecretLoader::new(&rig.secrets, "a//b");
        assert_eq!(broken.load("x").await.unwrap_err().kind(), ErrorKind::InvalidName);
    });
}

#[test]
fn l3_a_resolved_value_is_never_expanded_again() {
    block_on(async {
        let rig = Rig::with(exactly);
        for value in ["${OTHER}", "smtp/other#f", "file:///etc/passwd", "{{ other }}"] {
            rig.backend.on("a", [Answer::value(value)]);
            rig.secrets.invalidate("a");
            assert_eq!(rig.text("a").await, value);
        }
        assert!(
            rig.backend
                .calls()
                .iter()
                .all(|call| call.requests[0].name.as_str() == "a")
        );
    });
}

#[test]
fn s8_two_managers_share_nothing() {
    block_on(async {
        let backend = ScriptedBackend::new();
        backend.on("a", [Answer::value("1"), Answer::value("2")]);
        let one = SecretManager::builder(backend.clone()).build().unwrap();
        let two = SecretManager::builder(backend).build().unwrap();
        assert_eq!(text(&one.get("a").await.unwrap()), "1");
        assert_eq!(text(&two.get("a").await.unwrap()), "2");
        assert_eq!(text(&one.get("a").await.unwrap()), "1");
        assert_eq!((two.stats().hits, two.stats().misses), (0, 1));
    });
}

#[test]
fn a_manager_that_was_shut_down_refuses_and_says_so() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::value("v")]);
        rig.backend.on("hangs", [Answer::hang()]);
        rig.get("a").await.unwrap();
        let secrets = rig.secrets.clone();
        let waits = tokio::spawn(async move { secrets.get("hangs").await.unwrap_err().kind() });
        settle().await;
        rig.secrets.shutdown().await.unwrap();
        rig.secrets.shutdown().await.unwrap();
        assert_eq!(waits.await.unwrap(), ErrorKind::Unsupported);
        let error = rig.get("a").await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Unsupported && error.to_string().contains("shut down"),
            "{error}"
        );
        assert_eq!(
            rig.secrets.refresh("a").await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        assert_eq!(
            rig.secrets.list(None).await.unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let shutdowns = rig
            .backend
            .calls()
            .iter()
            .filter(|call| call.kind == secrets_testkit::CallKind::Shutdown)
            .count();
        assert_eq!(shutdowns, 1);
    });
}

#[test]
fn list_and_check_ask_the_store_within_the_same_bounds() {
    block_on(async {
        let rig = Rig::over(
            |b| b.with_capabilities(secrets_core::Capabilities::new().with_list(true)),
            exactly,
        );
        let names = vec![SecretName::new("app/a").unwrap()];
        rig.backend.on_list(Ok(names.clone()));
        assert_eq!(rig.secrets.list(Some("app")).await.unwrap(), names);
        assert_eq!(
            rig.secrets.list(Some("app/")).await.unwrap_err().kind(),
            ErrorKind::InvalidName
        );
        rig.backend
            .on_check([Answer::kind(ErrorKind::Unavailable), Answer::value("")]);
        rig.clock.run(rig.secrets.check()).await.unwrap();
        rig.backend.on_check([Answer::hang()]);
        let started = rig.clock.monotonic();
        assert_eq!(
            rig.clock.run(rig.secrets.check()).await.unwrap_err().kind(),
            ErrorKind::Timeout
        );
        assert!(rig.since(started) <= secs(15));
    });
}
