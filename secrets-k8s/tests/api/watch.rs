use std::collections::BTreeSet;
use std::time::Duration;

use secrets_core::{ErrorKind, FakeClock, SecretManager};
#[cfg(feature = "tracing")]
use secrets_core::{ReadRequest, SecretBackend as _};
use secrets_testkit::fakes::k8s::{Failure, FakeK8s, Rule};

#[cfg(feature = "tracing")]
use crate::support::name;
use crate::support::{Watch, admin, builder, kind, read, text};

const WATCH: &str = "watch=true";

/// A fake with two Secrets: of `quiet` nothing is ever heard, of `smtp` everything.
fn cluster() -> FakeK8s {
    let cluster = FakeK8s::start().unwrap();
    for secret in ["smtp", "quiet"] {
        cluster.put("app", secret, &[("k", b"1")]);
        cluster.label("app", secret, &[("app", "billing")]);
    }
    cluster
}

/// What a caller has who may do everything, by name and by labels.
fn both(cluster: &FakeK8s, clock: &FakeClock) -> [secrets_k8s::K8sApiBackend; 2] {
    let builder = || admin(cluster).clock(clock.clone()).timeout(HOUR);
    [
        builder().build().unwrap(),
        builder().label_selector("app=billing").build().unwrap(),
    ]
}

async fn watched(backend: &secrets_k8s::K8sApiBackend) -> Watch {
    for served in ["smtp/k", "quiet/k"] {
        read(backend, served).await.unwrap();
    }
    Watch::new(backend, &["smtp/k", "quiet/k"])
}

/// What happens to a watch.
type Trouble = (&'static str, fn(&FakeK8s));

/// The next event, letting time pass whenever nothing else is waited for than the end of a wait of at most `longest`.
async fn next_as_time_passes(watch: &mut Watch, clock: &FakeClock, longest: Duration) -> String {
    let pass = async {
        loop {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            if clock.next_wake().is_some_and(|wake| wake <= longest) {
                clock.advance(Duration::from_millis(100));
            }
        }
    };
    tokio::select! {
        event = watch.next() => event,
        () = pass => unreachable!("it never ends"),
    }
}

/// The longest wait after a few failures.
const BLIP: Duration = Duration::from_secs(8);

/// Longer than anything else is waited for.
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn w1_w2_a_change_is_seen_and_the_same_value_is_not() {
    for labelled in [0, 1] {
        let (cluster, clock) = (cluster(), FakeClock::new());
        let backend = &both(&cluster, &clock)[labelled];
        for served in ["smtp/k", "smtp", "quiet/k", "late/k"] {
            let _ = read(backend, served).await;
        }
        // Between the read and the watch.
        cluster.put("app", "smtp", &[("k", b"2")]);
        let mut watch = Watch::new(backend, &["smtp/k", "smtp", "quiet/k", "late/k"]);
        let both_names = BTreeSet::from(["smtp".to_owned(), "smtp/k".to_owned()]);
        assert_eq!(
            BTreeSet::from([watch.next().await, watch.next().await]),
            both_names
        );
        for value in [b"3", b"4"] {
            for secret in ["smtp", "quiet"] {
                cluster.touch("app", secret);
            }
            cluster.put_key("app", "quiet", "other", value);
            cluster.put("app", "smtp", &[("k", value)]);
            assert_eq!(
                BTreeSet::from([watch.next().await, watch.next().await]),
                both_names
            );
            assert_eq!(text(backend, "smtp/k").await.as_bytes(), value);
        }
        // What was read as absent comes into being.
        cluster.put("app", "late", &[("k", b"here")]);
        assert_eq!(watch.next().await, "late/k");
        assert!(
            cluster
                .calls()
                .iter()
                .filter(|call| call.line.contains(WATCH))
                .all(|call| call.partial)
        );
    }
}

#[tokio::test]
async fn w3_deleted_is_gone_and_created_is_back() {
    for labelled in [0, 1] {
        let (cluster, clock) = (cluster(), FakeClock::new());
        let backend = &both(&cluster, &clock)[labelled];
        let mut watch = watched(backend).await;
        cluster.put("app", "smtp", &[("k", b"2")]);
        assert_eq!(watch.next().await, "smtp/k");
        cluster.delete("app", "smtp");
        assert_eq!(watch.next().await, "smtp/k");
        assert_eq!(kind(backend, "smtp/k").await, Err(ErrorKind::NotFound));
        cluster.put("app", "smtp", &[("k", b"3")]);
        cluster.label("app", "smtp", &[("app", "billing")]);
        assert_eq!(watch.next().await, "smtp/k");
        // Without its labels it is followed by its name.
        cluster.label("app", "smtp", &[]);
        cluster.put("app", "smtp", &[("k", b"4")]);
        assert_eq!(watch.next().await, "smtp/k");
        cluster.put("app", "smtp", &[("k", b"5")]);
        assert_eq!(watch.next().await, "smtp/k");
    }
}

#[tokio::test]
async fn w4_a_watch_that_ends_or_breaks_is_continued_where_it_was() {
    for labelled in [0, 1] {
        let (cluster, clock) = (cluster(), FakeClock::new());
        let backend = &both(&cluster, &clock)[labelled];
        let mut watch = watched(backend).await;
        cluster.put("app", "smtp", &[("k", b"2")]);
        assert_eq!(watch.next().await, "smtp/k");
        let troubles: [Trouble; 3] = [
            ("ended", FakeK8s::end_watches),
            ("broken", FakeK8s::break_watches),
            ("failed", |cluster| cluster.fail_watches(500)),
        ];
        for (number, (what, trouble)) in troubles.into_iter().enumerate() {
            cluster.bookmark();
            let before = cluster.watches();
            trouble(&cluster);
            cluster.put("app", "smtp", &[("k", format!("{what} {number}").as_bytes())]);
            let event = next_as_time_passes(&mut watch, &clock, BLIP);
            assert_eq!(event.await, "smtp/k", "{what}");
            assert!(cluster.watches() > before, "{what}");
        }
        let resumed = cluster
            .calls()
            .iter()
            .rev()
            .find(|call| call.line.contains(WATCH))
            .unwrap()
            .line
            .clone();
        assert!(!resumed.ends_with("resourceVersion="), "{resumed}");
    }
}

#[tokio::test]
async fn w4_a_watch_too_old_is_begun_anew_and_what_was_missed_is_seen() {
    for labelled in [0, 1] {
        let (cluster, clock) = (cluster(), FakeClock::new());
        let backend = &both(&cluster, &clock)[labelled];
        let mut watch = watched(backend).await;
        cluster.put("app", "smtp", &[("k", b"2")]);
        assert_eq!(watch.next().await, "smtp/k");
        for (round, http) in [(3, false), (4, true)] {
            cluster.break_watches();
            cluster.put("app", "smtp", &[("k", round.to_string().as_bytes())]);
            cluster.compact();
            if http {
                // Some answer with the status of HTTP instead.
                cluster.fail(Failure::new(WATCH, 410).times(1));
            }
            let event = next_as_time_passes(&mut watch, &clock, BLIP);
            assert_eq!(event.await, "smtp/k");
            assert_eq!(text(backend, "smtp/k").await, round.to_string());
        }
        // Nothing is lost after that, and of what is unchanged nothing is heard.
        cluster.touch("app", "quiet");
        cluster.put("app", "smtp", &[("k", b"last")]);
        assert_eq!(watch.next().await, "smtp/k");
    }
}

#[tokio::test]
async fn w3_w4_what_was_deleted_before_a_watch_too_old_is_begun_anew_is_gone() {
    for labelled in [0, 1] {
        let (cluster, clock) = (cluster(), FakeClock::new());
        let backend = &both(&cluster, &clock)[labelled];
        let mut watch = watched(backend).await;
        cluster.put("app", "smtp", &[("k", b"2")]);
        assert_eq!(watch.next().await, "smtp/k");
        cluster.break_watches();
        cluster.delete("app", "smtp");
        cluster.touch("app", "quiet");
        cluster.compact();
        assert_eq!(next_as_time_passes(&mut watch, &clock, BLIP).await, "smtp/k");
        assert_eq!(kind(backend, "smtp/k").await, Err(ErrorKind::NotFound));
    }
}

#[tokio::test]
async fn w4_a_bookmark_moves_where_a_watch_is_continued() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    let backend = admin(&cluster)
        .clock(clock.clone())
        .timeout(HOUR)
        .build()
        .unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    cluster.put("app", "smtp", &[("k", b"2")]);
    assert_eq!(watch.next().await, "smtp/k");
    // What happens to others is not heard of; only a bookmark tells how far the watch has come.
    let version = cluster.put("app", "quiet", &[("k", b"2")]);
    cluster.bookmark();
    cluster.end_watches();
    let begun = cluster.watches();
    tokio::select! {
        () = cluster.wait_for_watches(begun + 1) => {}
        event = next_as_time_passes(&mut watch, &clock, BLIP) => panic!("no event: {event}"),
    }
    let calls = cluster.calls();
    let resumed = calls.iter().rev().find(|call| call.line.contains(WATCH)).unwrap();
    let continued = format!("resourceVersion={version}");
    assert!(resumed.line.ends_with(&continued), "{resumed:?} and {continued}");
}

#[tokio::test]
async fn a2_e3_a_watch_that_fails_slowly_or_is_told_to_wait_is_not_begun_at_once() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    let backend = admin(&cluster).clock(clock.clone()).build().unwrap();
    read(&backend, "smtp/k").await.unwrap();
    cluster.fail(Failure::hang(WATCH).times(1));
    cluster.fail(Failure::new(WATCH, 429).retry_after("40").times(1));
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    // Five seconds without an answer are a failure like any other.
    watch.meanwhile(cluster.wait_for_calls(WATCH, 1)).await;
    watch.meanwhile(until_next_wake(&clock, 4, 5)).await;
    clock.advance(Duration::from_secs(5));
    watch.meanwhile(until_next_wake(&clock, 0, 1)).await;
    assert_eq!(cluster.count(WATCH), 1);
    clock.advance(Duration::from_secs(1));
    watch.meanwhile(cluster.wait_for_calls(WATCH, 2)).await;
    watch.meanwhile(until_next_wake(&clock, 30, 40)).await;
    clock.advance(Duration::from_secs(40));
    watch.meanwhile(cluster.wait_for_watches(1)).await;
}

/// Resolves when nothing is waited for but the end of a wait of so many seconds.
async fn until_next_wake(clock: &FakeClock, above: u64, most: u64) {
    let [above, most] = [above, most].map(Duration::from_secs);
    let fits = |wake: Duration| wake > above && wake <= most;
    while !clock.next_wake().is_some_and(fits) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn w4_a_silent_connection_is_left_at_its_idle_limit() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    let backend = admin(&cluster)
        .clock(clock.clone())
        .timeout(HOUR)
        .watch_timeout(Duration::from_secs(100))
        .build()
        .unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    cluster.put("app", "smtp", &[("k", b"2")]);
    assert_eq!(watch.next().await, "smtp/k");
    cluster.silence_watches();
    cluster.put("app", "smtp", &[("k", b"3")]);
    // The watch lasts a hundred seconds at the most, and ten more are waited.
    let before = cluster.watches();
    clock.advance(Duration::from_secs(89));
    watch
        .meanwhile(async {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert_eq!(cluster.watches(), before);
    clock.advance(Duration::from_secs(22));
    assert_eq!(watch.next().await, "smtp/k");
    assert_eq!(cluster.watches(), before + 1);
}

#[tokio::test]
async fn w5_a_failed_comparison_does_not_swallow_the_change() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    let backend = admin(&cluster)
        .clock(clock.clone())
        .timeout(HOUR)
        .build()
        .unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    // What has been heard once is compared already: from here on only the watch tells.
    cluster.put("app", "smtp", &[("k", b"2")]);
    assert_eq!(watch.next().await, "smtp/k");
    for failures in 1..=3 {
        cluster.fail(Failure::new("GET /api/v1/namespaces/app/secrets/smtp", 503).times(failures));
        cluster.put("app", "smtp", &[("k", format!("after {failures}").as_bytes())]);
        let event = next_as_time_passes(&mut watch, &clock, Duration::from_secs(30));
        assert_eq!(event.await, "smtp/k", "{failures}");
    }
}

#[tokio::test]
async fn a_caller_who_may_not_watch_polls_and_says_so() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    cluster.user("getter", [Rule::new("app", &["get"])]);
    let backend = builder(&cluster, "getter")
        .clock(clock.clone())
        .timeout(HOUR)
        .poll_interval(Duration::from_secs(60))
        .build()
        .unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    watch.meanwhile(cluster.wait_for_calls(WATCH, 1)).await;
    for value in [b"2", b"3"] {
        cluster.put("app", "smtp", &[("k", value)]);
        let event = next_as_time_passes(&mut watch, &clock, Duration::from_secs(60));
        assert_eq!(event.await, "smtp/k");
    }
    assert_eq!(cluster.count(WATCH), 1, "it is not tried again at once");
}

/// What this library said at level `WARN`.
#[cfg(feature = "tracing")]
fn warnings(log: &crate::log::Log) -> Vec<String> {
    let mut lines = log.lines();
    lines.retain(|line| line.starts_with("WARN secrets "));
    lines
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn what_is_denied_is_said_once() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    let log = crate::log::Log::default();
    let _listening = tracing::subscriber::set_default(log.clone());
    for secret in ["a", "b", "c"] {
        cluster.put("app", secret, &[("k", b"1")]);
    }
    cluster.user("getter", [Rule::new("app", &["get"])]);
    let backend = builder(&cluster, "getter")
        .clock(clock.clone())
        .timeout(HOUR)
        .label_selector("app=billing")
        .build()
        .unwrap();
    let names = ["a/k", "b/k", "c/k"].map(name);
    let requests = names.each_ref().map(ReadRequest::new);
    for _ in 0..3 {
        for read in backend.get_many(&requests).await {
            read.unwrap();
        }
        clock.advance(Duration::from_secs(601));
    }
    assert_eq!(
        cluster.count("labelSelector="),
        3,
        "it is tried again after ten minutes"
    );
    let [said] = &warnings(&log)[..] else {
        panic!("once: {:?}", warnings(&log));
    };
    assert!(
        said.contains("may not be listed") && said.contains("`list`"),
        "{said}"
    );
    let mut watch = Watch::new(&backend, &["a/k", "b/k", "c/k"]);
    watch.meanwhile(cluster.wait_for_calls("fieldSelector=", 3)).await;
    for value in [b"2", b"3"] {
        cluster.put("app", "a", &[("k", value)]);
        let event = next_as_time_passes(&mut watch, &clock, Duration::from_secs(60));
        assert_eq!(event.await, "a/k");
    }
    let [_, said] = &warnings(&log)[..] else {
        panic!("once each: {:?}", warnings(&log));
    };
    assert!(said.contains("may not be watched and are polled"), "{said}");
}

#[tokio::test]
async fn least_privilege_a_watch_by_name_needs_no_list() {
    let cluster = cluster();
    cluster.user("watcher", [Rule::new("app", &["get", "watch"]).of(&["smtp"])]);
    let backend = builder(&cluster, "watcher").build().unwrap();
    read(&backend, "smtp/k").await.unwrap();
    let mut watch = Watch::new(&backend, &["smtp/k"]);
    watch.meanwhile(cluster.wait_for_watches(1)).await;
    cluster.put("app", "smtp", &[("k", b"2")]);
    assert_eq!(watch.next().await, "smtp/k");
}

#[tokio::test]
async fn only_the_names_asked_for_are_watched() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    for labelled in [0, 1] {
        let backend = &both(&cluster, &clock)[labelled];
        let mut watch = watched(backend).await;
        for (watched, other) in [("smtp", "quiet"), ("quiet", "smtp"), ("smtp", "quiet")] {
            watch.set(&[&format!("{watched}/k"), "no secret has this name/k", "Nor-This/k"]);
            let value = format!("{labelled} {watched} {}", cluster.calls().len());
            cluster.put("app", other, &[("k", value.as_bytes())]);
            cluster.put("app", watched, &[("k", value.as_bytes())]);
            assert_eq!(watch.next().await, format!("{watched}/k"));
            let _ = read(backend, &format!("{other}/k")).await;
        }
    }
}

#[tokio::test]
async fn w6_a_slow_consumer_gets_one_event_and_the_latest_value() {
    let (cluster, clock) = (cluster(), FakeClock::new());
    for backend in both(&cluster, &clock) {
        let mut watch = watched(&backend).await;
        for number in 0..200 {
            cluster.put(
                "app",
                "smtp",
                &[("k", format!("{number} {}", cluster.calls().len()).as_bytes())],
            );
        }
        assert_eq!(watch.next().await, "smtp/k");
        cluster.put(
            "app",
            "quiet",
            &[("k", format!("{}", cluster.calls().len()).as_bytes())],
        );
        // Whatever of the 200 is still on its way is the same value.
        assert_eq!(watch.next().await, "quiet/k");
    }
}

#[tokio::test]
async fn w1_a_handle_follows_a_rotation() {
    let cluster = cluster();
    let backend = admin(&cluster).build().unwrap();
    let manager = SecretManager::builder(backend).build().unwrap();
    let mut handle = manager.handle("smtp/k").await.unwrap();
    for version in ["2", "3"] {
        cluster.put("app", "smtp", &[("k", version.as_bytes())]);
        let changed = tokio::time::timeout(Duration::from_secs(60), handle.changed());
        changed.await.expect("a change").unwrap();
        assert_eq!(handle.current().unwrap().expose_str().unwrap(), version);
    }
}
