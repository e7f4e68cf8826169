//! The laws of outage, O1 to O7. O8 is in `simulation.rs`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use secrets_core::{Clock, Error, ErrorKind, Lease, Metadata, Secret, SecretManagerBuilder};
use secrets_testkit::{Answer, Gate};

fn exactly(builder: SecretManagerBuilder) -> SecretManagerBuilder {
    builder.ttl(secs(300)).ttl_jitter(0.0).refresh_ahead(false)
}

/// Every kind, and whether a value past its time to live is served instead.
const KINDS: [(ErrorKind, bool); 14] = [
    (ErrorKind::Disabled, false),
    (ErrorKind::FieldNotFound, false),
    (ErrorKind::Internal, false),
    (ErrorKind::InvalidConfig, false),
    (ErrorKind::InvalidData, false),
    (ErrorKind::InvalidName, false),
    (ErrorKind::NotFound, false),
    (ErrorKind::PermissionDenied, false),
    (ErrorKind::RateLimited, true),
    (ErrorKind::Timeout, true),
    (ErrorKind::Unauthenticated, true),
    (ErrorKind::Unavailable, true),
    (ErrorKind::Unsupported, false),
    (ErrorKind::VersionNotFound, false),
];

#[test]
fn o1_o4_a_stale_value_is_served_for_the_kinds_of_the_table_and_flagged() {
    block_on(async {
        for (kind, stale) in KINDS {
            let rig = Rig::with(|builder| exactly(builder).stale_wait(secs(60)));
            rig.backend.on("a", [Answer::value("v"), Answer::kind(kind)]);
            assert!(rig.get("a").await.unwrap().metadata().stale_since().is_none());
            let end = rig.clock.wall() + secs(300);
            rig.clock.advance(secs(301));
            match rig.get("a").await {
                Ok(secret) => {
                    assert!(stale, "{kind:?}");
                    assert_eq!(
                        (text(&secret), secret.metadata().stale_since()),
                        ("v".into(), Some(end))
                    );
                }
                Err(error) => assert!(!stale && error.kind() == kind, "{kind:?}: {error}"),
            }
            assert_eq!(rig.secrets.stats().stale_served, u64::from(stale), "{kind:?}");
        }
    });
}

#[test]
fn o2_a_stale_values_age_is_capped_from_the_last_success() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).stale_if_error(secs(600)));
        rig.backend
            .on("a", [Answer::value("v"), Answer::kind(ErrorKind::Unavailable)]);
        let probe = rig.get("a").await.unwrap().probe();
        for _ in 0..29 {
            rig.clock.advance(secs(20));
            rig.get("a").await.unwrap();
        }
        rig.clock.advance(secs(20));
        assert_eq!(
            rig.kind("a").await,
            ErrorKind::Unavailable,
            "serving it did not prolong it"
        );
        drop(probe);
    });
}

#[test]
fn o2_a_stale_value_never_passes_its_lease() {
    block_on(async {
        let rig = Rig::with(exactly);
        let metadata = Metadata::new().with_lease(Lease::new("lease/1", secs(400), true));
        let leased = Secret::copy_from(b"v").with_metadata(metadata);
        rig.backend
            .on("a", [Answer::from(leased), Answer::kind(ErrorKind::Unavailable)]);
        rig.get("a").await.unwrap();
        rig.clock.advance(secs(350));
        rig.get("a").await.unwrap();
        rig.clock.advance(secs(50));
        assert_eq!(rig.kind("a").await, ErrorKind::Unavailable);
    });
}

#[test]
fn o3_gone_or_refused_drops_the_value_at_once_when_it_answers_an_expired_read() {
    block_on(async {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::Disabled,
        ] {
            let rig = Rig::with(exactly);
            rig.backend.on(
                "a",
                [
                    Answer::value("v"),
                    Answer::kind(kind),
                    Answer::kind(ErrorKind::Unavailable),
                ],
            );
            let probe = rig.get("a").await.unwrap().probe();
            rig.clock.advance(secs(300));
            assert_eq!(rig.kind("a").await, kind);
            assert!(!probe.is_alive());
            rig.clock.advance(secs(10));
            assert_eq!(
                rig.kind("a").await,
                ErrorKind::Unavailable,
                "nothing is left to serve"
            );
        }
    });
}

#[test]
fn o3_ahead_of_time_it_is_served_to_the_end_of_its_ttl_and_not_longer() {
    block_on(async {
        let rig = Rig::with(|builder| builder.ttl(secs(300)).ttl_jitter(0.0));
        rig.backend
            .on("a", [Answer::value("v"), Answer::kind(ErrorKind::NotFound)]);
        rig.get("a").await.unwrap();
        rig.clock.advance(secs(270));
        rig.get("a").await.unwrap();
        rig.pass(millis(100)).await;
        assert_eq!(
            rig.backend.call_count(),
            2,
            "the refresh was told that it is gone"
        );
        rig.clock.advance(secs(29));
        assert_eq!(rig.text("a").await, "v");
        rig.clock.advance(secs(1));
        assert_eq!(rig.kind("a").await, ErrorKind::NotFound);
    });
}

#[test]
fn o5_retries_are_bounded_in_number_and_time() {
    block_on(async {
        let rig = Rig::new();
        rig.backend.on("a", [Answer::kind(ErrorKind::Unavailable)]);
        let started = rig.clock.monotonic();
        assert_eq!(rig.kind("a").await, ErrorKind::Unavailable);
        assert_eq!((rig.backend.call_count(), rig.secrets.stats().retries), (3, 2));
        assert!(rig.since(started) <= millis(300), "100 ms and 200 ms at the most");

        let rig = Rig::new();
        rig.backend.on("a", [Answer::hang()]);
        let started = rig.clock.monotonic();
        assert_eq!(rig.kind("a").await, ErrorKind::Timeout);
        assert!(rig.since(started) <= secs(15));
        assert!(rig.secrets.stats().timeouts >= 2);
    });
}

#[test]
fn o5_retry_after_is_a_floor_and_the_deadline_its_bound() {
    block_on(async {
        let limited =
            |seconds| Error::new(ErrorKind::RateLimited, "slow down").with_retry_after(secs(seconds));
        let rig = Rig::new();
        rig.backend
            .on("a", [Answer::from(limited(3)), Answer::value("v")]);
        let started = rig.clock.monotonic();
        assert_eq!(rig.text("a").await, "v");
        assert_eq!(rig.since(started), secs(3));

        let rig = Rig::new();
        rig.backend
            .on("a", [Answer::from(limited(30)), Answer::value("v")]);
        let started = rig.clock.monotonic();
        let error = rig.get("a").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::RateLimited, Some(secs(30)))
        );
        assert_eq!(rig.clock.monotonic(), started, "not worth waiting for");
        // The pause is the whole domain's.
        let other = rig.get("b").await.unwrap_err();
        assert_eq!(
            (other.kind(), rig.backend.asked("b")),
            (ErrorKind::RateLimited, 0)
        );
        rig.clock.advance(secs(30));
        assert_eq!(rig.kind("b").await, ErrorKind::NotFound);
    });
}

#[test]
fn o6_a_failing_key_calls_no_more_often_than_its_back_off() {
    block_on(async {
        for kind in [
            ErrorKind::Disabled,
            ErrorKind::InvalidData,
            ErrorKind::PermissionDenied,
            ErrorKind::VersionNotFound,
        ] {
            let rig = Rig::with(|builder| builder.ttl(secs(60)));
            rig.backend.on("a", [Answer::kind(kind)]);
            for _ in 0..600 {
                assert_eq!(rig.kind("a").await, kind);
                rig.clock.advance(secs(1));
            }
            // After 1, 2, 4, 8, 16 and 32 s, then every 60 s.
            assert_eq!(rig.backend.call_count(), 15, "{kind:?}");
        }
    });
}

#[test]
fn o7_the_breaker_is_per_fault_domain_and_a_denied_key_does_not_open_it() {
    block_on(async {
        let name = |text: &str| secrets_core::SecretName::new(text).unwrap();
        let rig = Rig::over(
            |backend| {
                backend
                    .with_fault_domain(name("one"), "one")
                    .with_fault_domain(name("two"), "two")
            },
            |builder| exactly(builder).attempts(1),
        );
        rig.backend.otherwise(|asked| match asked.name.segments().next() {
            Some("one") => Answer::kind(ErrorKind::Unavailable),
            Some("denied") => Answer::kind(ErrorKind::PermissionDenied),
            _ => Answer::value("v"),
        });
        for n in 0..20 {
            assert_eq!(rig.kind(&format!("one/{n}")).await, ErrorKind::Unavailable);
            assert_eq!(
                rig.kind(&format!("denied/{n}")).await,
                ErrorKind::PermissionDenied
            );
            assert_eq!(rig.text(&format!("two/{n}")).await, "v");
        }
        let stats = rig.secrets.stats();
        assert_eq!((stats.breaker_opens, stats.breaker_rejected), (1, 15));
        assert_eq!(rig.backend.call_count(), 5 + 20 + 20);
    });
}

#[test]
fn o7_a_probe_finds_out_that_the_store_is_back() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).attempts(1));
        let down = Arc::new(AtomicBool::new(true));
        let is_down = down.clone();
        let gate = Gate::new();
        let behind = gate.clone();
        rig.backend.otherwise(
            move |asked| match (is_down.load(Ordering::Relaxed), asked.name.as_str()) {
                (true, _) => Answer::kind(ErrorKind::Unavailable),
                (false, "probe") => Answer::value("v").behind(&behind),
                _ => Answer::value("v"),
            },
        );
        for _ in 0..5 {
            assert_eq!(rig.kind("a").await, ErrorKind::Unavailable);
        }
        down.store(false, Ordering::Relaxed);
        assert_eq!(
            rig.kind("a").await,
            ErrorKind::Unavailable,
            "nobody asks while it is open"
        );
        rig.clock.advance(secs(5));
        let secrets = rig.secrets.clone();
        let probe = tokio::spawn(async move { secrets.get("probe").await.is_ok() });
        settle().await;
        assert_eq!(rig.kind("a").await, ErrorKind::Unavailable, "one probe at a time");
        gate.open();
        assert!(probe.await.unwrap());
        assert_eq!(rig.text("a").await, "v");
    });
}

#[test]
fn a_caller_with_a_stale_value_waits_no_longer_than_half_a_second() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::value("v"), Answer::hang()]);
        rig.get("a").await.unwrap();
        rig.clock.advance(secs(300));
        let started = rig.clock.monotonic();
        assert_eq!(rig.text("a").await, "v");
        assert_eq!(rig.since(started), millis(500));
        // The fetch goes on, and who comes now has waited enough already.
        assert_eq!(rig.text("a").await, "v");
        assert_eq!(rig.since(started), millis(500));
        assert_eq!(rig.backend.in_flight(), 1);
    });
}
