//! Seeds, and what is made of them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::panic;
use std::path::Path;
use std::sync::Once;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::{CANARY, Target, target};

/// What parsers of text, URIs, JSON, XML, YAML and HTTP take notice of.
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
    b"-1",
    b"0",
    b"9223372036854775807",
    b"18446744073709551615",
    b"18446744073709551616",
    b"1.7976931348623157e308",
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
    b"\n",
    b"\n\n",
    b"\n---\n",
    b"\r\n",
    b"<",
    b">",
    b"&lt;",
    b"&#0;",
    b"<![CDATA[",
    b"]]>",
    b"- ",
    b"  ",
    b"|\n",
    b"&a",
    b"*a",
    b"\xff",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf",
];

/// What an answer may begin with; anything else is the body of a success.
const HEADS: &[&[u8]] = &[
    b"204\n\n",
    b"302\nLocation: /\n\n",
    b"400\n\n",
    b"401\n\n",
    b"403\n\n",
    b"404\n\n",
    b"412\n\n",
    b"429\nRetry-After: 7\n\n",
    b"472\n\n",
    b"500\n\n",
    b"503\nRetry-After: 1e999\n\n",
];

#[derive(Clone, Debug)]
enum Change {
    Begin(&'static [u8]),
    Cut(Index, Index),
    Digit(Index, u8),
    Double(Index, Index),
    Put(Index, &'static [u8]),
    Set(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => select(HEADS).prop_map(Change::Begin),
        3 => any::<(Index, Index)>().prop_map(|(from, to)| Change::Cut(from, to)),
        3 => (any::<Index>(), b'0'..=b'9').prop_map(|(at, digit)| Change::Digit(at, digit)),
        3 => any::<(Index, Index)>().prop_map(|(from, to)| Change::Double(from, to)),
        3 => (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Change::Put(at, piece)),
        3 => any::<(Index, u8)>().prop_map(|(at, byte)| Change::Set(at, byte)),
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
            Self::Begin(head) => drop(bytes.splice(..0, head.iter().copied())),
            Self::Cut(from, to) => drop(bytes.drain(range(from, to, bytes))),
            Self::Digit(at, digit) => {
                let digits: Vec<_> = (0..bytes.len())
                    .filter(|at| bytes[*at].is_ascii_digit())
                    .collect();
                if !digits.is_empty() {
                    bytes[digits[at.index(digits.len())]] = *digit;
                }
            }
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

/// The seeds of a target: each file in its folder, or each line of a file without an extension.
///
/// # Panics
///
/// When there are none.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    let mut seeds = Vec::new();
    for file in files {
        let text = std::fs::read(&file).expect("it can be read");
        if file.extension().is_some() {
            seeds.push(text.strip_suffix(b"\n").unwrap_or(&text).to_vec());
            continue;
        }
        seeds.extend(
            text.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(<[u8]>::to_vec),
        );
    }
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

/// The dictionary of a target, as libFuzzer reads it: the pieces, and the words of the seeds.
pub fn dictionary(target: &str) -> String {
    let seeds = seeds(target);
    let words = seeds
        .iter()
        .flat_map(|seed| seed.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_.".contains(byte)))
        .filter(|word| (2..=32).contains(&word.len()));
    let words: BTreeSet<_> = words
        .chain(PIECES.iter().copied())
        .chain([CANARY.as_bytes()])
        .collect();
    let mut dictionary = String::new();
    for word in words {
        dictionary.push('"');
        for byte in word {
            // What is written to a string is written.
            let _ = write!(dictionary, "\\x{byte:02x}");
        }
        dictionary.push_str("\"\n");
    }
    dictionary
}

/// An input, which is shown as it would be written in a test.
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Mangled input of a target; now and then a seed as it is.
fn mangled(target: &str) -> impl Strategy<Value = Input> + use<> {
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
        Input(bytes)
    })
}

/// Runs a target on its seeds, and on so many mangled inputs, times what the variable `FUZZ_TIMES` says.
///
/// The run is the same each time, or another for each number in `FUZZ_SEED`; one that is made longer is always another.
///
/// # Panics
///
/// When a law is broken, there is no such target, or a variable is no number.
pub fn bounded(name: &str, cases: u32) {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(
            value
                .parse::<u32>()
                .unwrap_or_else(|_| panic!("{name} is no number")),
        )
    };
    let (times, seed) = (number("FUZZ_TIMES"), number("FUZZ_SEED"));
    let target = target(name).unwrap_or_else(|| panic!("there is no target {name}"));
    for seed in seeds(name) {
        run(target, &seed);
    }
    let config = ProptestConfig {
        cases: cases.saturating_mul(times.unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = match (times, seed) {
        (Some(_), None) => TestRunner::new(config),
        (_, seed) => {
            let mut bytes = [7; 32];
            bytes[..4].copy_from_slice(&seed.unwrap_or_default().to_le_bytes());
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
        }
    };
    let outcome = runner.run(&mangled(name), |input| {
        run(target, &input.0);
        Ok(())
    });
    if let Err(broken) = outcome {
        panic!("{name}: {broken}");
    }
}

/// Runs a target on one input. A panic in a task is caught by the runtime, and seen here: tasks run on this thread.
fn run(target: &Target, input: &[u8]) {
    thread_local! {
        static PANICS: Cell<u32> = const { Cell::new(0) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.with(|panics| panics.set(panics.get() + 1));
            usual(info);
        }));
    });
    let before = PANICS.get();
    (target.run)(input);
    assert_eq!(PANICS.get(), before, "a task has panicked");
}
