//! The wire that breaks, with std's sockets and rustls at the one end and the HTTP server at the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use secrets_core::FakeClock;
use secrets_testkit::wire::{HttpServer, Response, TestCa, WireFault, WireProxy};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const KEPT: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

fn store() -> HttpServer {
    HttpServer::start(|_| async { Response::new("hello".into()) }).unwrap()
}

fn wire(store: &HttpServer) -> WireProxy {
    WireProxy::start(store.address()).unwrap()
}

/// All that comes back, and how it ends.
fn ask(wire: &WireProxy) -> (String, io::Result<()>) {
    let mut stream = match TcpStream::connect(wire.address()) {
        Ok(stream) => stream,
        Err(error) => return (String::new(), Err(error)),
    };
    // A connection may be reset before the request is out.
    match stream.write_all(GET) {
        Ok(()) => rest(&mut stream),
        Err(error) => (String::new(), Err(error)),
    }
}

fn rest(stream: &mut impl Read) -> (String, io::Result<()>) {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).map(|_| ());
    (String::from_utf8_lossy(&answer).into_owned(), end)
}

fn is_reset(end: &io::Result<()>) -> bool {
    matches!(end, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn e7_an_unbroken_wire_changes_nothing() {
    let store = store();
    let wire = wire(&store);
    let mut direct = TcpStream::connect(store.address()).unwrap();
    direct.write_all(GET).unwrap();
    let (expected, _) = rest(&mut direct);
    let without_date = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with("date:"))
            .map(Into::into)
            .collect()
    };
    let (answer, end) = ask(&wire);
    assert!(end.is_ok());
    assert_eq!(without_date(&answer), without_date(&expected));
    assert_eq!((wire.connection_count(), wire.request_count()), (1, 1));
}

#[test]
fn e7_a_refused_port_is_the_same_port_when_it_opens() {
    let store = store();
    let wire = wire(&store);
    let mut open = TcpStream::connect(wire.address()).unwrap();
    open.write_all(KEPT).unwrap();
    open.read_exact(&mut [0; 8]).unwrap();
    for _ in 0..3 {
        wire.set(WireFault::Refuse);
        let (_, end) = ask(&wire);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        wire.heal();
        assert!(ask(&wire).0.ends_with("hello"));
    }
    assert!(
        is_reset(&rest(&mut open).1),
        "an open connection outlived its server"
    );
}

#[test]
fn e7_a_hanging_wire_says_nothing_until_it_is_reset() {
    let store = store();
    for (fault, requests) in [(WireFault::Hang, 0), (WireFault::NoAnswer, 1)] {
        let wire = wire(&store);
        wire.set(fault.clone());
        thread::scope(|scope| {
            let asking = scope.spawn(|| ask(&wire));
            block_on(wire.wait_for_connections(1));
            block_on(wire.wait_for_requests(requests));
            wire.heal();
            let (answer, end) = asking.join().unwrap();
            assert_eq!(answer, "", "{fault:?}");
            assert!(is_reset(&end), "{fault:?}: {end:?}");
        });
        assert!(ask(&wire).0.ends_with("hello"));
    }
    assert_eq!(store.request_count(), 2);
}

#[test]
fn e7_a_response_breaks_off_after_so_many_bytes() {
    let store = store();
    let wire = wire(&store);
    for sent in [0, 20] {
        wire.set(WireFault::CloseAfter(sent));
        let (answer, end) = ask(&wire);
        assert_eq!((answer.len(), end.is_ok()), (sent, true));
        wire.set(WireFault::ResetAfter(sent));
        let (answer, end) = ask(&wire);
        // A reset may overtake what was sent before it.
        assert!(answer.len() <= sent && is_reset(&end), "{answer:?} {end:?}");
    }
}

#[test]
fn e7_garbage_stands_in_for_a_response() {
    let store = store();
    let wire = wire(&store);
    wire.set(WireFault::Garbage);
    let (answer, end) = ask(&wire);
    assert!(!answer.contains("HTTP/1.1") && answer.contains("this is no HTTP") && end.is_ok());
    wire.set(WireFault::GarbageBody);
    let (answer, end) = ask(&wire);
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("{\"data\":") && end.is_ok(),
        "{answer}"
    );
    assert_eq!(store.request_count(), 0);
}

#[test]
fn e7_an_endless_body_goes_on_until_the_client_leaves() {
    let store = store();
    let wire = wire(&store);
    wire.set(WireFault::Endless);
    let mut stream = TcpStream::connect(wire.address()).unwrap();
    stream.write_all(GET).unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let four_mebibytes = io::copy(&mut (&mut stream).take(4 << 20), &mut io::sink()).unwrap();
    assert_eq!(four_mebibytes, 4 << 20);
    drop(stream);
    while wire.open_connections() > 0 {
        thread::yield_now();
    }
}

#[test]
fn e3_a_burst_of_a_status_ends_after_its_count_also_on_a_kept_connection() {
    let store = store();
    let wire = wire(&store);
    let mut kept = TcpStream::connect(wire.address()).unwrap();
    let mut exchange = || {
        kept.write_all(KEPT).unwrap();
        let mut answer = [0; 12];
        kept.read_exact(&mut answer).unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    assert_eq!(exchange(), "HTTP/1.1 200");
    wire.set_for(2, WireFault::status(503, "7").with_body("{\"errors\":[]}"));
    // The rest of the first response is still on its way, and belongs to no other exchange.
    kept.write_all(KEPT).unwrap();
    let (answer, _) = rest(&mut kept);
    assert!(answer.contains("HTTP/1.1 503"), "{answer}");
    let (answer, _) = ask(&wire);
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 7\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("{\"errors\":[]}"), "{answer}");
    assert!(ask(&wire).0.ends_with("hello"));
    assert_eq!((wire.request_count(), store.request_count()), (4, 2));
}

#[test]
fn e7_a_slow_response_comes_by_the_clock() {
    let store = store();
    let clock = FakeClock::new();
    let wire = WireProxy::builder(store.address())
        .clock(clock.clone())
        .start()
        .unwrap();
    wire.set(WireFault::Slow {
        piece: 4,
        pause: Duration::from_secs(1),
    });
    let mut stream = TcpStream::connect(wire.address()).unwrap();
    stream.write_all(GET).unwrap();
    let mut answer = Vec::new();
    for _ in 0..3 {
        while clock.sleepers() == 0 {
            thread::yield_now();
        }
        clock.advance(Duration::from_secs(1));
        let mut piece = [0; 4];
        stream.read_exact(&mut piece).unwrap();
        answer.extend(piece);
    }
    assert_eq!(answer, b"HTTP/1.1 200");
    wire.heal();
    assert!(is_reset(&rest(&mut stream).1));
}

#[test]
fn e7_faults_happen_inside_tls_that_ends_at_the_wire() {
    let (near, far) = (TestCa::new(), TestCa::new());
    let store = HttpServer::builder()
        .tls(far.issue(["store.test"]).server_config())
        .start(|_| async { Response::new("hello".into()) })
        .unwrap();
    let wire = WireProxy::builder(store.address())
        .tls(near.issue(["localhost"]).server_config())
        .upstream_tls(far.client_config(), "store.test")
        .start()
        .unwrap();
    let ask = || {
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(near.client_config(), name).unwrap();
        let mut stream = StreamOwned::new(session, TcpStream::connect(wire.address()).unwrap());
        stream.write_all(GET).unwrap();
        rest(&mut stream)
    };
    assert!(wire.url_for("localhost").starts_with("https://localhost:"));
    assert!(ask().0.ends_with("hello"));
    wire.set_for(1, WireFault::status(429, None));
    assert!(ask().0.starts_with("HTTP/1.1 429"));
    wire.set_for(1, WireFault::CloseAfter(10));
    assert_eq!(ask().0, "HTTP/1.1 2");
    assert!(ask().0.ends_with("hello"));
    assert_eq!(wire.request_count(), 4);
}

#[test]
fn e7_a_port_is_refused_also_while_a_handshake_hangs() {
    let store = store();
    let wire = WireProxy::builder(store.address())
        .tls(TestCa::new().issue(["localhost"]).server_config())
        .start()
        .unwrap();
    let mut silent = TcpStream::connect(wire.address()).unwrap();
    block_on(wire.wait_for_connections(1));
    wire.set(WireFault::Refuse);
    assert_eq!(wire.open_connections(), 0);
    assert_eq!(rest(&mut silent).0, "");
}

#[test]
fn dropping_the_wire_ends_its_connections() {
    let store = store();
    let wire = wire(&store);
    let address = wire.address();
    let mut open = TcpStream::connect(address).unwrap();
    open.write_all(KEPT).unwrap();
    open.read_exact(&mut [0; 8]).unwrap();
    drop(wire);
    let _ = rest(&mut open);
    assert!(TcpStream::connect(address).is_err());
}
