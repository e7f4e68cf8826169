use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

/// How long a value is. Allocators treat small, middling and large blocks differently, and so do buffers that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Length {
    /// A password: what is freed is handed out again at once, and its beginning overwritten.
    Short,
    /// A certificate: more than what is handed out again at once.
    #[default]
    Middling,
    /// More than TLS and HTTP hold in one piece: who has it whole has put it together.
    Long,
}

impl Length {
    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Short => 24,
            Self::Middling => 1_500,
            Self::Long => 48_000,
        }
    }
}

/// A text to be looked for. It exists in the stage's process only; the process looked at gets it [masked](Canary::masked).
#[derive(Clone)]
pub struct Canary {
    text: String,
}

impl Canary {
    /// Random letters and digits, with a quotation mark every few characters, so that no eight bytes of it look the same in
    /// JSON.
    pub fn value(length: Length) -> Self {
        Self::random(length.bytes(), |at| at % 6 == 5)
    }

    /// Random letters and digits: what a header or a form can hold as it is.
    pub fn credential() -> Self {
        Self::random(48, |_| false)
    }

    fn random(len: usize, quoted: impl Fn(usize) -> bool) -> Self {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let text = (0..len).map(|at| {
            let digit = RandomState::new().build_hasher().finish() % DIGITS.len() as u64;
            let digit = usize::try_from(digit).unwrap_or_default();
            char::from(if quoted(at) { b'"' } else { DIGITS[digit] })
        });
        Self { text: text.collect() }
    }

    /// The text itself, for the store.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// All its forms, each byte changed by exclusive or with this one.
    pub fn masked(&self, mask: u8) -> Vec<Masked> {
        let mut forms = vec![(Form::Plain, self.text.clone())];
        let json = serde_json::Value::String(self.text.clone()).to_string();
        let escaped = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
        if escaped != self.text {
            // The first character is a letter, so nothing but the quotation mark around it was cut off.
            forms.push((Form::Escaped, escaped.to_owned()));
        }
        // In the middle of a longer text it may begin at any place of a group of three.
        for skipped in 0..3 {
            let rest = &self.text.as_bytes()[skipped..];
            let groups = &rest[..rest.len() - rest.len() % 3];
            forms.push((Form::Base64, Base64Unpadded::encode_string(groups)));
        }
        let masked = |(form, text): (Form, String)| Masked {
            form,
            bytes: text.bytes().map(|byte| byte ^ mask).collect(),
        };
        forms.into_iter().map(masked).collect()
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").finish_non_exhaustive()
    }
}

/// How a canary may stand in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// As base64 of it, or of a text that it is a part of.
    Base64,
    /// With the escapes of JSON.
    Escaped,
    /// As it is.
    Plain,
}

/// One form of a canary, each byte changed by exclusive or with a mask.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Masked {
    /// Which form.
    pub form: Form,
    /// Its bytes, masked.
    pub bytes: Vec<u8>,
}

impl Masked {
    /// The form itself, in a buffer of its size that is wiped.
    pub fn unmask(&self, mask: u8) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        text.extend(self.bytes.iter().map(|byte| byte ^ mask));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_no_eight_bytes_of_a_value_look_the_same_in_two_forms() {
        let forms = Canary::value(Length::Middling).masked(0);
        assert_eq!(forms.len(), 5);
        let mut parts = std::collections::HashMap::new();
        for (at, form) in forms.iter().enumerate() {
            for part in form.bytes.windows(8) {
                let first = *parts.entry(part).or_insert(at);
                assert_eq!(first, at, "{:?} and {:?}", forms[first].form, form.form);
            }
        }
    }

    #[test]
    fn s2_masked_forms_hold_nothing_of_the_canary() {
        let canary = Canary::credential();
        for form in canary.masked(0x80) {
            assert!(!form.bytes.windows(1).any(|byte| byte[0].is_ascii()));
        }
        let plain = &canary.masked(0x80)[0];
        assert_eq!(*plain.unmask(0x80), canary.expose().as_bytes());
    }
}
