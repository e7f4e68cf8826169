use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Body;
use super::worker::{Stop, Stopped, Worker};

/// A request, read whole. Its extensions hold the [`Connection`] it came on.
pub type Request = http::Request<Bytes>;

/// What a handler answers.
pub type Response = http::Response<Body>;

/// A larger request is answered with 413: what a fake understands is far smaller.
const MAX_REQUEST: usize = 4 << 20;

/// How long requests in hand may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// An HTTP/1.1 server on loopback, with TLS or without: what a fake of a vendor's API is built on.
///
/// It has a thread of its own and remembers every request. Dropping it ends it at once, with all its connections.
///
/// ```
/// use secrets_testkit::wire::{HttpServer, Response, TestCa};
///
/// let ca = TestCa::new();
/// let server = HttpServer::builder()
///     .tls(ca.issue(["localhost"]).server_config())
///     .start(|request| async move {
///         Response::new(format!("you asked for {}", request.uri().path()).into())
///     })?;
/// let url = server.url_for("localhost"); // https://localhost:…
/// assert_eq!(server.request_count(), 0);
/// # let _ = url;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    worker: Worker,
}

struct Shared {
    handler: Box<Handler>,
    tls: Option<TlsAcceptor>,
    log: Mutex<Log>,
    changes: watch::Sender<u64>,
}

type Handler = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync;

#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    connections: u64,
    handshakes_failed: u64,
    open: u64,
}

impl HttpServer {
    /// A server without TLS, on any free port.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start<F>(handler: impl Fn(Request) -> F + Send + Sync + 'static) -> io::Result<Self>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self::builder().start(handler)
    }

    /// A server with options.
    pub fn builder() -> HttpServerBuilder {
        HttpServerBuilder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http` or `https`, the address and the port, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same with a host name, which the client has to resolve to 127.0.0.1.
    pub fn url_for(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// Every request so far, in the order in which they were read.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many requests have been read.
    pub fn request_count(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// How many connections were accepted; with TLS, before the handshake.
    pub fn connection_count(&self) -> u64 {
        self.shared.lock().connections
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> u64 {
        self.shared.lock().open
    }

    /// How many TLS handshakes did not succeed: clients that refused the certificate, mostly.
    pub fn failed_handshakes(&self) -> u64 {
        self.shared.lock().handshakes_failed
    }

    /// Resolves as soon as at least `count` requests have been read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_requests(&self, count: usize) {
        self.wait_until(|log| log.requests.len() >= count).await;
    }

    /// Resolves as soon as no connection is open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_no_connections(&self) {
        self.wait_until(|log| log.open == 0).await;
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// Stops listening, lets requests in hand finish (for at most 5 s), and ends.
    pub fn stop(mut self) {
        self.worker.stop(Stop::Gracefully);
    }

    async fn wait_until(&self, reached: impl Fn(&Log) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !reached(&self.shared.lock()) {
            // The sender lives as long as `self`, so this cannot fail.
            let _ = changes.changed().await;
        }
    }
}

/// How a [`HttpServer`] is set up.
#[derive(Debug)]
#[must_use]
pub struct HttpServerBuilder {
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl HttpServerBuilder {
    /// Speaks TLS; see [`Issued::server_config`](super::Issued::server_config).
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Listens here instead of on a free port of 127.0.0.1, as a server does that comes back.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Starts answering with `handler`. A handler that panics drops its connection.
    ///
    /// # Errors
    ///
    /// When the port or a thread cannot be had.
    pub fn start<F>(self, handler: impl Fn(Request) -> F + Send + Sync + 'static) -> io::Result<HttpServer>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            handler: Box::new(move |request| Box::pin(handler(request))),
            tls: self.tls.map(TlsAcceptor::from),
            log: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let worker = Worker::start("http-server", {
            let shared = shared.clone();
            move |stop| serve(listener, shared, stop)
        })?;
        Ok(HttpServer {
            address,
            scheme,
            shared,
            worker,
        })
    }
}

impl Default for HttpServerBuilder {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
        }
    }
}

/// The connection a [`Request`] came on; one of its extensions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Counts connections from 1: requests with the same number shared one.
    pub number: u64,
    /// The client's end.
    pub peer: SocketAddr,
    /// The host name the client asked for in its TLS handshake.
    pub server_name: Option<String>,
    /// The certificate the client presented and the server accepted, as DER.
    pub client_certificate: Option<Arc<[u8]>>,
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, mut stop: Stopped) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error here is of one connection that went away before it was taken.
                if let Ok((stream, peer)) = accepted {
                    let number = shared.change(|log| {
                        log.connections += 1;
                        log.open += 1;
                        log.connections
                    });
                    connections.spawn(connection(stream, peer, number, shared.clone(), stop.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
            () = stop.at_least(Stop::Gracefully) => break,
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, finished).await;
}

async fn connection(stream: TcpStream, peer: SocketAddr, number: u64, shared: Arc<Shared>, stop: Stopped) {
    let _open = Open(&shared);
    // Small answers must not wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let mut about = Connection {
        number,
        peer,
        server_name: None,
        client_certificate: None,
    };
    let Some(tls) = &shared.tls else {
        return http(stream, about, &shared, stop).await;
    };
    let Ok(stream) = tls.accept(stream).await else {
        return shared.change(|log| log.handshakes_failed += 1);
    };
    let (_, session) = stream.get_ref();
    about.server_name = session.server_name().map(Into::into);
    let certificates = session.peer_certificates();
    about.client_certificate = certificates
        .and_then(|chain| chain.first())
        .map(|der| der.as_ref().into());
    http(stream, about, &shared, stop).await;
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    about: Connection,
    shared: &Arc<Shared>,
    mut stop: Stopped,
) {
    let service = service_fn(|request| answer(request, about.clone(), shared.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            // A connection may idle for as long as a client keeps it.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // How a client ends its connection is its own affair.
        _ = connection.as_mut() => return,
        () = stop.at_least(Stop::Gracefully) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(
    request: http::Request<Incoming>,
    about: Connection,
    shared: Arc<Shared>,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let Some(body) = read(body).await else {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refused);
    };
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(about);
    shared.change(|log| log.requests.push(request.clone()));
    Ok((shared.handler)(request).await)
}

/// The whole body; `None` when it is too large or breaks off.
async fn read(body: Incoming) -> Option<Bytes> {
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > MAX_REQUEST {
            return None;
        }
    }
    Some(whole.freeze())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.change(|log| log.open -= 1);
    }
}
