//! The way to AWS and to whatever gives out credentials: TLS, no redirects, no proxy to this machine, bounded answers.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use secrets_core::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::endpoint;
use crate::error::{self, config};
use crate::tame::tame;

/// The most that a source of credentials may answer.
pub(crate) const MAX_CREDENTIALS: usize = 256 * 1024;

/// How many values one answer may hold.
const MOST_VALUES: usize = 20;

/// The HTTP client of every SDK client here. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    /// To this machine, and to the addresses where a machine finds its own metadata.
    direct: Connector,
    /// To everybody else: as the variables of proxies say.
    outward: Connector,
    allow_insecure: bool,
    max_value: usize,
}

impl Transport {
    pub(crate) fn new(
        tls: &TlsContext,
        idle_connections: bool,
        allow_insecure: bool,
        max_value: usize,
    ) -> Self {
        let connector = |proxy: ProxyConfig| {
            let mut builder: ConnectorBuilder = Connector::builder().proxy_config(proxy);
            if !idle_connections {
                builder = builder.pool_max_idle_per_host(0);
            }
            builder
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(tls.clone())
                .build()
        };
        Self(Arc::new(Inner {
            direct: connector(ProxyConfig::disabled()),
            outward: connector(ProxyConfig::from_env()),
            allow_insecure,
            max_value,
        }))
    }

    /// Asks `who` gives out credentials.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` for an address or a header that cannot be used; otherwise the kind of what failed on the way.
    pub(crate) async fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&'static str, &str)],
        who: &'static str,
    ) -> Result<Answer> {
        let mut request = HttpRequest::new(SdkBody::empty());
        let addressed = request.set_method(method).is_ok() && request.set_uri(url).is_ok();
        let said = headers.iter().all(|(name, value)| {
            let value = (*value).to_owned();
            request.headers_mut().try_insert(*name, value).is_ok()
        });
        if !addressed || !said {
            return Err(config(format!(
                "{who} has an address or a token that http cannot carry"
            )));
        }
        let answer = async {
            let mut answer = self
                .way(request.uri())?
                .call(request)
                .await
                .map_err(|wire| reach(&wire, who))?;
            let body = gather(&mut answer, MAX_CREDENTIALS)
                .await
                .map_err(|wire| reach(&wire, who))?;
            let status = answer.status().as_u16();
            Ok(Answer { status, body })
        };
        answer.await
    }

    /// Which way a request goes.
    fn way(&self, uri: &str) -> Result<&Connector> {
        let uri = uri
            .parse::<Uri>()
            .map_err(|_| Error::new(ErrorKind::InvalidConfig, "the address of an endpoint is no URL"))?;
        let host = uri.host().unwrap_or_default();
        let near = endpoint::loopback(host) || endpoint::link_local(host);
        if uri.scheme_str() != Some("https") && !near && !self.0.allow_insecure {
            return Err(endpoint::insecure());
        }
        Ok(if near { &self.0.direct } else { &self.0.outward })
    }

    /// The most bytes the answer to this request may have: JSON escapes and base64 make values longer.
    fn limit(&self, request: &HttpRequest) -> usize {
        let one = self.0.max_value.saturating_mul(2);
        match request.headers().get("x-amz-target").map(operation) {
            None => MAX_CREDENTIALS,
            Some("GetSecretValue" | "GetParameter") => one.saturating_add(64 * 1024),
            Some(_) => one.saturating_mul(MOST_VALUES).saturating_add(256 * 1024),
        }
    }
}

impl HttpClient for Transport {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = match self.way(request.uri()) {
            Ok(way) => way,
            Err(refused) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::other(refused.into(), None)));
            }
        };
        let limit = self.limit(&request);
        let asked = request
            .headers()
            .get("x-amz-target")
            .map(|target| operation(target).to_owned());
        let answer = way.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = gather(&mut answer, limit).await?;
            strip(&mut answer);
            let code = answer.headers().get("x-amzn-errortype");
            let body = tame(asked.as_deref(), answer.status().is_success(), code, body);
            *answer.body_mut() = SdkBody::from_body_1_x(Whole::new(Bytes::from_owner(body)));
            Ok(answer)
        })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

/// What follows the service in `x-amz-target`: `secretsmanager.GetSecretValue`.
fn operation(target: &str) -> &str {
    target.rsplit_once('.').map_or(target, |(_, operation)| operation)
}

/// Leaves the headers that are read here, and of those only what they are meant to say: the SDK traces all that there are.
fn strip(answer: &mut HttpResponse) {
    let headers = answer.headers_mut();
    let kept = |name: &str, value: &str| match name {
        "date" => DateTime::from_str(value, Format::HttpDate).is_ok(),
        "retry-after" => error::retry_after(value, SystemTime::UNIX_EPOCH).is_some(),
        "x-amzn-errortype" => value.split([':', '#']).any(error::is_code),
        "x-amzn-requestid" => {
            value.len() <= 64
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        _ => false,
    };
    let others = headers.iter().filter(|(name, value)| !kept(name, value));
    let others: Vec<String> = others.map(|(name, _)| name.to_owned()).collect();
    for name in others {
        headers.remove(name);
    }
}

/// What a source of credentials answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// The failure of the way to `who`.
fn reach(wire: &ConnectorError, who: &str) -> Error {
    let failed = error::transport(wire);
    if failed.cause().is_none() {
        // What this crate says itself.
        return failed;
    }
    let error = Error::new(
        failed.kind(),
        format!("{who} cannot be reached: {}", failed.message()),
    );
    match failed.cause() {
        Some(cause) => error.with_cause(cause.clone()),
        None => error,
    }
}

/// The body of an answer, in one buffer that is wiped.
async fn gather(
    response: &mut HttpResponse,
    limit: usize,
) -> std::result::Result<Zeroizing<Vec<u8>>, ConnectorError> {
    let too_large = || {
        let message = format!("the answer is larger than the {limit} bytes allowed");
        ConnectorError::other(Error::new(ErrorKind::InvalidData, message).into(), None)
    };
    let announced = response.headers().get("content-length");
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(4096).min(limit)));
    let mut body = pin!(response.take_body());
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(ConnectorError::io)?.into_data() else {
            continue;
        };
        let length = whole.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if length > whole.capacity() {
            // A vector that grows by itself leaves its old buffer behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.max(whole.capacity() * 2)));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

/// A body in one piece that does not say so: the SDK traces the bytes of those it knows to be whole.
struct Whole(Option<Bytes>);

impl Whole {
    fn new(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(allow_insecure: bool) -> Transport {
        let trust = aws_smithy_http_client::tls::TrustStore::empty();
        let tls = TlsContext::builder().with_trust_store(trust).build().unwrap();
        Transport::new(&tls, true, allow_insecure, 65_536)
    }

    #[test]
    fn s3_plain_http_stays_on_this_machine() {
        for (uri, near) in [
            ("http://127.0.0.1:4566/", true),
            ("http://localhost/", true),
            ("http://169.254.169.254/latest", true),
            ("http://169.254.170.2/v2", true),
            ("http://[fd00:ec2::254]/latest", true),
            ("http://[::1]:8080/", true),
            ("http://secretsmanager.eu-central-1.amazonaws.com/", false),
            ("http://169.254.169.254.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(transport(false).way(uri).is_ok(), near, "{uri}");
            assert!(transport(true).way(uri).is_ok(), "{uri}");
        }
        assert!(
            transport(false)
                .way("https://secretsmanager.eu-central-1.amazonaws.com/")
                .is_ok()
        );
    }

    #[test]
    fn s7_of_the_headers_of_an_answer_only_those_that_are_read_are_left() {
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        for (name, value) in [
            ("content-length", "7"),
            ("content-type", "hunter2"),
            ("date", "Sun, 06 Nov 1994 08:49:47 GMT"),
            ("location", "https://hunter2"),
            ("retry-after", "7"),
            (
                "x-amzn-errortype",
                "ThrottlingException:http://internal.amazon.com/",
            ),
            ("x-amzn-requestid", "01234567-89ab-cdef-0123-456789abcdef"),
        ] {
            answer.headers_mut().insert(name, value);
        }
        strip(&mut answer);
        let names: Vec<_> = answer.headers().iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        for name in ["date", "retry-after", "x-amzn-errortype"] {
            answer.headers_mut().insert(name, "hunter2 hunter2");
        }
        strip(&mut answer);
        assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
    }

    #[test]
    fn v7_an_answer_has_room_for_what_was_asked() {
        let transport = transport(false);
        let limit = |target: Option<&'static str>| {
            let mut request = HttpRequest::empty();
            if let Some(target) = target {
                request.headers_mut().insert("x-amz-target", target);
            }
            transport.limit(&request)
        };
        assert_eq!(limit(None), MAX_CREDENTIALS);
        assert_eq!(limit(Some("secretsmanager.GetSecretValue")), 2 * 65_536 + 65_536);
        assert_eq!(limit(Some("AmazonSSM.GetParameters")), 40 * 65_536 + 262_144);
    }
}
