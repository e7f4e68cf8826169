//! Feeds mangled input to everything of `secrets` that parses (laws L5, V8, J5).
//!
//! Each target is a test in `tests`, with its seeds in `corpus`: real input, and what once broke something. A case takes a
//! seed, or two cut together, and mangles it: bytes changed, removed, doubled, and pieces put in that parsers take notice
//! of. proptest makes the cases and shrinks what fails to something short; add that to the corpus.
//!
//! ```console
//! $ cargo test -p secrets-fuzz                            # a bounded run
//! $ FUZZ_TIMES=1000 cargo test --release -p secrets-fuzz  # a thousand times as long
//! ```

#![forbid(unsafe_code)]

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Stands in seeds where a secret would, and must not come back in an error.
pub const CANARY: &str = "hunter2canary";

/// What parsers of text, URIs, JSON and HTTP take notice of.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\\"",
    b"\\u0000",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"/",
    b"//",
    b"..",
    b"~0",
    b"~1",
    b"#",
    b"?",
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%ff",
    b"@",
    b"\0",
    b"\r\n",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf",
];

#[derive(Clone, Debug)]
enum Change {
    Cut(Index, Index),
    Double(Index, Index),
    Put(Index, &'static [u8]),
    Set(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<(Index, Index)>().prop_map(|(from, to)| Change::Cut(from, to)),
        any::<(Index, Index)>().prop_map(|(from, to)| Change::Double(from, to)),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Change::Put(at, piece)),
        any::<(Index, u8)>().prop_map(|(at, byte)| Change::Set(at, byte)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let range = |from: &Index, to: &Index, bytes: &[u8]| {
            let (a, b) = (place(from, bytes), place(to, bytes));
            // Short ones, mostly: what is left should still look like input.
            a.min(b)..a.max(b).min(a.min(b) + 16)
        };
        match self {
            Self::Cut(from, to) => drop(bytes.drain(range(from, to, bytes))),
            Self::Double(from, to) => {
                let range = range(from, to, bytes);
                let (part, end) = (bytes[range.clone()].to_vec(), range.end);
                bytes.splice(end..end, part);
            }
            Self::Put(at, piece) => {
                let at = place(at, bytes);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Set(at, byte) => {
                let at = at.index(bytes.len().max(1));
                if let Some(changed) = bytes.get_mut(at) {
                    *changed = *byte;
                }
            }
        }
    }
}

/// The seeds of a target: each line of each file in its folder.
///
/// # Panics
///
/// When there are none.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("there is a corpus")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    let mut seeds = Vec::new();
    for file in files {
        let text = std::fs::read(file).expect("it can be read");
        seeds.extend(
            text.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// Mangled input of a target; now and then a seed as it is.
pub fn mangled(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let seeds = seeds(target);
    let joined = (
        select(seeds.clone()),
        select(seeds),
        any::<(Index, Index, bool)>(),
    );
    (joined, vec(change(), 0..6)).prop_map(|((first, second, (cut, from, join)), changes)| {
        let mut bytes = first;
        if join {
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend_from_slice(&second[from.index(second.len() + 1)..]);
        }
        for change in &changes {
            change.apply(&mut bytes);
        }
        bytes
    })
}

/// The same, as text: what is no UTF-8 is replaced.
pub fn mangled_text(target: &str) -> impl Strategy<Value = String> {
    mangled(target).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// So many cases, times what the variable `FUZZ_TIMES` says.
///
/// # Panics
///
/// When that is no number.
pub fn cases(bounded: u32) -> ProptestConfig {
    let times = std::env::var("FUZZ_TIMES").map_or(1, |times| times.parse().expect("FUZZ_TIMES is a number"));
    ProptestConfig {
        cases: bounded.saturating_mul(times),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
