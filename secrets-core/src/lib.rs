//! The interface, cache and manager that every backend of `secrets` plugs into.

#![forbid(unsafe_code)]

mod backend;
mod clock;
mod error;
#[cfg(feature = "test-util")]
mod fake_clock;
mod fallback;
mod fields;
mod loader;
mod manager;
mod merged;
mod metadata;
mod name;
mod reference;
mod router;
mod secret;
mod trace;
mod version;
mod watch;

pub use backend::{Capabilities, Fetched, ReadRequest, SecretBackend};
pub use clock::{Clock, SystemClock};
pub use error::{Cause, Error, ErrorKind, Result};
#[cfg(feature = "test-util")]
pub use fake_clock::FakeClock;
pub use fallback::FallbackBackend;
pub use fields::Field;
pub use loader::ConfigSecretLoader;
pub use manager::{
    Closed, HandleState, SecretGuard, SecretHandle, SecretManager, SecretManagerBuilder, SecretStats,
};
pub use metadata::{Lease, Metadata};
pub use name::SecretName;
pub use reference::SecretRef;
pub use router::{PrefixRouter, PrefixRouterBuilder};
pub use secret::Secret;
#[cfg(feature = "test-util")]
pub use secret::SecretProbe;
pub use version::Version;
pub use watch::{BackendEvent, BackendEvents, WatchedNames, WatchedNamesSender};
