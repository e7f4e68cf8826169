//! Looks for what secrets leave behind in a process's memory (law S2).
//!
//! Each [`Job`] is one scenario, such as "read, then evicted", over one [`Subject`], a backend and the store behind it. It
//! takes two processes. The *stage* makes canaries and runs the store; the *process looked at*, one of the three programs of
//! this crate, uses the backend and scans its own memory after each step. They differ in their allocator: the platform's,
//! one that keeps what is freed as it was left, and one that wipes it. What may be found when, stands in [`Row`]s, which become the table of SECURITY.md.
//!
//! # Why what is found was left by the backend
//!
//! - The process looked at never gets a canary from the stage but through the backend. It knows them by forms that are
//!   masked with a byte (exclusive or), and compares memory in that form. Credentials are the exception: it unmasks them
//!   once, into the buffer that the backend is given.
//! - One scenario a process, so that nothing is left over from another.
//! - Memory is read through `/proc/self/maps` and `/proc/self/mem`, all of it that is mapped and readable but what is a file's
//!   and cannot be written, in chunks that overlap; the buffer it is read into is left out, and wiped. What looking needs is
//!   allocated before the scenario begins, so as not to lie over what that frees.
//! - What an allocator puts over a freed block hides it, and where a block grows in its place there is nothing to hide. So a
//!   third program *hoards*: it never hands out or extends a block again, and whatever is freed unwiped stays to be found.
//!   That is how "nothing" is meant for any allocator.
//! - Values have three lengths: one that lies in the smallest blocks, one of a certificate, and one that is longer than any
//!   buffer of TLS and HTTP. Whoever has that in one piece has put it together, which tells this library's buffers from those
//!   of others.
//! - A fragment of eight bytes counts: an allocator overwrites the beginning of what is freed, and rarely more. The forms are
//!   the text itself, base64 at each of its three alignments, and the escapes of JSON.
//! - Nothing is found by a scanner that does not work: while a value is held it has to be found, planted copies of each form
//!   too, what is left of freed ones, and what TLS leaves of each answer, also of those that were staged to fail.
//!
//! # A new backend
//!
//! One file in `subjects`: a [`Stage`] that runs its store, a function that builds it, and its rows; and a line in
//! [`subjects`]. What stores over a network have in common is in `subjects/network.rs`.
//!
//! # Where
//!
//! On Linux, whose processes can read their own memory as a file. Elsewhere this crate is empty.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod canary;
mod driver;
mod looked_at;
mod message;
mod row;
mod scan;
mod scenario;
mod subject;
mod subjects;

pub use canary::{Canary, Form, Length, Masked};
pub use driver::{Allocator, Outcome, run};
pub use looked_at::main;
pub use message::Settings;
pub use row::{Job, Part, Promise, Row, table};
pub use scan::{Scanner, Sighting, Sightings};
pub use scenario::{Scenario, Step};
pub use subject::{Canaries, Situation, Stage, Subject};
pub use subjects::subjects;
