//! Feeds mangled input to everything of `secrets` that parses (laws L5, V8, J5).
//!
//! A [target](TARGETS) is a function of bytes that panics when a law is broken: nothing panics; an answer is a whole value or
//! an error; no error is `Internal`; nothing that stood where a secret stands is printed; no value comes out of a failure; and
//! what a reference parser finds, is found. Two engines drive the same functions:
//!
//! ```console
//! $ cargo test -p secrets-fuzz                            # a bounded run, the same each time
//! $ FUZZ_TIMES=1000 cargo test --release -p secrets-fuzz  # a thousand times as long, another each time
//! $ tools/fuzz fields 600                                 # ten minutes, guided by what the code does
//! ```
//!
//! The first mangles seeds: bytes changed, removed, doubled, two seeds cut together, and pieces put in that parsers take notice
//! of. proptest makes the cases and shrinks what fails to something short. `FUZZ_SEED=7` makes another run, which is repeatable.
//!
//! The second is libFuzzer, on a stable toolchain: it keeps what reaches code that nothing has reached before, and goes on from
//! there. It needs a C++ compiler, and is a package of its own in `libfuzzer`, so that nothing of it is in the workspace. What it
//! has kept stays in `target/fuzz`, for the next time; what breaks a law is put there, too, and named at the end.
//!
//! # Input
//!
//! Seeds are in `corpus/TARGET`: real input, and what once broke something. A file without an extension is one seed a line, any
//! other is one seed. Where the input is what a server answers, it is the body; or a status, headers and, after an empty
//! line, the body; and several answers, separated by a line `---`, one for each request. To whoever asks once more, the server
//! is unavailable.
//!
//! ```text
//! 429
//! Retry-After: 7
//!
//! {"errors":[]}
//! ---
//! {"data":{}}
//! ```
//!
//! # Another target
//!
//! A function in `targets`, its line in the table of [`TARGETS`], seeds, a line in `tests/bounded.rs` with the number of cases,
//! and that test's name in `docs/contract.md`. What needs a server shares one for all inputs. What a target finds becomes a
//! seed, and a test without any engine, next to the code that is mended.

#![forbid(unsafe_code)]

mod law;
mod mangle;
mod script;
mod targets;

pub use mangle::{bounded, dictionary, seeds};
pub use targets::{TARGETS, Target, target};

/// Stands in seeds where a secret would, and must not be printed.
pub const CANARY: &str = "hunter2canary";
