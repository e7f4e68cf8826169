//! The interface, cache and manager that every backend of `secrets` plugs into.
//!
//! Depend on this alone to read secrets that somebody else configures, or to implement a backend; an application depends
//! on the facade `secrets`, which adds the backends.
//!
//! | to | see |
//! |---|---|
//! | read secrets | [`SecretManager`]: the cache, what is retried, what is served in an outage |
//! | name them | [`SecretName`], [`SecretRef`], [`Version`] |
//! | use a value | [`Secret`]: bytes, text, fields of a JSON document, [`Metadata`] |
//! | configure one component | [`ConfigSecretLoader`] |
//! | follow a rotation | [`SecretHandle`] |
//! | implement a backend | [`SecretBackend`], and `secrets-testkit` to prove it |
//! | ask several backends in turn, or by name | [`FallbackBackend`], [`PrefixRouter`] |
//! | handle failures | [`Error`], [`ErrorKind`] |
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `serde` | fields of JSON secrets, typed loading, `Deserialize` for [`Secret`] |
//! | `tracing` | spans and events on everything but a cache hit; never a value |
//! | `test-util` | a clock that tests turn by hand, and a probe that tells whether a value is still in memory |
//!
//! None is on by default. Nothing here is global: two managers share nothing.

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
