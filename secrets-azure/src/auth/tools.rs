use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential,
    AzureDeveloperCliCredentialOptions, Executor,
};
use secrets_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{Method, Way};
use crate::error;
use crate::token::Grant;

/// No token is larger.
const MAX_OUTPUT: usize = 64 * 1024;

/// A program that a developer has logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Az,
    Azd,
}

impl Tool {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Az => "Azure CLI",
            Self::Azd => "Azure Developer CLI",
        }
    }

    /// Runs it once.
    pub(super) async fn login(self, way: Way<'_>) -> Result<Grant> {
        let since = way.transport.clock().boot();
        let runner = Arc::new(Runner::default());
        let executor: Arc<dyn Executor> = runner.clone();
        match self {
            Self::Az => {
                let options = AzureCliCredentialOptions {
                    executor: Some(executor),
                    ..AzureCliCredentialOptions::default()
                };
                ask(AzureCliCredential::new(Some(options)), way.scope).await;
            }
            Self::Azd => {
                let options = AzureDeveloperCliCredentialOptions {
                    executor: Some(executor),
                    ..AzureDeveloperCliCredentialOptions::default()
                };
                ask(AzureDeveloperCliCredential::new(Some(options)), way.scope).await;
            }
        }
        let ran = runner.ran.lock().unwrap_or_else(PoisonError::into_inner).take();
        let problem = match ran {
            Some(Ran {
                code: Some(0),
                output,
                ..
            }) => return way.grant(self.name(), &output, since),
            Some(Ran { code: Some(127), .. }) => "it is not on the path",
            Some(Ran { logged_out: true, .. }) => match self {
                Self::Az => "nobody is logged in; run `az login`",
                Self::Azd => "nobody is logged in; run `azd auth login`",
            },
            Some(_) => "it failed; run it by hand to see why",
            None => "it cannot be run",
        };
        let message = format!("no login by {}: {problem}", self.name());
        Err(Error::new(ErrorKind::Unauthenticated, message))
    }
}

async fn ask<C: TokenCredential>(credential: azure_core::Result<Arc<C>>, scope: &str) {
    if let Ok(credential) = credential {
        // What was printed is with the runner; what the SDK makes of it is of no interest.
        let _ = credential.get_token(&[scope], None).await;
    }
}

/// Developers' tools, in this order.
#[derive(Debug)]
pub(super) struct Tools(&'static [Tool]);

impl Tools {
    pub(super) fn new(tools: &'static [Tool]) -> Self {
        Self(tools)
    }
}

#[async_trait]
impl Method for Tools {
    fn name(&self) -> &'static str {
        match self.0 {
            [tool] => tool.name(),
            _ => "developer tools",
        }
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn login(&self, way: Way<'_>) -> Result<Grant> {
        if let [tool] = self.0 {
            return tool.login(way).await;
        }
        let mut refusals = Vec::new();
        for tool in self.0 {
            match tool.login(way).await {
                Ok(grant) => return Ok(grant),
                Err(error) => refusals.push(error.message().to_owned()),
            }
        }
        Err(Error::new(ErrorKind::Unauthenticated, refusals.join("; ")))
    }
}

/// Runs the command that the SDK has written, and keeps what it prints from it: bounded, and wiped.
#[derive(Default)]
struct Runner {
    ran: Mutex<Option<Ran>>,
}

struct Ran {
    code: Option<i32>,
    output: Zeroizing<Vec<u8>>,
    logged_out: bool,
}

#[async_trait]
impl Executor for Runner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (output, complaint) = (child.stdout.take(), child.stderr.take());
        let (output, complaint) = tokio::join!(read(output), read(complaint));
        let status = child.wait().await?;
        let complaint = String::from_utf8_lossy(&complaint).to_ascii_lowercase();
        let ran = Ran {
            code: status.code(),
            output,
            logged_out: ["az login", "azd auth login", "not logged in"]
                .iter()
                .any(|phrase| complaint.contains(phrase)),
        };
        *self.ran.lock().unwrap_or_else(PoisonError::into_inner) = Some(ran);
        Err(io::Error::other("the output is kept elsewhere"))
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// What a pipe brings, up to the limit; the rest is taken and dropped, so that the program can end.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT));
    let Some(mut pipe) = pipe else { return kept };
    let mut buffer = Zeroizing::new([0; 4096]);
    while let Ok(len @ 1..) = pipe.read(&mut *buffer).await {
        let room = MAX_OUTPUT - kept.len();
        kept.extend_from_slice(&buffer[..len.min(room)]);
    }
    kept
}

/// Too slow for the default order.
pub(super) fn too_slow(tool: Tool, limit: std::time::Duration) -> Error {
    error::login_timeout(tool.name(), limit)
}
