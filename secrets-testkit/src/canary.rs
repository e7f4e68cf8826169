use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};

/// A text that must not show up anywhere: a secret made for one test, or a credential of the backend under test.
///
/// It is looked for in every form in which a program commonly prints bytes, and in parts, so that a leak of its
/// beginning is found as well. `Debug` does not print it.
#[derive(Clone)]
pub struct Canary {
    text: String,
    needles: Arc<Needles>,
}

impl Canary {
    /// A new canary of 48 random characters out of `a-z0-9`.
    pub fn random() -> Self {
        let text = random(48);
        let needles = Arc::new(Needles::new(&text, 8));
        Self { text, needles }
    }

    /// A credential that exists already. Of a long one parts are looked for as well; a short one only as a whole.
    pub fn of(credential: impl Into<String>) -> Self {
        let text = credential.into();
        let needles = Arc::new(Needles::new(&text, 16));
        Self { text, needles }
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The form in which the canary, or a part of it, stands in `text`; `None` when it does not.
    pub fn find_in(&self, text: &str) -> Option<&'static str> {
        self.needles.find_in(&squeezed(text))
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").finish_non_exhaustive()
    }
}

/// What to look for, by its first two bytes: all that a test's process logs is searched, and nearly all of it begins
/// otherwise.
struct Needles {
    by_beginning: HashMap<[u8; 2], Vec<Needle>>,
    /// The whole of a text of one byte.
    short: Option<Needle>,
}

/// A part of the canary, in one form.
struct Needle {
    form: &'static str,
    part: String,
}

impl Needles {
    fn new(text: &str, least: usize) -> Self {
        let mut needles = Self {
            by_beginning: HashMap::new(),
            short: None,
        };
        for needle in forms_of(text, least) {
            match *needle.part.as_bytes() {
                [first, second, ..] => needles
                    .by_beginning
                    .entry([first, second])
                    .or_default()
                    .push(needle),
                _ => needles.short = Some(needle),
            }
        }
        needles
    }

    fn find_in(&self, text: &str) -> Option<&'static str> {
        let bytes = text.as_bytes();
        let begin_here = bytes.windows(2).enumerate().filter_map(|(at, pair)| {
            let needles = self.by_beginning.get(pair)?;
            needles
                .iter()
                .find(|needle| bytes[at..].starts_with(needle.part.as_bytes()))
        });
        let short = self.short.iter().filter(|needle| text.contains(&needle.part));
        begin_here.chain(short).map(|needle| needle.form).next()
    }
}

/// Random characters out of `a-z0-9`, the first one a letter.
pub(crate) fn random(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut random = RandomState::new().build_hasher().finish();
        for _ in 0..8 {
            let digits: &[u8] = if text.is_empty() {
                b"abcdefghijklmnopqrstuvwxyz"
            } else {
                b"abcdefghijklmnopqrstuvwxyz0123456789"
            };
            let base = digits.len() as u64;
            if text.len() < length {
                text.push(char::from(digits[usize::try_from(random % base).unwrap_or(0)]));
            }
            random /= base;
        }
    }
    text
}

/// The canary and its parts, in each form.
fn forms_of(text: &str, least: usize) -> Vec<Needle> {
    let bytes = text.as_bytes();
    let each = |format: fn(u8) -> String, separator: &str| {
        bytes
            .iter()
            .map(|&byte| format(byte))
            .collect::<Vec<_>>()
            .join(separator)
    };
    let hex = each(|byte| format!("{byte:02x}"), "");
    let mut forms = vec![
        ("plain text", text.to_owned(), least),
        ("escaped text", text.escape_debug().to_string(), least),
        ("JSON", json_escaped(text), least),
        ("percent-encoded text", percent_encoded(bytes), least),
        ("hexadecimal digits", hex, 2 * least.max(8)),
        (
            "a list of hexadecimal numbers",
            each(|byte| format!("{byte:x}"), ","),
            3 * least.max(8),
        ),
        (
            "a list of numbers",
            each(|byte| byte.to_string(), ","),
            3 * least.max(8),
        ),
    ];
    // Within a longer text it may begin at any place of a group of three.
    for skipped in 0..3.min(bytes.len()) {
        let whole = &bytes[skipped..];
        let whole = &whole[..whole.len() - whole.len() % 3];
        forms.push(("base64", Base64Unpadded::encode_string(whole), least.max(12)));
        forms.push(("base64", Base64UrlUnpadded::encode_string(whole), least.max(12)));
    }
    let mut needles = Vec::new();
    for (form, text, length) in forms {
        for part in parts(&squeezed(&text), length) {
            needles.push(Needle { form, part });
        }
    }
    needles
}

/// Consecutive parts of at least `length` bytes; the text itself when it is shorter.
fn parts(text: &str, length: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut part = String::new();
    for c in text.chars() {
        part.push(c);
        if part.len() >= length {
            parts.push(std::mem::take(&mut part));
        }
    }
    if parts.is_empty() && !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Without white space and in lower case: what is printed over many lines, or in capitals, is found too.
fn squeezed(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn json_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out
}

fn percent_encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(format!("%{byte:02X}").chars());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_canary_is_found_in_every_form_and_by_its_parts() {
        let canary = Canary::random();
        let text = canary.expose();
        let bytes = text.as_bytes();
        let base64 = |before: &str| Base64Unpadded::encode_string(format!("{before}{text}").as_bytes());
        for leak in [
            text.to_owned(),
            format!("prefix {}…", &text[..8]),
            text.to_uppercase(),
            format!("{bytes:?}"),
            format!("{bytes:#?}"),
            format!("{bytes:02x?}"),
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .concat(),
            bytes
                .iter()
                .map(|byte| format!("{byte:02X} "))
                .collect::<Vec<_>>()
                .concat(),
            base64(""),
            base64("a"),
            base64("ab"),
            format!("{:?}", String::from_utf8_lossy(bytes)),
        ] {
            assert!(canary.find_in(&leak).is_some(), "{leak}");
        }
        assert_eq!(canary.find_in(&random(100_000)), None);
        assert!(canary.find_in(&format!("{canary:?}")).is_none());
    }

    #[test]
    fn s1_a_credential_is_found_however_it_is_escaped() {
        let token = Canary::of("s.\"quoted\"\\ü=token+with/all\nkinds");
        for leak in [
            "s.\"quoted\"\\ü=token+with/all\nkinds",
            "s.\\\"quoted\\\"\\\\ü=token+with/all\\nkinds",
            "s.%22quoted%22%5C%C3%BC%3Dtoken%2Bwith%2Fall%0Akinds",
        ] {
            assert!(token.find_in(leak).is_some(), "{leak}");
        }
        assert_eq!(token.find_in("s.quoted token"), None);
        assert_eq!(Canary::of("short").find_in("it is short"), Some("plain text"));
        assert_eq!(Canary::of("").find_in("nothing"), None);
    }

    #[test]
    fn canaries_differ() {
        assert_ne!(Canary::random().expose(), Canary::random().expose());
    }
}
