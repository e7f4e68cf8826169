//! The HTTP server and the certificates, with a client that is not ours: std's sockets and rustls.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use secrets_testkit::Gate;
use secrets_testkit::wire::{Body, Connection, HttpServer, Response, TestCa};

const GET: &str = "GET /a?b=c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn echo() -> HttpServer {
    HttpServer::start(|request| async move {
        Response::new(format!("{} {}", request.method(), request.uri()).into())
    })
    .unwrap()
}

fn ask(server: &HttpServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask_tls(
    server: &HttpServer,
    client: Arc<ClientConfig>,
    host: &'static str,
) -> Result<String, std::io::Error> {
    let connection = ClientConnection::new(client, ServerName::try_from(host).unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server.address()).unwrap());
    stream.write_all(GET.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_request_is_answered_and_remembered() {
    let server = echo();
    let answer = ask(
        &server,
        "POST /v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nPOST /v1/x"), "{answer}");
    let requests = server.requests();
    assert_eq!((requests.len(), server.connection_count()), (1, 1));
    assert_eq!(&requests[0].body()[..], b"body");
    assert_eq!(requests[0].extensions().get::<Connection>().unwrap().number, 1);
}

#[test]
fn requests_on_one_connection_share_its_number() {
    let server = echo();
    ask(&server, &format!("GET /1 HTTP/1.1\r\nhost: x\r\n\r\n{GET}"));
    let numbers: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.extensions().get::<Connection>().unwrap().number)
        .collect();
    assert_eq!(numbers, [1, 1]);
}

#[test]
fn a_body_is_streamed_and_can_break_off() {
    let server = HttpServer::start(|request| async move {
        let (sender, body) = Body::stream();
        sender.send("one");
        sender.send("two");
        if request.uri().path() == "/broken" {
            sender.abort();
        }
        Response::new(body)
    })
    .unwrap();
    let whole = ask(&server, GET);
    assert!(
        whole.ends_with("\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{whole}"
    );
    let broken = ask(&server, "GET /broken HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!broken.ends_with("0\r\n\r\n"), "{broken}");
}

#[test]
fn s3_each_certificate_is_as_good_or_bad_as_asked_for() {
    let ca = TestCa::new();
    let start = |config| {
        HttpServer::builder()
            .tls(config)
            .start(|_| async { Response::new("hello".into()) })
            .unwrap()
    };
    let names = ["localhost", "127.0.0.1", "*.vault.azure.net"];
    let good = start(ca.issue(names).server_config());
    assert!(good.url_for("localhost").starts_with("https://localhost:"));
    for host in ["localhost", "127.0.0.1", "mine.vault.azure.net"] {
        let answer = ask_tls(&good, ca.client_config(), host).unwrap();
        assert!(answer.ends_with("hello"), "{host}: {answer}");
    }
    let sni = |number: usize| {
        let request = &good.requests()[number];
        request
            .extensions()
            .get::<Connection>()
            .unwrap()
            .server_name
            .clone()
    };
    assert_eq!(
        (sni(0).as_deref(), sni(2).as_deref()),
        (Some("localhost"), Some("mine.vault.azure.net"))
    );

    let refused = |server: &HttpServer, client: &TestCa, host: &'static str, why: &str| {
        let error = ask_tls(server, client.client_config(), host)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&good, &ca, "elsewhere.example", "not valid for name");
    refused(&good, &TestCa::new(), "localhost", "UnknownIssuer");
    refused(
        &start(ca.issue_expired(names).server_config()),
        &ca,
        "localhost",
        "expired",
    );
    let early = start(ca.issue_not_yet_valid(names).server_config());
    refused(&early, &ca, "localhost", "not valid yet");
    assert_eq!(good.request_count(), 3);

    let old = start(ca.issue(names).server_config_tls12());
    assert!(ask_tls(&old, ca.client_config(), "localhost").is_ok());
}

#[test]
fn a_client_certificate_is_seen_by_the_handler() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let server = HttpServer::builder()
        .tls(ca.issue(["localhost"]).server_config_for_clients_of(&clients))
        .start(|request| async move {
            let connection = request.extensions().get::<Connection>().unwrap();
            let known = connection.client_certificate.is_some();
            Response::new(format!("known: {known}").into())
        })
        .unwrap();
    let ask_as = |client: &TestCa| {
        let issued = client.issue_client("app");
        let mut config = (*ca.client_config()).clone();
        let key = rustls::pki_types::pem::PemObject::from_pem_slice(issued.key_pem().as_bytes()).unwrap();
        let chain = vec![issued.der().to_vec().into()];
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(
            rustls::sign::CertifiedKey::from_der(chain, key, config.crypto_provider()).unwrap(),
        ));
        ask_tls(&server, Arc::new(config), "localhost")
    };
    assert!(
        ask_tls(&server, ca.client_config(), "localhost")
            .unwrap()
            .ends_with("known: false")
    );
    assert!(ask_as(&clients).unwrap().ends_with("known: true"));
    assert!(ask_as(&TestCa::new()).is_err());
}

#[test]
fn stopping_lets_a_request_in_hand_finish_and_dropping_does_not() {
    for graceful in [true, false] {
        let gate = Gate::new();
        let server = HttpServer::start({
            let gate = gate.clone();
            move |_| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Response::new("late".into())
                }
            }
        })
        .unwrap();
        let address = server.address();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(GET.as_bytes()).unwrap();
        block_on(gate.wait_for_waiting(1));
        let stopping = std::thread::spawn(move || if graceful { server.stop() } else { drop(server) });
        if graceful {
            // The port closes before the request in hand is waited for.
            while TcpStream::connect(address).is_ok() {
                std::thread::yield_now();
            }
            gate.open();
        }
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        stopping.join().unwrap();
        assert_eq!(read.is_ok() && answer.ends_with("late"), graceful, "{answer}");
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
