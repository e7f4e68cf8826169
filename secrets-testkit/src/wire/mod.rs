//! What stands between a client and a store, on loopback: HTTP servers to build fakes of vendors on, certificates good
//! and bad, and wires that break.
//!
//! Everything here runs on a thread of its own, so that it can be shared by tests on different runtimes, and ends when
//! its handle is dropped.

mod body;
mod ca;
mod fault;
mod proxy;
mod relay;
mod server;
mod worker;

pub use body::{Aborted, Body, BodySender};
pub use bytes::Bytes;
pub use ca::{Issued, TestCa};
pub use fault::WireFault;
pub use http;
pub use proxy::{WireProxy, WireProxyBuilder};
pub use server::{Connection, HttpServer, HttpServerBuilder, Request, Response};
