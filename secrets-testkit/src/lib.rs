//! Proves a backend of `secrets` against the contract, and stands in for one in tests.

#![forbid(unsafe_code)]

mod events;
mod gate;
mod memory;
mod scripted;

pub use gate::Gate;
pub use memory::{MemoryBackend, MemoryStore};
pub use scripted::{Answer, Asked, Call, CallKind, CallState, ScriptedBackend};
#[cfg(feature = "wire")]
pub mod wire;
