use secrets_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::api::Mount;
use crate::error::Asked;
use crate::session::Session;

/// What lies at the mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Ask Vault which version of the key/value engine it is, at the first read. Any policy that can read there may ask.
    Detect,
    /// Any engine whose paths are read with a plain `GET`: database, AWS, … What it makes may be leased. No versions, no
    /// list.
    Dynamic,
    /// The key/value engine without versions.
    Kv1,
    /// The key/value engine with versions.
    Kv2,
}

/// The engine, once it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dynamic,
    Kv1,
    Kv2,
}

/// The engine as configured, and as found.
#[derive(Debug)]
pub(crate) struct Detected {
    engine: Engine,
    found: OnceCell<Kind>,
}

impl Detected {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            found: OnceCell::new(),
        }
    }

    /// What is known without asking.
    pub(crate) fn known(&self) -> Option<Kind> {
        match self.engine {
            Engine::Detect => self.found.get().copied(),
            Engine::Dynamic => Some(Kind::Dynamic),
            Engine::Kv1 => Some(Kind::Kv1),
            Engine::Kv2 => Some(Kind::Kv2),
        }
    }

    /// The engine; Vault is asked once.
    pub(crate) async fn kind(&self, session: &Session, mount: &str) -> Result<Kind> {
        match self.known() {
            Some(kind) => Ok(kind),
            None => self
                .found
                .get_or_try_init(|| detect(session, mount))
                .await
                .copied(),
        }
    }
}

async fn detect(session: &Session, mount: &str) -> Result<Kind> {
    #[derive(Deserialize)]
    struct Info<'a> {
        #[serde(rename = "type", borrow)]
        kind: &'a str,
        #[serde(borrow)]
        options: Option<Options<'a>>,
    }
    #[derive(Deserialize)]
    struct Options<'a> {
        #[serde(borrow)]
        version: Option<&'a str>,
    }
    let path = format!("sys/internal/ui/mounts/{mount}");
    let asked = Asked::System { path: &path };
    let (answer, token) = session.send(&Mount { path: mount }).await?;
    let frame = match answer.status {
        200..=299 => answer.parse()?,
        // Vault answers so for a mount that does not exist, too.
        403 => {
            let message = format!(
                "Vault does not say what lies at `{mount}`: it is not mounted, or the policy allows nothing there; check the \
                 mount, or name the engine (`kv=1` or `kv=2`)"
            );
            return Err(Error::new(ErrorKind::PermissionDenied, message).with_cause(answer.cause()));
        }
        _ => return Err(Session::explain(asked, &answer, &token)),
    };
    let info = frame.data::<Info<'_>>()?;
    match (info.kind, info.options.and_then(|options| options.version)) {
        ("kv" | "generic", Some("2")) => Ok(Kind::Kv2),
        ("kv" | "generic" | "cubbyhole", _) => Ok(Kind::Kv1),
        _ => Ok(Kind::Dynamic),
    }
}
