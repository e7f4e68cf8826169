//! The tables that need nothing but a backend over http: each passes a careful client, and fails one that is careless in
//! one way.

use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrets_core::{Cause, Error, ErrorKind, Fetched, ReadRequest, Result, SecretBackend};
use secrets_testkit::wire::{Endpoint, LeakTable, TlsMatrix, behind_a_proxy};
use secrets_testkit::{Canary, async_trait};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A response: its status, all of its text, and where it leads.
struct Answer {
    status: u16,
    text: String,
    location: Option<String>,
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, token: &str) -> std::io::Result<Answer> {
    let request = format!(
        "GET /secret HTTP/1.1\r\nhost: localhost\r\nauthorization: {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    // A server that says goodbye without TLS's own goodbye has still answered.
    let _ = stream.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let location = text.lines().find_map(|line| line.strip_prefix("location: "));
    Ok(Answer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        location: location.map(Into::into),
        text,
    })
}

async fn get(endpoint: &Endpoint, token: &str) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(endpoint.ca_pem.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(endpoint.address).await?;
    let host = ServerName::try_from("localhost").unwrap();
    exchange(tls.connect(host, stream).await?, token).await
}

/// How a client gets the matrix wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Careless {
    Not,
    CallsItTimeout,
    FollowsRedirects,
    ReadsAnyway,
    SaysNothingOfTls,
    ShowsItsToken,
    TriesWithoutTls,
}

async fn read(careless: Careless, endpoint: Endpoint, token: &str) -> Result<()> {
    let Ok(answer) = get(&endpoint, token).await else {
        if careless == Careless::TriesWithoutTls {
            let stream = TcpStream::connect(endpoint.address).await.unwrap();
            let _ = exchange(stream, token).await;
        }
        let unavailable = |message: String| Err(Error::new(ErrorKind::Unavailable, message));
        return match careless {
            Careless::CallsItTimeout => Err(Error::new(ErrorKind::Timeout, "the certificate took too long")),
            Careless::ReadsAnyway => Ok(()),
            Careless::SaysNothingOfTls => unavailable("no connection".into()),
            Careless::ShowsItsToken => unavailable(format!("TLS failed with {token}")),
            _ => unavailable("the certificate cannot be verified".into()),
        };
    };
    if let (Careless::FollowsRedirects, Some(to)) = (careless, &answer.location) {
        let authority = to.split('/').nth(2).unwrap();
        let _ = TcpStream::connect(authority).await.unwrap();
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("status {}: a redirect is not followed", answer.status),
    ))
}

async fn matrix(careless: Careless) -> std::result::Result<(), String> {
    let token = Canary::random();
    let matrix = TlsMatrix::new("localhost");
    let checked = matrix.check(&token, |endpoint| read(careless, endpoint, token.expose()));
    checked.await.map_err(|failure| failure.reason().to_owned())
}

#[tokio::test]
async fn s3_s4_a_careful_client_passes_the_matrix() {
    matrix(Careless::Not).await.unwrap();
}

#[tokio::test]
async fn s3_s4_a_careless_client_fails_the_matrix() {
    for (careless, cases, reason) in [
        (Careless::CallsItTimeout, 6, "and not one of"),
        (Careless::FollowsRedirects, 10, "the redirect was followed"),
        (Careless::ReadsAnyway, 6, "it was read"),
        (Careless::SaysNothingOfTls, 6, "the message says none of"),
        (Careless::ShowsItsToken, 6, "shows the token"),
        (Careless::TriesWithoutTls, 1, "1 requests were sent"),
    ] {
        let failed = matrix(careless).await.unwrap_err();
        assert_eq!(failed.matches(reason).count(), cases, "{careless:?}: {failed}");
        assert_eq!(failed.lines().count(), cases, "{careless:?}: {failed}");
    }
}

/// A backend over [`get`], and what it does with an answer beside refusing it.
struct Toy {
    endpoint: Endpoint,
    token: String,
    leak: Leak,
    last: Mutex<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leak {
    Nowhere,
    AsksNothing,
    InDebug,
    InItsCause,
    InItsMessage,
    InTraces,
    OfItsToken,
}

impl fmt::Debug for Toy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last.lock().unwrap();
        match self.leak {
            Leak::InDebug => write!(f, "Toy({last})"),
            Leak::OfItsToken => write!(f, "Toy({})", self.token),
            _ => f.write_str("Toy"),
        }
    }
}

#[async_trait]
impl SecretBackend for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn capabilities(&self) -> secrets_core::Capabilities {
        secrets_core::Capabilities::new()
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let unavailable = || Error::new(ErrorKind::Unavailable, "no answer");
        if self.leak == Leak::AsksNothing {
            return Err(unavailable());
        }
        let answer = get(&self.endpoint, &self.token)
            .await
            .map_err(|_| unavailable())?;
        self.last.lock().unwrap().clone_from(&answer.text);
        let kind = match answer.status {
            403 => ErrorKind::PermissionDenied,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            _ => ErrorKind::InvalidData,
        };
        if self.leak == Leak::InTraces {
            tracing::trace!(answer = %answer.text, "read");
        }
        let cause = Cause::new().with_status(answer.status);
        let error = match self.leak {
            Leak::InItsMessage => Error::new(kind, format!("the answer was {}", answer.text)),
            _ => Error::new(kind, "the answer cannot be used"),
        };
        let cause = match self.leak {
            Leak::InItsCause => cause.with_code(answer.text.rsplit("\r\n").next().unwrap_or_default()),
            _ => cause,
        };
        Err(error
            .with_cause(cause)
            .with_backend("toy")
            .with_secret(request.name))
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

async fn table(leak: Leak) -> std::result::Result<Vec<ErrorKind>, String> {
    let [value, token] = [(); 2].map(|()| Canary::random());
    let build = |endpoint: &Endpoint| {
        let toy = Toy {
            endpoint: endpoint.clone(),
            token: token.expose().to_owned(),
            leak,
            last: Mutex::default(),
        };
        Ok(Arc::new(toy) as Arc<dyn SecretBackend>)
    };
    let table = LeakTable::new([value, token.clone()]);
    let kinds = table.check(build, |_| None).await;
    kinds.map_err(|failure| failure.reason().to_owned())
}

#[tokio::test]
async fn s1_e5_s7_a_careful_backend_passes_the_leak_table() {
    let kinds = table(Leak::Nowhere).await.unwrap();
    for kind in [
        ErrorKind::InvalidData,
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::RateLimited,
    ] {
        assert!(kinds.contains(&kind), "{kind} is among {kinds:?}");
    }
}

#[tokio::test]
async fn s1_e5_s7_a_leak_anywhere_fails_the_leak_table() {
    for (leak, reason) in [
        (Leak::AsksNothing, "asked less often"),
        (Leak::InDebug, "of the backend shows a canary"),
        (Leak::InItsCause, "an error shows a canary"),
        (Leak::InItsMessage, "an error shows a canary"),
        (Leak::InTraces, "a record of the process's log shows a canary"),
        (Leak::OfItsToken, "of the backend shows a canary"),
    ] {
        let failed = table(leak).await.unwrap_err();
        assert!(failed.contains(reason), "{leak:?}: {failed}");
    }
}

#[test]
fn s5_what_goes_through_the_proxy_is_noticed() {
    // Inside, the body connects to the proxy that the variable names; outside, that is a panic.
    let outcome = std::panic::catch_unwind(|| {
        behind_a_proxy("s5_what_goes_through_the_proxy_is_noticed", || {
            let proxy = std::env::var("HTTPS_PROXY").unwrap();
            let stream = std::net::TcpStream::connect(proxy.trim_start_matches("http://")).unwrap();
            drop(stream);
        });
    });
    if std::env::var_os("HTTPS_PROXY").is_some_and(|proxy| proxy.to_string_lossy().contains("127.0.0.1")) {
        return outcome.unwrap();
    }
    let panic = outcome.unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("something went through the proxy"), "{message}");
}
