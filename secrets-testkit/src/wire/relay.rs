//! What happens on one connection of a proxy.

use std::future::pending;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::WireFault;
use super::proxy::Shared;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

pub(super) async fn connection(client: TcpStream, shared: Arc<Shared>, mut cut: watch::Receiver<()>) {
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
            let accepted = tokio::select! {
                accepted = tls.accept(client) => accepted,
                _ = cut.changed() => return,
            };
            // A client that refuses the certificate has its reasons.
            if let Ok(client) = accepted {
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
        // A client that takes nothing keeps even a goodbye waiting.
        End::Close => tokio::select! {
            _ = client.shutdown() => {}
            _ = cut.changed() => reset(client.tcp()),
        },
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

struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.end_connection();
    }
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

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
