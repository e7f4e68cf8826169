//! Live values and events: the W laws of the manager.

mod common;

use common::*;
use secrets_core::{BackendEvent, Closed, ErrorKind, HandleState, SecretManager, SecretName};
use secrets_testkit::{Answer, Gate, MemoryBackend};

fn exactly(builder: secrets_core::SecretManagerBuilder) -> secrets_core::SecretManagerBuilder {
    builder.ttl(secs(300)).ttl_jitter(0.0)
}

#[test]
fn a_handle_is_kept_fresh_without_anybody_reading() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::value("1"), Answer::value("2")]);
        let mut handle = rig.secrets.handle("a").await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "1");
        rig.pass(secs(300)).await;
        assert_eq!(text(&handle.current().unwrap()), "2");
        handle.changed().await.unwrap();
        assert!(matches!(handle.state(), HandleState::Fresh));
        assert_eq!(rig.backend.call_count(), 2);
    });
}

#[test]
fn w2_an_unchanged_value_is_no_event() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", [Answer::value("same")]);
        let mut handle = rig.secrets.handle("a").await.unwrap();
        let waits = tokio::spawn(async move { handle.changed().await });
        rig.pass(secs(3_000)).await;
        assert!(rig.backend.call_count() >= 10 && !waits.is_finished());
    });
}

#[test]
fn w2_w3_w5_gone_is_one_event_and_coming_back_another() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend
            .on("a", [Answer::value("1"), Answer::kind(ErrorKind::NotFound)]);
        let mut handle = rig.secrets.handle("a").await.unwrap();
        let probe = handle.current().unwrap().probe();
        rig.pass(secs(301)).await;
        handle.changed().await.unwrap();
        assert!(matches!(handle.state(), HandleState::Gone(error) if error.kind() == ErrorKind::NotFound));
        assert_eq!(handle.current().unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!probe.is_alive(), "the old value is wiped");
        rig.pass(secs(600)).await;
        let calls = rig.backend.call_count();
        assert!(calls > 4, "it is asked for again");
        let again = Box::pin(handle.changed());
        assert!(rig.clock.sleepers() > 0);
        drop(again);
        rig.backend.on("a", [Answer::value("2")]);
        rig.pass(secs(120)).await;
        handle.changed().await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "2");
    });
}

#[test]
fn a_handle_goes_stale_and_then_gone_in_an_outage_and_recovers() {
    block_on(async {
        let rig = Rig::with(|builder| exactly(builder).stale_if_error(secs(600)));
        rig.backend
            .on("a", [Answer::value("v"), Answer::kind(ErrorKind::Unavailable)]);
        let mut handle = rig.secrets.handle("a").await.unwrap();
        rig.pass(secs(310)).await;
        handle.changed().await.unwrap();
        assert!(matches!(handle.state(), HandleState::Stale { .. }));
        assert!(handle.current().unwrap().metadata().stale_since().is_some());
        rig.pass(secs(300)).await;
        handle.changed().await.unwrap();
        assert!(matches!(handle.state(), HandleState::Gone(error) if error.kind() == ErrorKind::Unavailable));
        rig.backend.on("a", [Answer::value("v")]);
        rig.pass(secs(120)).await;
        handle.changed().await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "v");
    });
}

#[test]
fn w6_a_slow_consumer_gets_the_latest_of_many() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on("a", (0..10).map(|n| Answer::value(n.to_string())));
        let mut handle = rig.secrets.handle("a").await.unwrap();
        for _ in 0..9 {
            rig.secrets.refresh("a").await.unwrap();
        }
        handle.changed().await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "9");
        let waits = tokio::spawn(async move { handle.changed().await });
        settle().await;
        assert!(!waits.is_finished(), "nine changes were one");
    });
}

#[test]
fn a_handle_on_a_field_follows_the_secret() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on(
            "db",
            [
                Answer::value(r#"{"p":"1"}"#),
                Answer::value(r#"{"p":"2"}"#),
                Answer::value("{}"),
            ],
        );
        let mut handle = rig.secrets.handle("db#p").await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "1");
        rig.secrets.refresh("db").await.unwrap();
        handle.changed().await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "2");
        rig.secrets.refresh("db").await.unwrap();
        assert_eq!(handle.current().unwrap_err().kind(), ErrorKind::FieldNotFound);
        assert_eq!(
            rig.secrets.handle("db#q").await.unwrap_err().kind(),
            ErrorKind::FieldNotFound
        );
        assert_eq!(
            rig.secrets.handle("missing").await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn w1_events_refresh_at_once_and_none_after_the_first_read_is_lost() {
    block_on(async {
        let backend = MemoryBackend::new().with_watch(true);
        let store = backend.store();
        store.put("a", "1");
        let secrets = SecretManager::builder(backend).build().unwrap();
        let mut handle = secrets.handle("a").await.unwrap();
        assert_eq!(text(&secrets.get("a").await.unwrap()), "1");
        for n in 2..50 {
            store.put("a", n.to_string());
            handle.changed().await.unwrap();
            settle().await;
            assert_eq!(text(&handle.current().unwrap()), n.to_string());
            assert_eq!(text(&secrets.get("a").await.unwrap()), n.to_string());
        }
        store.delete("a");
        handle.changed().await.unwrap();
        assert!(matches!(handle.state(), HandleState::Gone(_)));
        assert_eq!(secrets.get("a").await.unwrap_err().kind(), ErrorKind::NotFound);
        store.put("a", "back");
        handle.changed().await.unwrap();
        assert_eq!(text(&secrets.get("a").await.unwrap()), "back");
    });
}

/// A manager whose backend watches, over a script.
fn watching(
    configure: impl FnOnce(secrets_core::SecretManagerBuilder) -> secrets_core::SecretManagerBuilder,
) -> Rig {
    let can = secrets_core::Capabilities::new().with_watch(true);
    Rig::over(|backend| backend.with_capabilities(can), configure)
}

fn changed(name: &str) -> BackendEvent {
    BackendEvent::Changed(SecretName::new(name).unwrap())
}

#[test]
fn w1_an_event_during_the_first_read_is_not_lost() {
    block_on(async {
        for event in [changed("a"), BackendEvent::Resync] {
            let rig = watching(exactly);
            let gate = Gate::new();
            rig.backend
                .on("a", [Answer::value("old").behind(&gate), Answer::value("new")]);
            let secrets = rig.secrets.clone();
            let first = tokio::spawn(async move { text(&secrets.get("a").await.unwrap()) });
            rig.backend.wait_for_calls(1).await;
            // The store answered the read before the change, and the answer is still on its way.
            rig.backend.emit(&event);
            settle().await;
            gate.open();
            assert_eq!(first.await.unwrap(), "old");
            settle().await;
            assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "new", "{event:?}");
            assert_eq!(rig.backend.call_count(), 2);
        }
    });
}

#[test]
fn w1_an_event_during_a_refresh_is_not_lost() {
    block_on(async {
        let rig = watching(exactly);
        let gate = Gate::new();
        let answers = [
            Answer::value("first"),
            Answer::value("old").behind(&gate),
            Answer::value("new"),
        ];
        rig.backend.on("a", answers);
        rig.secrets.get("a").await.unwrap();
        let secrets = rig.secrets.clone();
        let refresh = tokio::spawn(async move { text(&secrets.refresh("a").await.unwrap()) });
        rig.backend.wait_for_calls(2).await;
        rig.backend.emit(&changed("a"));
        settle().await;
        gate.open();
        assert_eq!(refresh.await.unwrap(), "old");
        settle().await;
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "new");
    });
}

#[test]
fn w1_events_of_one_secret_share_a_fetch_and_the_last_one_counts() {
    block_on(async {
        let rig = watching(exactly);
        let gate = Gate::new();
        let answers = [
            Answer::value("first"),
            Answer::value("second").behind(&gate),
            Answer::value("last"),
        ];
        rig.backend.on("a", answers);
        rig.secrets.get("a").await.unwrap();
        for _ in 0..100 {
            rig.backend.emit(&changed("a"));
            settle().await;
        }
        assert_eq!(rig.backend.call_count(), 2);
        gate.open();
        settle().await;
        assert_eq!(text(&rig.secrets.get("a").await.unwrap()), "last");
        assert_eq!(rig.backend.call_count(), 3);
    });
}

#[test]
fn o7_events_leave_a_store_alone_behind_an_open_breaker() {
    block_on(async {
        let rig = watching(|builder| exactly(builder).attempts(1).breaker(1, secs(60), secs(60)));
        rig.backend.on("a", [Answer::value("v")]);
        rig.backend.on("down", [Answer::kind(ErrorKind::Unavailable)]);
        rig.secrets.get("a").await.unwrap();
        assert_eq!(rig.kind("down").await, ErrorKind::Unavailable);
        let calls = rig.backend.call_count();
        for _ in 0..100 {
            rig.backend.emit(&changed("a"));
            settle().await;
        }
        assert_eq!(rig.backend.call_count(), calls);
        rig.backend.on("a", [Answer::value("changed")]);
        rig.pass(secs(60)).await;
        rig.get("a").await.unwrap();
        rig.pass(secs(1)).await;
        assert_eq!(
            rig.text("a").await,
            "changed",
            "the first look after that asks for it"
        );
    });
}

#[test]
fn c10_a_handle_outlives_the_runtime_that_kept_it_fresh() {
    let clock = secrets_core::FakeClock::new();
    // Without a watch, whose restart alone would have the value fetched anew.
    let backend = secrets_testkit::ScriptedBackend::new()
        .with_clock(clock.clone())
        .with_capabilities(secrets_core::Capabilities::new());
    backend.on("a", [Answer::value("1"), Answer::value("2")]);
    backend.on("b", [Answer::value("b")]);
    let secrets = exactly(SecretManager::builder(backend))
        .clock(clock.clone())
        .build()
        .unwrap();
    let handle = block_on(secrets.handle("a")).unwrap();
    assert_eq!(text(&handle.current().unwrap()), "1");
    // That runtime is gone. A read on another one has the handle kept there.
    block_on(async {
        secrets.get("b").await.unwrap();
        clock.run_for(secs(300)).await;
        assert_eq!(text(&handle.current().unwrap()), "2");
    });
}

#[test]
fn w4_a_watch_that_ends_is_started_again_and_misses_nothing() {
    block_on(async {
        let rig = watching(exactly);
        rig.backend.on("a", [Answer::value("1"), Answer::value("2")]);
        let mut handle = rig.secrets.handle("a").await.unwrap();
        settle().await;
        assert_eq!(rig.backend.watchers(), 1);
        rig.backend.end_watches();
        rig.pass(secs(2)).await;
        assert_eq!(rig.backend.watchers(), 1);
        handle.changed().await.unwrap();
        assert_eq!(text(&handle.current().unwrap()), "2");
    });
}

#[test]
fn closing_the_manager_ends_the_wait_of_its_handles() {
    block_on(async {
        let rig = Rig::with(exactly);
        rig.backend.on(
            "a",
            [
                Answer::value("v"),
                Answer::value("the script keeps its last answer"),
            ],
        );
        let handle = rig.secrets.handle("a").await.unwrap();
        let probe = handle.current().unwrap().probe();
        let mut waiting = handle.clone();
        let waits = tokio::spawn(async move { waiting.changed().await });
        settle().await;
        rig.secrets.shutdown().await.unwrap();
        assert_eq!(waits.await.unwrap(), Err(Closed));
        assert_eq!(handle.current().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!probe.is_alive());
    });
}
