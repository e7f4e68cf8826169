//! Proves a backend of `secrets` against the contract, and stands in for one in tests.
//!
//! | you | take |
//! |---|---|
//! | write a backend | [`conformance!`] and a [`Harness`]: a test for each law of the contract |
//! | write an application | [`MemoryBackend`]: a store in memory with outages, denials and rotation on demand |
//! | write something above a backend | [`ScriptedBackend`]: answers as told, remembers every call; [`Gate`] holds calls up |
//! | need a vendor's API, TLS or a broken wire | the module `wire` (feature `wire`) |
//! | run the cases in another way | [`cases`] |
//!
//! # Writing a backend
//!
//! A backend turns one request into one answer; the manager above it caches, retries and limits. What it has to do, and
//! what it must not, stands at [`SecretBackend`](secrets_core::SecretBackend). In this order it is little work:
//!
//! 1. **The mapping.** Decide how `smtp/api-key` is called in the store, write it down as a table in the crate's docs, and
//!    refuse with `InvalidName`, before any input or output, what the store cannot express. The message names the character.
//! 2. **The value.** Hand over exactly the bytes, in a buffer of their own size, and drop the vendor's types at once.
//!    Metadata states the version, where there is one.
//! 3. **The errors.** Give each of the vendor's codes, statuses and transport failures an
//!    [`ErrorKind`](secrets_core::ErrorKind), in a table as well. Absent is `NotFound` and refused is `PermissionDenied`,
//!    never the one for the other. Keep code, status and request id in a [`Cause`](secrets_core::Cause), and nothing else
//!    of the vendor's error: it may quote the response. Name the backend and the secret in each.
//! 4. **What it can do.** `versions`, `list`, `watch` and `batch` in
//!    [`Capabilities`](secrets_core::Capabilities); what it cannot do is `Unsupported`.
//! 5. **The proof.** A [`Harness`] that changes the store behind the backend's back, and one line:
//!
//! ```
//! use std::sync::Arc;
//!
//! use secrets_core::{SecretBackend, SecretName, Version};
//! use secrets_testkit::{Facts, Harness, Outcome, async_trait};
//! # #[derive(Default)]
//! # struct AcmeServer(secrets_testkit::MemoryBackend);
//! # impl AcmeServer {
//! #     fn put(&self, name: &SecretName, value: &[u8]) { self.0.store().put(name, value); }
//! #     fn remove(&self, name: &SecretName) { self.0.store().delete(name); }
//! #     fn address(&self) -> secrets_testkit::MemoryBackend { self.0.clone() }
//! # }
//! # struct AcmeBackend;
//! # impl AcmeBackend {
//! #     fn connect(to: secrets_testkit::MemoryBackend) -> secrets_core::Result<impl SecretBackend> {
//! #         Ok(to.with_versions(false).with_watch(false))
//! #     }
//! # }
//!
//! #[derive(Default)]
//! struct Acme {
//!     server: AcmeServer, // a fake on loopback, a container, or the real store
//! }
//!
//! #[async_trait]
//! impl Harness for Acme {
//!     fn facts(&self) -> Facts {
//!         Facts::new().with_max_len(25 * 1024).with_credential("token-of-the-test-user")
//!     }
//!
//!     async fn backend(&self) -> Outcome<Arc<dyn SecretBackend>> {
//!         Ok(Arc::new(AcmeBackend::connect(self.server.address())?))
//!     }
//!
//!     async fn create(&self, name: &SecretName, value: &[u8]) -> Outcome<Option<Version>> {
//!         self.server.put(name, value);
//!         Ok(None)
//!     }
//!
//!     async fn delete(&self, name: &SecretName) -> Outcome {
//!         self.server.remove(name);
//!         Ok(())
//!     }
//! }
//!
//! secrets_testkit::conformance!(Acme::default(), without = [versions, watch, faults]);
//! # // The tests of a doc example are not run by rustdoc: run the cases by hand.
//! # let harness = Acme::default();
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # for case in secrets_testkit::cases() {
//! #     if runtime.block_on(case.applies_to(&harness)).unwrap() {
//! #         runtime.block_on(case.run(&harness)).unwrap();
//! #     }
//! # }
//! ```
//!
//! `cargo test` then runs `v2_empty_is_not_absent`, `n5_a_prefix_is_whole_segments`, `s1_logs_show_no_value` and their
//! like. What the backend lacks stays visible as an ignored test, and a test holds the list against the backend itself.
//! No attribute, runtime or test harness of yours is needed.
//!
//! What the store is like, the harness says in [`Facts`]. Each fact makes the cases sharper: a canonical form lets them
//! tell a documented mapping from a collision, [`requests`](Harness::requests) shows that a name was refused before any
//! request, [`inject`](Harness::inject) proves the kinds of failures, a credential is looked for in everything printed.
//!
//! [`ThroughManager`] runs the same cases once more with a `SecretManager` in between, as applications use a backend.
//!
//! `examples/custom_backend.rs` is a whole backend in one file, with its harness.
//!
//! # What the kit does not test
//!
//! What only a real socket shows: the table of errors, limits on size, logins. Write those tests over the module `wire`: an
//! HTTP server to build a fake on, certificates, and a wire that breaks in the middle of a response. Two tables there are
//! the same for every backend and need only a function that builds yours: `TlsMatrix` (laws S3 and S4) is a way to the store
//! that is wrong in one way each, `LeakTable` (S1, E5, S7) a store that answers everything with what must not be printed; and
//! `behind_a_proxy` (S5) runs a test where the environment names a proxy. [`LeakSearch`] is the search alone, for failures
//! that a test of yours stages.
//!
//! # What is logged while the cases run
//!
//! To see what a backend logs, the kit installs a `tracing` subscriber for the process, and with the feature `log` (on by
//! default) a logger. A test binary with a subscriber of its own fails `s1_logs_show_no_value`, with the reason. Whatever
//! runs in the process is seen: a fake that logs the values it serves is a leak, too.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `log` | yes | sees what is logged through `log`, beside what is traced |
//! | `wire` | no | HTTP servers, TLS certificates and broken wires on loopback |

#![forbid(unsafe_code)]

mod answer;
mod bench;
mod call;
mod canary;
mod capture;
mod case;
mod cases;
mod conformance;
mod events;
mod facts;
mod failure;
#[cfg(any(
    feature = "fake-aws",
    feature = "fake-azure",
    feature = "fake-k8s",
    feature = "fake-vault"
))]
pub mod fakes;
mod gate;
mod harness;
mod leak_search;
mod memory;
mod memory_harness;
mod printed;
mod scripted;
mod store;
mod through_manager;
#[cfg(feature = "wire")]
pub mod wire;

pub use answer::Answer;
pub use async_trait::async_trait;
pub use call::{Asked, Call, CallKind, CallState};
pub use canary::Canary;
pub use case::{Case, Requirement};
pub use cases::cases;
#[doc(hidden)]
pub use conformance::{__check_without, __run};
pub use facts::{Alphabet, Facts, Fault, VersionFacts};
pub use failure::Failure;
pub use gate::Gate;
pub use harness::{Harness, Outcome};
pub use leak_search::LeakSearch;
pub use memory::MemoryBackend;
pub use memory_harness::MemoryHarness;
pub use scripted::ScriptedBackend;
pub use store::MemoryStore;
pub use through_manager::ThroughManager;
