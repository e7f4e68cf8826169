//! Who we are to the API server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Response};
use kube::client::ConfigExt as _;
use kube::client::middleware::AuthLayer;
use kube::config::Config;
use secrecy::ExposeSecret;
use secrets_core::{Cause, Clock, Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tower::util::BoxService;
use tower::{BoxError, Layer, ServiceExt as _, service_fn};
use zeroize::Zeroizing;

use super::error::{self, config};
use super::transport::secret_header;

/// A token in a file is read again after this: the kubelet replaces it long before it ends.
const FRESH: Duration = Duration::from_secs(60);

/// A plugin that the API server has refused once is not asked again within this.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// A token is a few kilobytes.
const MOST: u64 = 64 * 1024;

/// A login, as it stands in a header, and how to get the next one.
pub(super) struct Login {
    method: Method,
    clock: Arc<dyn Clock>,
    limit: Duration,
    held: Mutex<Held>,
}

enum Method {
    /// A certificate, or nothing at all.
    None,
    Fixed(HeaderValue),
    TokenFile(PathBuf),
    /// A command, or another way that kube knows.
    Plugin(Box<Config>),
}

#[derive(Default)]
struct Held {
    current: Option<Current>,
    /// When a refusal last led to another login.
    replaced: Option<Duration>,
    /// kube's own, which keeps what a plugin said for as long as that is valid.
    layer: Option<Arc<AuthLayer>>,
    /// A plugin that has not said anything yet. It outlives whoever gave up waiting for it, so that there is never more than
    /// one.
    asked: Option<JoinHandle<Result<Brought>>>,
}

/// kube's layer, and what it puts on a request.
type Brought = (Arc<AuthLayer>, Option<HeaderValue>);

#[derive(Clone)]
struct Current {
    header: HeaderValue,
    read_at: Duration,
}

impl Login {
    /// Takes the credentials out of a configuration.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for a token that no header can hold.
    pub(super) fn new(from: &mut Config, limit: Duration, clock: Arc<dyn Clock>) -> Result<Self> {
        let auth = &mut from.auth_info;
        let method = if let Some(token) = auth.token.take() {
            let token = token.expose_secret().trim().as_bytes();
            let header = (!token.is_empty())
                .then(|| secret_header(&[b"Bearer ", token]))
                .flatten();
            Method::Fixed(header.ok_or_else(|| {
                config("the token is empty, or contains a character that no HTTP header can hold")
            })?)
        } else if let Some(path) = auth.token_file.take() {
            Method::TokenFile(path.into())
        } else if auth.exec.is_some() || auth.auth_provider.is_some() || auth.username.is_some() {
            Method::Plugin(Box::new(from.clone()))
        } else {
            Method::None
        };
        Ok(Self {
            method,
            clock,
            limit,
            held: Mutex::default(),
        })
    }

    /// What to send along; `None` for nothing.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when it cannot be had, `Timeout` when a plugin takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a plugin that is running goes on, and what it brings is used.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        match &self.method {
            Method::None => Ok(None),
            Method::Fixed(header) => Ok(Some(header.clone())),
            Method::TokenFile(path) => {
                let mut held = self.held.lock().await;
                let now = self.clock.boot();
                if let Some(current) = &held.current {
                    if now < current.read_at + FRESH {
                        return Ok(Some(current.header.clone()));
                    }
                }
                self.read_again(&mut held, path, now).await.map(Some)
            }
            Method::Plugin(from) => {
                let mut held = self.held.lock().await;
                self.within(ask(&mut held, from)).await
            }
        }
    }

    /// The API server has refused this: whether there is something else to send now.
    pub(super) async fn refused(&self, header: Option<&HeaderValue>) -> Result<bool> {
        match &self.method {
            Method::None | Method::Fixed(_) => Ok(false),
            Method::TokenFile(path) => {
                let mut held = self.held.lock().await;
                let now = self.clock.boot();
                // Somebody else may have read another one meanwhile.
                let current = held.current.as_ref().map(|current| &current.header);
                if current != header {
                    return Ok(true);
                }
                Ok(Some(&self.read_again(&mut held, path, now).await?) != header)
            }
            Method::Plugin(_) => {
                let mut held = self.held.lock().await;
                let now = self.clock.boot();
                if held.replaced.is_some_and(|at| now < at + COOL_DOWN) {
                    return Ok(false);
                }
                held.replaced = Some(now);
                held.layer = None;
                Ok(true)
            }
        }
    }

    async fn read_again(
        &self,
        held: &mut Held,
        path: &std::path::Path,
        now: Duration,
    ) -> Result<HeaderValue> {
        let path = path.to_owned();
        match self.within(blocking(move || read(&path))).await {
            Ok(header) => {
                held.current = Some(Current {
                    header: header.clone(),
                    read_at: now,
                });
                Ok(header)
            }
            // The file may be gone on purpose, and what was in it still be good (kubernetes/kubernetes#68164).
            Err(error) => match &mut held.current {
                Some(current) => {
                    current.read_at = now;
                    Ok(current.header.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(self.limit) => Err(error::timeout("the way to log in", self.limit)),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match &self.method {
            Method::None => "none",
            Method::Fixed(_) => "token",
            Method::TokenFile(_) => "token file",
            Method::Plugin(_) => "plugin",
        };
        f.debug_tuple("Login").field(&method).finish()
    }
}

fn read(path: &std::path::Path) -> Result<HeaderValue> {
    use std::io::Read as _;

    let failed = |error: &std::io::Error| {
        let message = format!("the token cannot be read from {}", path.display());
        Error::new(ErrorKind::Unauthenticated, message).with_cause(Cause::from(error))
    };
    // Opening anything else may wait for ever.
    if !std::fs::metadata(path).map_err(|error| failed(&error))?.is_file() {
        let message = format!("the token cannot be read: {} is no regular file", path.display());
        return Err(Error::new(ErrorKind::Unauthenticated, message));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let length = file.metadata().map_err(|error| failed(&error))?.len().min(MOST);
    // One more byte than there are: the buffer does not grow, and a larger file is seen to be larger.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    let mut limited = file.take(length + 1);
    limited.read_to_end(&mut text).map_err(|error| failed(&error))?;
    if u64::try_from(text.len()).is_ok_and(|read| read > length) {
        let message = format!(
            "the token in {} is larger than {MOST} bytes, or is being written; replace the file by renaming another one over it",
            path.display()
        );
        return Err(Error::new(ErrorKind::Unauthenticated, message));
    }
    let token = text.trim_ascii();
    let header = (!token.is_empty())
        .then(|| secret_header(&[b"Bearer ", token]))
        .flatten();
    header.ok_or_else(|| {
        let message = format!("there is no token in {}", path.display());
        Error::new(ErrorKind::Unauthenticated, message)
    })
}

/// Has kube put its header on a request that goes nowhere.
async fn ask(held: &mut Held, from: &Config) -> Result<Option<HeaderValue>> {
    let asked = held
        .asked
        .get_or_insert_with(|| tokio::spawn(bring(held.layer.clone(), from.clone())));
    let brought = asked.await;
    held.asked = None;
    let (layer, header) = brought.unwrap_or_else(|_| Err(cut_short()))?;
    held.layer = Some(layer);
    Ok(header)
}

async fn bring(layer: Option<Arc<AuthLayer>>, from: Config) -> Result<Brought> {
    let layer = if let Some(layer) = layer {
        layer
    } else {
        let made = blocking(move || from.auth_layer().map_err(|_| failed())).await?;
        Arc::new(made.ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "the plugin of the kubeconfig brings no token; client certificates of plugins are not supported",
            )
        })?)
    };
    let header = shown(&layer).await?;
    Ok((layer, header))
}

/// What kube's layer puts on a request.
async fn shown(layer: &AuthLayer) -> Result<Option<HeaderValue>> {
    let service = boxed(layer);
    let asked = service.oneshot(Request::new(kube::client::Body::empty())).await;
    let mut header = asked.map_err(|_| failed())?.into_body();
    if let Some(header) = &mut header {
        header.set_sensitive(true);
    }
    Ok(header)
}

type Seen = BoxService<Request<kube::client::Body>, Response<Option<HeaderValue>>, BoxError>;

/// Boxed: the compiler does not see that the service's own future can be sent.
fn boxed(layer: &AuthLayer) -> Seen {
    let seen = service_fn(|request: Request<kube::client::Body>| {
        let header = request.headers().get(AUTHORIZATION).cloned();
        std::future::ready(Ok::<_, BoxError>(Response::new(header)))
    });
    BoxService::new(layer.layer(seen).map_err(BoxError::from))
}

/// What kube says may quote what a plugin printed.
fn failed() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "the way to log in that the kubeconfig names has failed; try it with `kubectl auth whoami`",
    )
}

/// Does `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(cut_short()))
}

fn cut_short() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "logging in was cut short: it panicked, or the tokio runtime is shutting down",
    )
}
