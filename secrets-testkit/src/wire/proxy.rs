use std::fmt;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use secrets_core::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::WireFault;
use super::relay::{Stream, connection};
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

pub(super) struct Shared {
    upstream: SocketAddr,
    pub(super) tls: Option<TlsAcceptor>,
    upstream_tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    pub(super) healed: watch::Sender<u64>,
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

impl Shared {
    /// Counts the connection and says whether it hangs from the start.
    pub(super) fn begin_connection(&self) -> bool {
        self.change(|state| {
            state.connections += 1;
            state.open += 1;
            state.fault == Some(WireFault::Hang) && state.take().is_some()
        })
    }

    pub(super) fn end_connection(&self) {
        self.change(|state| state.open -= 1);
    }

    /// Counts the exchange and says what is wrong with it.
    pub(super) fn begin_exchange(&self) -> Option<WireFault> {
        self.change(|state| {
            state.requests += 1;
            state.take()
        })
    }

    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
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
