use std::net::SocketAddr;

/// Where a store is to be found, and whom to trust.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// `https`, the host name and the port, without a slash at the end.
    pub url: String,
    /// Where that host has to resolve to.
    pub address: SocketAddr,
    /// The authority to trust, as PEM.
    pub ca_pem: String,
}
