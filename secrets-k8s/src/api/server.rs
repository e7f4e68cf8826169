//! The questions that are asked of the API server.

use std::fmt;
use std::time::Duration;

use http::Request;
use http::header::HeaderValue;
use kube::core::Request as Resource;
use kube::core::params::{GetParams, ListParams, WatchParams};
use secrets_core::{Error, ErrorKind, Result};

use super::answer::Answer;
use super::error::{self, Asked, Verb};
use super::login::Login;
use super::object::{Object, ObjectMeta, Partial};
use super::transport::{Opened, Transport};
use crate::values::Values;

/// A page of a list may have so many bytes, or as many as one Secret.
const PAGE: usize = 8 * 1024 * 1024;

/// The API server, and one namespace of it.
pub(super) struct Server {
    pub(super) transport: Transport,
    pub(super) login: Login,
    pub(super) namespace: Box<str>,
    /// How long one request may take.
    pub(super) limit: Duration,
    pub(super) values: Values,
}

/// What is to be watched or listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All Secrets of the namespace.
    All,
    /// Those with these labels.
    Labelled(Box<str>),
    /// The one of this name.
    Named(Box<str>),
}

impl Server {
    /// A Secret; [`object`](Server::object) reads the answer.
    pub(super) async fn secret(&self, secret: &str) -> Result<Answer> {
        let request = self.resource().get(secret, &GetParams::default());
        self.send(request.map_err(defect)?, self.max_answer()).await
    }

    /// The Secret that was asked for, out of the answer.
    ///
    /// # Errors
    ///
    /// As [`Answer::read`]; `InvalidData` when the answer is about anything else: an object of another kind that happens to
    /// have no data is no empty Secret.
    pub(super) fn object<'a>(&self, answer: &'a Answer, secret: &str) -> Result<Object<'a>> {
        let object: Object<'_> = answer.read(self.asked(Verb::Get, Some(secret)))?;
        check_name(&object.metadata, secret, answer)?;
        Ok(object)
    }

    /// The version of a Secret, without its values.
    pub(super) async fn version(&self, secret: &str) -> Result<String> {
        let request = self.resource().get_metadata(secret, &GetParams::default());
        let answer = self.send(request.map_err(defect)?, self.max_answer()).await?;
        let partial: Partial<'_> = answer.read(self.asked(Verb::Get, Some(secret)))?;
        check_name(&partial.metadata, secret, &answer)?;
        Ok(partial.metadata.version.into_owned())
    }

    /// A page of Secrets; [`Page`](super::object::Page) reads the answer.
    pub(super) async fn page(&self, scope: &Scope, count: u32, next: Option<&str>) -> Result<Answer> {
        let request = self.resource().list(&listing(scope, count, next));
        self.send(request.map_err(defect)?, self.max_page()).await
    }

    /// A page of Secrets without their values.
    pub(super) async fn page_of_metadata(
        &self,
        scope: &Scope,
        count: u32,
        next: Option<&str>,
    ) -> Result<Answer> {
        let request = self.resource().list_metadata(&listing(scope, count, next));
        self.send(request.map_err(defect)?, self.max_page()).await
    }

    /// Changes, without values: from `version` on, or from now on where there is none.
    pub(super) async fn watch(&self, scope: &Scope, version: Option<&str>, life: Duration) -> Result<Opened> {
        let params = WatchParams::default().timeout(u32::try_from(life.as_secs()).unwrap_or(u32::MAX));
        let params = match scope {
            Scope::All => params,
            Scope::Labelled(labels) => params.labels(labels),
            Scope::Named(name) => params.fields(&format!("metadata.name={name}")),
        };
        let request = self
            .resource()
            .watch_metadata(&params, version.unwrap_or_default())
            .map_err(defect)?;
        let login = self.login.header().await?;
        let opened = match self.open(&request, login.as_ref()).await? {
            opened if opened.status() == 401 && self.login.refused(login.as_ref()).await? => {
                let login = self.login.header().await?;
                self.open(&request, login.as_ref()).await?
            }
            opened => opened,
        };
        if opened.status() == 200 {
            return Ok(opened);
        }
        let secret = match scope {
            Scope::Named(name) => Some(&**name),
            Scope::All | Scope::Labelled(_) => None,
        };
        let refused = opened.read(self.max_answer());
        let answer = self.transport.within(self.limit, refused).await?;
        Err(error::refused(self.asked(Verb::Watch, secret), &answer))
    }

    /// Sends a request with a login, and once more with a new login when the API server does not accept the first.
    pub(super) async fn send(&self, request: Request<Vec<u8>>, max: usize) -> Result<Answer> {
        let login = self.login.header().await?;
        let answer = self.send_with(&request, login.as_ref(), max).await?;
        if answer.status != 401 || !self.login.refused(login.as_ref()).await? {
            return Ok(answer);
        }
        let login = self.login.header().await?;
        self.send_with(&request, login.as_ref(), max).await
    }

    pub(super) fn asked<'a>(&'a self, verb: Verb, secret: Option<&'a str>) -> Asked<'a> {
        Asked {
            verb,
            namespace: &self.namespace,
            secret,
        }
    }

    /// The largest answer that may hold an allowed Secret: base64 makes it longer, and what `kubectl apply` leaves in an
    /// annotation may double it.
    pub(super) fn max_answer(&self) -> usize {
        self.values.max.saturating_mul(3).saturating_add(256 * 1024)
    }

    fn max_page(&self) -> usize {
        PAGE.max(self.max_answer())
    }

    fn resource(&self) -> Resource {
        Resource::new(format!("/api/v1/namespaces/{}/secrets", self.namespace))
    }

    async fn send_with(
        &self,
        request: &Request<Vec<u8>>,
        login: Option<&HeaderValue>,
        max: usize,
    ) -> Result<Answer> {
        match self.transport.send(request, login, self.limit, max).await {
            Err(error) if self.trusts_anew(&error) => {
                self.transport.send(request, login, self.limit, max).await
            }
            sent => sent,
        }
    }

    async fn open(&self, request: &Request<Vec<u8>>, login: Option<&HeaderValue>) -> Result<Opened> {
        match self.transport.open_within(request, login, self.limit).await {
            Err(error) if self.trusts_anew(&error) => {
                self.transport.open_within(request, login, self.limit).await
            }
            opened => opened,
        }
    }

    /// Whether the certificate was refused, and other authorities may accept it.
    fn trusts_anew(&self, error: &Error) -> bool {
        let code = error.cause().and_then(|cause| cause.code());
        code == Some(error::TLS) && self.transport.reload().is_ok()
    }
}

fn listing(scope: &Scope, count: u32, next: Option<&str>) -> ListParams {
    let params = ListParams::default().limit(count);
    let params = match scope {
        Scope::All => params,
        Scope::Labelled(labels) => params.labels(labels),
        Scope::Named(name) => params.fields(&format!("metadata.name={name}")),
    };
    match next {
        Some(next) => params.continue_token(next),
        None => params,
    }
}

fn check_name(found: &ObjectMeta<'_>, asked: &str, answer: &Answer) -> Result<()> {
    if found.name == asked {
        return Ok(());
    }
    let message = "the answer is about something else than was asked for; something between this and the API server mixes up \
                   answers";
    Err(Error::new(ErrorKind::InvalidData, message).with_cause(answer.cause()))
}

fn defect(_: kube::core::request::Error) -> Error {
    Error::new(
        ErrorKind::Internal,
        "a request to the API server could not be written",
    )
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("transport", &self.transport)
            .field("namespace", &self.namespace)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}
