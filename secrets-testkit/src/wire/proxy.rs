use std::fmt;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use secrets_core::{Clock, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::WireFault;
use super::worker::{Stop, Stopped, Worker};

/// A wire between a client and a server that breaks on demand.
///
/// It passes TCP through as it is, or ends the client's TLS so that faults happen inside it. A fault holds for every
/// exchange that begins while it is set; [`heal`](WireProxy::heal) resets the exchanges it still holds up. Bytes from
/// the client after bytes from the server begin a new exchange, which is right for HTTP/1.1 without pipelining.
///
/// It has a thread of its own. Dropping it ends it at once, with all its connections.
///
/// ```
/// use secrets_testkit::wire::{HttpServer, Response, WireFault, WireProxy};
///
/// let store = HttpServer::start(|_| async { Response::new("hello".into()) })?;
/// let wire = WireProxy::start(store.address())?;
/// wire.set_for(2, WireFault::status(503, "1"));
/// let url = wire.url(); // two requests to it are answered with 503, those after by the store
/// # let _ = url;
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct WireProxy {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    /// Never read: it ends the thread when the proxy is dropped.
    _worker: Worker,
}

struct Shared {
    upstream: SocketAddr,
    tls: Option<TlsAcceptor>,
    upstream_tls: Option<(TlsConnector, ServerName<'static>)>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    healed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    fault: Option<WireFault>,
    /// The exchanges the fault is still to hit; `None` for all.
    left: Option<usize>,
    connections: u64,
    open: u64,
    requests: u64,
}

/// Whether to listen, and whom to tell when it is done.
struct Command {
    listen: bool,
    done: std::sync::mpsc::Sender<()>,
}

impl WireProxy {
    /// A proxy to `upstream` on a free port, which passes everything through.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::builder(upstream).start()
    }

    /// A proxy with options.
    pub fn builder(upstream: SocketAddr) -> WireProxyBuilder {
        WireProxyBuilder {
            upstream,
            tls: None,
            upstream_tls: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http`, or `https` when it ends TLS, the address and the port, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The same with a host name, which the client has to resolve to 127.0.0.1.
    pub fn url_for(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    /// From now on every exchange has this fault, until [`heal`](WireProxy::heal). Exchanges that an earlier fault still
    /// holds up are reset.
    pub fn set(&self, fault: WireFault) {
        self.replace(Some(fault), None);
    }

    /// The next `exchanges` have this fault, those after have none. [`Refuse`](WireFault::Refuse) has no exchanges to
    /// count: it holds until [`heal`](WireProxy::heal).
    pub fn set_for(&self, exchanges: usize, fault: WireFault) {
        self.replace(Some(fault), Some(exchanges));
    }

    /// Ends the fault. Exchanges that it still holds up are reset.
    pub fn heal(&self) {
        self.replace(None, None);
    }

    /// How many connections were accepted.
    pub fn connection_count(&self) -> u64 {
        self.shared.lock().connections
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> u64 {
        self.shared.lock().open
    }

    /// How many requests came, whatever became of them. Only plain text and TLS ended here can be counted.
    pub fn request_count(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Resolves as soon as at least `count` requests came.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_requests(&self, count: u64) {
        self.wait_until(|state| state.requests >= count).await;
    }

    /// Resolves as soon as at least `count` connections were accepted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn wait_for_connections(&self, count: u64) {
        self.wait_until(|state| state.connections >= count).await;
    }

    async fn wait_until(&self, reached: impl Fn(&State) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !reached(&self.shared.lock()) {
            // The sender lives as long as `self`, so this cannot fail.
            let _ = changes.changed().await;
        }
    }

    fn replace(&self, fault: Option<WireFault>, left: Option<usize>) {
        let listen = fault != Some(WireFault::Refuse);
        {
            let mut state = self.shared.lock();
            state.left = if listen { left } else { None };
            state.fault = fault.filter(|_| left != Some(0));
        }
        self.shared.healed.send_modify(|healed| *healed += 1);
        // Whoever connects after this call must see its effect, so it waits for the port to open or close.
        let (done, wait) = std::sync::mpsc::channel();
        if self.commands.send(Command { listen, done }).is_ok() {
            let _ = wait.recv();
        }
    }
}

/// How a [`WireProxy`] is set up.
#[must_use]
pub struct WireProxyBuilder {
    upstream: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    upstream_tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    clock: Arc<dyn Clock>,
}

impl WireProxyBuilder {
    /// Ends the client's TLS with this configuration; see [`Issued::server_config`](super::Issued::server_config).
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Speaks TLS to the server, which is to be `name`.
    ///
    /// # Panics
    ///
    /// When `name` is neither a host name nor an address.
    pub fn upstream_tls(mut self, config: Arc<ClientConfig>, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a test names its server well");
        self.upstream_tls = Some((config, name));
        self
    }

    /// The clock that [`WireFault::Slow`] pauses by; otherwise the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts passing everything through.
    ///
    /// # Errors
    ///
    /// When no port or thread can be had.
    pub fn start(self) -> io::Result<WireProxy> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            upstream: self.upstream,
            tls: self.tls.map(TlsAcceptor::from),
            upstream_tls: self
                .upstream_tls
                .map(|(config, name)| (TlsConnector::from(config), name)),
            clock: self.clock,
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            healed: watch::Sender::new(0),
        });
        let (commands, inbox) = mpsc::unbounded_channel();
        let worker = Worker::start("wire-proxy", {
            let shared = shared.clone();
            move |stopped| serve(listener, address, shared, inbox, stopped)
        })?;
        Ok(WireProxy {
            address,
            scheme,
            shared,
            commands,
            _worker: worker,
        })
    }
}

impl fmt::Debug for WireProxyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireProxyBuilder")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

/// The port, open or held shut.
enum Port {
    Open(TcpListener),
    /// Bound and not listening: the kernel refuses whoever comes, and nobody else can take the port.
    Shut(TcpSocket),
}

async fn serve(
    listener: std::net::TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    mut stopped: Stopped,
) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut port = Port::Open(listener);
    let mut connections = JoinSet::new();
    let mut cut = watch::Sender::new(());
    loop {
        let accept = async {
            match &port {
                Port::Open(listener) => listener.accept().await,
                Port::Shut(_) => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped.at_least(Stop::Gracefully) => return,
            Some(command) = inbox.recv() => {
                if !command.listen {
                    // Its receivers are the open connections, which end by this.
                    cut = watch::Sender::new(());
                    while connections.join_next().await.is_some() {}
                }
                port = switch(port, command.listen, address).expect("the port stays ours");
                let _ = command.done.send(());
            }
            Some(_) = connections.join_next() => {}
            accepted = accept => {
                // An error here is of one connection that went away before it was taken.
                if let Ok((client, _)) = accepted {
                    connections.spawn(connection(client, shared.clone(), cut.subscribe()));
                }
            }
        }
    }
}

fn switch(port: Port, listen: bool, address: SocketAddr) -> io::Result<Port> {
    match (port, listen) {
        (Port::Open(listener), false) => {
            drop(listener);
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(Port::Shut(socket))
        }
        (Port::Shut(socket), true) => Ok(Port::Open(socket.listen(1024)?)),
        (port, _) => Ok(port),
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

async fn connection(client: TcpStream, shared: Arc<Shared>, mut cut: watch::Receiver<()>) {
    let mut healed = shared.healed.subscribe();
    let hangs = shared.begin_connection();
    let _open = Open(&shared);
    let _ = client.set_nodelay(true);
    if hangs {
        tokio::select! {
            _ = healed.changed() => {}
            _ = cut.changed() => {}
        }
        return reset(&client);
    }
    match &shared.tls {
        None => run(client, &shared, cut).await,
        Some(tls) => {
            // A client that refuses the certificate has its reasons.
            if let Ok(client) = tls.accept(client).await {
                run(client, &shared, cut).await;
            }
        }
    }
}

async fn run(mut client: impl Client, shared: &Shared, mut cut: watch::Receiver<()>) {
    let end = tokio::select! {
        end = relay(&mut client, shared) => end.unwrap_or(End::Reset),
        _ = cut.changed() => End::Reset,
    };
    match end {
        End::Close => {
            let _ = client.shutdown().await;
        }
        End::Reset => reset(client.tcp()),
    }
}

/// One exchange after the other, each with the fault that is set when it begins.
async fn relay(client: &mut impl Client, shared: &Shared) -> io::Result<End> {
    let mut healed = shared.healed.subscribe();
    let mut upstream: Option<Box<dyn Stream>> = None;
    let mut fault = None;
    let mut answered = true;
    let mut sent = 0;
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        let from_upstream = async {
            match &mut upstream {
                Some(upstream) => upstream.read(&mut down).await,
                None => pending().await,
            }
        };
        tokio::select! {
            read = client.read(&mut up) => {
                let read = read?;
                if read == 0 {
                    return Ok(End::Close);
                }
                if answered {
                    (answered, sent) = (false, 0);
                    healed = shared.healed.subscribe();
                    fault = shared.begin_exchange();
                    match &fault {
                        None | Some(WireFault::Slow { .. } | WireFault::ResetAfter(_) | WireFault::CloseAfter(_)) => {}
                        Some(own) => return answer(client, own, &mut healed).await,
                    }
                }
                if upstream.is_none() {
                    upstream = Some(shared.connect().await?);
                }
                if let Some(upstream) = &mut upstream {
                    upstream.write_all(&up[..read]).await?;
                    upstream.flush().await?;
                }
            }
            read = from_upstream => {
                let read = read?;
                if read == 0 {
                    return Ok(End::Close);
                }
                answered = true;
                if let Some(end) = pass(client, &down[..read], fault.as_ref(), &mut sent, shared, &mut healed).await? {
                    return Ok(end);
                }
            }
        }
    }
}

/// Hands a piece of the response on, as the fault allows.
async fn pass(
    client: &mut impl Client,
    bytes: &[u8],
    fault: Option<&WireFault>,
    sent: &mut usize,
    shared: &Shared,
    healed: &mut watch::Receiver<u64>,
) -> io::Result<Option<End>> {
    let (limit, end) = match fault {
        Some(WireFault::Slow { piece, pause }) => {
            for piece in bytes.chunks((*piece).max(1)) {
                tokio::select! {
                    () = shared.clock.sleep(*pause) => {}
                    _ = healed.changed() => return Ok(Some(End::Reset)),
                }
                client.write_all(piece).await?;
                client.flush().await?;
            }
            return Ok(None);
        }
        Some(WireFault::ResetAfter(limit)) => (*limit, End::Reset),
        Some(WireFault::CloseAfter(limit)) => (*limit, End::Close),
        _ => (usize::MAX, End::Close),
    };
    let allowed = bytes.len().min(limit - *sent);
    client.write_all(&bytes[..allowed]).await?;
    client.flush().await?;
    *sent += allowed;
    Ok((*sent == limit).then_some(end))
}

/// Answers in the server's place.
async fn answer(
    client: &mut impl Client,
    fault: &WireFault,
    healed: &mut watch::Receiver<u64>,
) -> io::Result<End> {
    if let Some(response) = fault.response() {
        client.write_all(&response).await?;
        client.shutdown().await?;
        // Closing before the client has sent all would reset the connection, and the response be lost with it.
        drain(client).await?;
        return Ok(End::Close);
    }
    tokio::select! {
        end = endless(client, fault) => end,
        _ = healed.changed() => Ok(End::Reset),
    }
}

async fn endless(client: &mut impl Client, fault: &WireFault) -> io::Result<End> {
    if *fault == WireFault::Endless {
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"data\":\"";
        client.write_all(head).await?;
        let filler = vec![b'a'; 16 << 10];
        loop {
            client.write_all(&filler).await?;
        }
    }
    drain(client).await?;
    Ok(End::Close)
}

async fn drain(client: &mut impl Client) -> io::Result<()> {
    let mut rest = vec![0; 4 << 10];
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The connection ends with RST, which tells the client that data was lost.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}

impl Shared {
    /// Counts the connection and says whether it hangs from the start.
    fn begin_connection(&self) -> bool {
        self.change(|state| {
            state.connections += 1;
            state.open += 1;
            state.fault == Some(WireFault::Hang) && state.take().is_some()
        })
    }

    /// Counts the exchange and says what is wrong with it.
    fn begin_exchange(&self) -> Option<WireFault> {
        self.change(|state| {
            state.requests += 1;
            state.take()
        })
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        match &self.upstream_tls {
            None => Ok(Box::new(stream)),
            Some((tls, name)) => Ok(Box::new(tls.connect(name.clone(), stream).await?)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }
}

impl State {
    /// The fault that is set, unless it has hit as often as it was to.
    fn take(&mut self) -> Option<WireFault> {
        let fault = self.fault.clone();
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                (self.fault, self.left) = (None, None);
            }
        }
        fault
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.open -= 1);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The client's side, whose socket can be reached to be reset.
trait Client: Stream {
    fn tcp(&self) -> &TcpStream;
}

impl Client for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Client for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}
