//! What stands between a client and a store, on loopback: HTTP servers to build fakes of vendors on, certificates good
//! and bad, and wires that break.
//!
//! Everything here runs on a thread of its own, so that it can be shared by tests on different runtimes, and ends when
//! its handle is dropped.

mod body;
mod ca;
mod endpoint;
mod fault;
mod leak_table;
mod proxied;
mod proxy;
mod relay;
mod server;
mod tls_matrix;
mod worker;

pub use body::{Aborted, Body, BodySender};
pub use bytes::Bytes;
pub use ca::{Issued, TestCa};
pub use endpoint::Endpoint;
pub use fault::WireFault;
pub use http;
pub use leak_table::LeakTable;
pub use proxied::behind_a_proxy;
pub use proxy::{WireProxy, WireProxyBuilder};
pub use server::{Connection, HttpServer, HttpServerBuilder, Request, Response};
pub use tls_matrix::{TlsCase, TlsMatrix};
