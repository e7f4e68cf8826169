use std::process::Command;

use super::{Body, HttpServer, Response};

/// Set in the process that has the proxy.
const INSIDE: &str = "SECRETS_TEST_BEHIND_A_PROXY";

/// Runs the body of one test in a process of its own, whose environment names a proxy in every usual variable, and holds
/// that nothing connected to it (law S5).
///
/// `test` is the whole name of the calling test, as `cargo test` prints it. Variables are read when a client is made; in a
/// process of its own no other test sees them.
///
/// ```no_run
/// #[test]
/// fn s5_loopback_never_goes_through_a_proxy() {
///     secrets_testkit::wire::behind_a_proxy("transport::s5_loopback_never_goes_through_a_proxy", || {
///         // build the backend over a fake on loopback, and read
///     });
/// }
/// ```
///
/// # Panics
///
/// When the body does, when no test is called so, or when something connected to the proxy.
pub fn behind_a_proxy(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let proxy =
        HttpServer::start(|_| async { Response::new(Body::empty()) }).expect("a proxy can be started");
    let variables = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    let child = Command::new(std::env::current_exe().expect("this is a program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .envs(variables.map(|name| (name, proxy.url())))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .expect("this program can be run again");
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(
        printed.contains(" 1 passed"),
        "there is no test called {test}: {printed}"
    );
    assert_eq!(proxy.connection_count(), 0, "something went through the proxy");
}
