use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use secrets_core::{Error, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::worker::{Stop, Stopped, Worker};
use super::{Body, Endpoint, HttpServer, Issued, Response, TestCa};
use crate::bench::ensure;
use crate::printed::Printed;
use crate::{Canary, Failure};

/// Every way in which the way to a store is wrong, and a client must not go on (laws S3 and S4).
///
/// ```
/// use secrets_core::{Error, ErrorKind};
/// use secrets_testkit::Canary;
/// use secrets_testkit::wire::TlsMatrix;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let token = Canary::random();
/// let matrix = TlsMatrix::new("localhost");
/// let checked = matrix.check(&token, async |endpoint| {
///     // Build the backend for `endpoint.url`, trusting `endpoint.ca_pem`, with the token; read; return the outcome.
/// #   let _ = endpoint;
///     Err(Error::new(ErrorKind::Unavailable, "the certificate is not trusted, or a redirect was not followed"))
/// });
/// checked.await.unwrap();
/// # });
/// ```
#[derive(Debug)]
pub struct TlsMatrix {
    host: String,
    redirected: Vec<ErrorKind>,
}

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsCase {
    /// The certificate ended long ago.
    Expired,
    /// The certificate begins in the far future.
    NotYetValid,
    /// The server knows TLS 1.1 and nothing newer.
    OldTls,
    /// The certificate is for another name.
    OtherName,
    /// The server speaks plain http where https was asked for.
    Plain,
    /// Every answer sends the client to another host, whose certificate is good.
    RedirectToHost,
    /// Every answer sends the client to plain http.
    RedirectToHttp,
    /// The certificate is of an authority that nobody was told to trust.
    Untrusted,
}

impl TlsCase {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Expired,
        Self::NotYetValid,
        Self::OldTls,
        Self::OtherName,
        Self::Plain,
        Self::RedirectToHost,
        Self::RedirectToHttp,
        Self::Untrusted,
    ];

    fn is_redirect(self) -> bool {
        matches!(self, Self::RedirectToHost | Self::RedirectToHttp)
    }
}

impl fmt::Display for TlsCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "a certificate that has expired",
            Self::NotYetValid => "a certificate that is not valid yet",
            Self::OldTls => "a server that knows TLS 1.1 only",
            Self::OtherName => "a certificate for another name",
            Self::Plain => "a server that speaks plain http",
            Self::RedirectToHost => "a redirect to another host",
            Self::RedirectToHttp => "a redirect to plain http",
            Self::Untrusted => "a certificate of an unknown authority",
        })
    }
}

impl TlsMatrix {
    /// For a client that knows the store by this host name, which is `localhost` unless the client can be told where a host
    /// is to be found.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            redirected: vec![ErrorKind::Unavailable],
        }
    }

    /// The kinds that a redirect may end in; `Unavailable` unless set. Whatever else is wrong is `Unavailable`.
    #[must_use]
    pub fn redirect_is(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.redirected = kinds.into_iter().collect();
        self
    }

    /// Reads through each case, with a client that holds `token`.
    ///
    /// Each has to end in an error of the right kind whose message says that it is TLS, or a redirect. Nothing is sent to
    /// who cannot show a good certificate, nothing at all to where a redirect leads, and the error shows no token.
    ///
    /// # Errors
    ///
    /// Everything that is not so, case by case.
    pub async fn check<F>(&self, token: &Canary, read: impl Fn(Endpoint) -> F) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let mut wrong = Vec::new();
        for case in TlsCase::ALL {
            let statuses: &[u16] = if case.is_redirect() { &REDIRECTS } else { &[0] };
            for &status in statuses {
                if let Err(failure) = self.check_case(case, status, token, &read).await {
                    wrong.push(format!("{case} ({status}): {}", failure.reason()));
                }
            }
        }
        ensure(wrong.is_empty(), || wrong.join("\n"))
    }

    async fn check_case<F>(
        &self,
        case: TlsCase,
        status: u16,
        token: &Canary,
        read: impl Fn(Endpoint) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let scene = Scene::new(&self.host, case, status);
        let scene = scene.map_err(|error| Failure::new(error.to_string()))?;
        let outcome = tokio::time::timeout(PATIENCE, read(scene.endpoint.clone())).await;
        let Err(error) = outcome.map_err(|_| Failure::new("it did not end"))? else {
            return Err(Failure::new("it was read"));
        };
        let (kinds, words): (&[_], &[_]) = if case.is_redirect() {
            (&self.redirected, &["redirect"])
        } else {
            (&[ErrorKind::Unavailable], &["TLS", "certificate"])
        };
        ensure(kinds.contains(&error.kind()), || {
            format!("the error is {error}, and not one of {kinds:?}")
        })?;
        ensure(words.iter().any(|word| error.message().contains(word)), || {
            format!("the message says none of {words:?}: {error}")
        })?;
        let mut printed = Printed::default();
        printed.error(&error);
        printed.shows_nothing_of("the token", token)?;
        scene.was_told_nothing().await
    }
}

/// How long one read may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// The statuses that send a client elsewhere.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// One case, with its servers.
struct Scene {
    endpoint: Endpoint,
    /// Who must not get a request.
    impostor: Option<HttpServer>,
    /// Who must not even be connected to.
    elsewhere: Option<HttpServer>,
    /// Who may be asked, and answers with a redirect.
    _redirecting: Option<HttpServer>,
    _old: Option<OldServer>,
}

impl Scene {
    fn new(host: &str, case: TlsCase, status: u16) -> io::Result<Self> {
        let ca = TestCa::new();
        let serve = |issued: Issued| {
            let tls = issued.server_config();
            HttpServer::builder().tls(tls).start(greet)
        };
        let plain = || HttpServer::start(greet);
        match case {
            TlsCase::Expired => Ok(Self::impostor(host, &ca, serve(ca.issue_expired([host]))?)),
            TlsCase::NotYetValid => Ok(Self::impostor(host, &ca, serve(ca.issue_not_yet_valid([host]))?)),
            TlsCase::OldTls => {
                let old = OldServer::start()?;
                Ok(Self {
                    _old: Some(old.1),
                    ..Self::at(host, old.0, &ca)
                })
            }
            TlsCase::OtherName => Ok(Self::impostor(host, &ca, serve(ca.issue(["other.invalid"]))?)),
            TlsCase::Plain => Ok(Self::impostor(host, &ca, plain()?)),
            TlsCase::RedirectToHost => Self::redirecting(host, &ca, status, serve(ca.issue(["127.0.0.1"]))?),
            TlsCase::RedirectToHttp => Self::redirecting(host, &ca, status, plain()?),
            TlsCase::Untrusted => Ok(Self::impostor(host, &ca, serve(TestCa::new().issue([host]))?)),
        }
    }

    fn at(host: &str, address: SocketAddr, ca: &TestCa) -> Self {
        Self {
            endpoint: Endpoint {
                url: format!("https://{host}:{}", address.port()),
                address,
                ca_pem: ca.pem().to_owned(),
            },
            impostor: None,
            elsewhere: None,
            _redirecting: None,
            _old: None,
        }
    }

    fn impostor(host: &str, ca: &TestCa, server: HttpServer) -> Self {
        let scene = Self::at(host, server.address(), ca);
        Self {
            impostor: Some(server),
            ..scene
        }
    }

    /// A good server whose every answer leads elsewhere.
    fn redirecting(host: &str, ca: &TestCa, status: u16, elsewhere: HttpServer) -> io::Result<Self> {
        let to = HeaderValue::from_str(&format!("{}/", elsewhere.url())).map_err(io::Error::other)?;
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        let tls = ca.issue([host]).server_config();
        let server = HttpServer::builder().tls(tls).start(move |_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response.headers_mut().insert(header::LOCATION, to.clone());
            async { response }
        })?;
        Ok(Self {
            elsewhere: Some(elsewhere),
            ..Self::at(host, server.address(), ca).with_redirecting(server)
        })
    }

    fn with_redirecting(self, server: HttpServer) -> Self {
        Self {
            _redirecting: Some(server),
            ..self
        }
    }

    async fn was_told_nothing(&self) -> Result<(), Failure> {
        let requests = self.impostor.as_ref().map_or(0, HttpServer::request_count);
        ensure(requests == 0, || format!("{requests} requests were sent"))?;
        let Some(elsewhere) = &self.elsewhere else {
            return Ok(());
        };
        // Connections are taken in order: once this one has got its answer, all that came before have been counted.
        let probed = probe(elsewhere.address()).await;
        probed.map_err(|error| {
            Failure::new(format!("cannot tell whether the redirect was followed: {error}"))
        })?;
        ensure(elsewhere.connection_count() == 1, || {
            "the redirect was followed".into()
        })
    }
}

/// Connects, says nothing that makes sense, and waits for the end.
async fn probe(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"what?\r\n\r\n").await?;
    stream.shutdown().await?;
    // How it ends is no matter.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}

async fn greet(_: super::Request) -> Response {
    Response::new("{}".into())
}

/// A server whose answer to any handshake is a `ServerHello` of TLS 1.1. No library in use here can speak that any more.
struct OldServer(#[allow(dead_code, reason = "it ends when it is dropped")] Worker);

impl OldServer {
    fn start() -> io::Result<(SocketAddr, Self)> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let worker = Worker::start("old-tls-server", |stop| serve_old(listener, stop))?;
        Ok((address, Self(worker)))
    }
}

async fn serve_old(listener: std::net::TcpListener, mut stop: Stopped) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut stream, _)) = accepted else { continue };
                let mut hello = [0; 4096];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(&old_server_hello()).await;
                let _ = stream.shutdown().await;
                // The client's alert, or its end.
                let _ = stream.read(&mut hello).await;
            }
            () = stop.at_least(Stop::Gracefully) => return,
        }
    }
}

/// RFC 4346: a handshake record (22) of version 3.2 with a `ServerHello` (2) that chooses version 3.2, no session and
/// `TLS_RSA_WITH_AES_128_CBC_SHA`.
fn old_server_hello() -> Vec<u8> {
    let random = [0x5a; 32];
    let body = [&[3, 2][..], &random, &[0, 0x00, 0x2f, 0]].concat();
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("it is short");
    let handshake = [&[2, 0, 0, length(&body)][..], &body].concat();
    [&[22, 3, 2, 0, length(&handshake)][..], &handshake].concat()
}

impl fmt::Debug for OldServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OldServer").finish_non_exhaustive()
    }
}
