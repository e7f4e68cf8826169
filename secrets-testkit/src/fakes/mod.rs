//! Vendors' services as far as their documented API goes, on loopback, for tests of backends and of applications.

#[cfg(feature = "fake-aws")]
pub mod aws;
#[cfg(feature = "fake-azure")]
pub mod azure;
#[cfg(feature = "fake-k8s")]
pub mod k8s;
#[cfg(feature = "fake-vault")]
pub mod vault;
