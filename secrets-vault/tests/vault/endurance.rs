//! A month of use.

use secrets_core::Clock as _;
use secrets_testkit::fakes::vault::Failure;

use crate::support::{HOUR, MINUTE, Scene, kind};

/// 30 days with tokens of an hour and a day at most, one renewal in ten failing, and an outage of two hours.
#[tokio::test]
async fn a_month_of_flaky_renewals_and_an_outage() {
    const DAY: u32 = 24;
    let scene = Scene::new();
    let backend = scene.app_role().build().unwrap();
    let flaky = || {
        scene
            .vault
            .fail(Failure::new("auth/token/renew-self", 500).chance(10, 7));
    };
    flaky();
    let (outage, back) = (HOUR * DAY * 17, HOUR * DAY * 17 + HOUR * 2);
    let start = scene.clock.boot();
    let (mut logins, mut renewals, mut failed, mut refused) = (0, 0, 0, 0);
    let (mut most_tokens, mut in_outage) = (0, Vec::new());
    let mut served_again = None;
    while scene.clock.boot() - start < HOUR * DAY * 30 {
        let now = scene.clock.boot() - start;
        let down = (outage..back).contains(&now);
        if now == outage {
            scene.vault.heal();
            scene.vault.fail(Failure::new("", 503).error("Vault is sealed"));
        }
        if now == back {
            scene.vault.heal();
            flaky();
        }
        let outcome = kind(&backend, "a").await;
        match (down, outcome) {
            (false, Ok(())) if now >= back && served_again.is_none() => served_again = Some(now - back),
            (false, Err(kind)) if served_again.is_none() && now >= back => {
                assert!(now < back + MINUTE * 2, "{kind:?}");
            }
            (false, outcome) => assert_eq!(outcome, Ok(()), "at {now:?}"),
            (true, outcome) => assert!(outcome.is_err()),
        }
        for call in scene.vault.calls() {
            if call.path.starts_with("auth/") && down {
                in_outage.push(call.at);
            }
            logins += usize::from(call.path.ends_with("/login") && !down);
            renewals += usize::from(call.path.ends_with("renew-self") && !down);
            failed += usize::from(call.status == 500);
            refused += usize::from(matches!(call.status, 401 | 403));
        }
        scene.vault.forget_calls();
        most_tokens = most_tokens.max(scene.vault.live_tokens().len());
        scene.pass(MINUTE * 5).await;
    }
    assert_eq!(refused, 0, "no request was made with a dead token");
    assert!(
        served_again.is_some_and(|after| after <= MINUTE * 5),
        "{served_again:?}"
    );
    assert!(failed > 50, "renewals did fail: {failed}");
    // A day takes 24 h / (max_ttl less at most 40 % of the last hour) logins, and a renewal each 36 to 44 min at least.
    assert!((30..=34).contains(&logins), "{logins} logins in 30 days");
    assert!(
        (970..=1_500).contains(&renewals),
        "{renewals} renewals in 30 days"
    );
    assert!(most_tokens <= 2, "{most_tokens} tokens at once");
    assert!(!in_outage.is_empty());
    for three in in_outage.windows(3) {
        assert!(
            three[2] - three[0] >= MINUTE,
            "more than two calls in a minute of the outage: {three:?}"
        );
    }
}
