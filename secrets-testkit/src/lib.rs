//! Proves a backend of `secrets` against the contract, and stands in for one in tests.

#![forbid(unsafe_code)]

mod bench;
mod canary;
mod capture;
mod case;
mod cases;
mod conformance;
mod events;
mod facts;
mod failure;
mod gate;
mod harness;
mod memory;
mod memory_harness;
mod scripted;
#[cfg(feature = "wire")]
pub mod wire;

pub use async_trait::async_trait;
pub use canary::Canary;
pub use case::{Case, Requirement};
pub use cases::cases;
#[doc(hidden)]
pub use conformance::{__check_without, __run};
pub use facts::{Alphabet, Facts, Fault, VersionFacts};
pub use failure::Failure;
pub use gate::Gate;
pub use harness::{Harness, Outcome};
pub use memory::{MemoryBackend, MemoryStore};
pub use memory_harness::MemoryHarness;
pub use scripted::{Answer, Asked, Call, CallKind, CallState, ScriptedBackend};
