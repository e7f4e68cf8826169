//! Whatever Vault, or what stands in front of it, may answer.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use secrets::vault::{Engine, VaultBackend};
use secrets::{ErrorKind, Fetched, ReadRequest, SecretBackend as _, SecretName};
use secrets_fuzz::{CANARY, cases, mangled};
use secrets_testkit::wire::{HttpServer, Request, Response};

const STATUSES: &[u16] = &[
    200, 200, 200, 200, 204, 302, 400, 401, 403, 404, 404, 412, 429, 472, 500, 503,
];

#[test]
fn v8_l5_any_answer_is_a_whole_value_or_an_error() {
    let answer = Arc::new(Mutex::new((200, Vec::new())));
    let answering = answer.clone();
    let server = HttpServer::start(move |request: Request| {
        let (status, body) = match request.uri().path() {
            "/v1/auth/token/lookup-self" => (200, br#"{"data":{"ttl":0}}"#.to_vec()),
            _ => answering.lock().unwrap().clone(),
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = status.try_into().unwrap();
        async { response }
    });
    let server = server.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let backend = |engine| {
        let builder = VaultBackend::builder(server.url()).token("t").engine(engine);
        builder.build().unwrap()
    };
    let backends = [Engine::Kv1, Engine::Kv2, Engine::Dynamic, Engine::Detect].map(backend);
    let name = SecretName::new("app/secret").unwrap();
    let input = (select(STATUSES), mangled("vault"));
    let checked = TestRunner::new(cases(1_500)).run(&input, |(status, body)| {
        *answer.lock().unwrap() = (status, body.clone());
        for backend in &backends {
            let outcome = runtime.block_on(backend.get(ReadRequest::new(&name)));
            let listed = runtime.block_on(backend.list(None)).map(drop);
            if let Ok(Fetched::Value(secret)) = &outcome {
                prop_assert!((200..300).contains(&status), "a value out of {status}");
                let whole = serde_json::from_slice::<serde_json::Value>(&body);
                prop_assert!(whole.is_ok(), "a value out of what is no JSON");
                let _ = secret.expose_str();
                let printed = format!("{secret:?}");
                prop_assert!(!printed.contains(CANARY), "a secret that prints itself");
            }
            for error in [outcome.err(), listed.err()].into_iter().flatten() {
                let printed = format!("{error} {error:?}");
                prop_assert!(!printed.contains(CANARY), "{}", error);
                prop_assert!(error.kind() != ErrorKind::Internal, "{}", error);
            }
        }
        Ok(())
    });
    checked.unwrap();
}
