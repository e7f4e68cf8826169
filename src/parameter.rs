use std::str::FromStr;
use std::time::Duration;

use secrets_core::{Error, ErrorKind, Result, SecretName};

use crate::uri::invalid;

/// A parameter that a scheme takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    name: &'static str,
    repeatable: bool,
}

impl Parameter {
    /// Given once or not at all.
    pub(crate) const fn once(name: &'static str) -> Self {
        Self {
            name,
            repeatable: false,
        }
    }

    /// Given any number of times.
    pub(crate) const fn repeated(name: &'static str) -> Self {
        Self {
            name,
            repeatable: true,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.repeatable
    }
}

/// What a URI says for one parameter. Its text is never repeated in a message.
pub(crate) struct Value {
    name: String,
    text: String,
    at: usize,
}

impl Value {
    pub(crate) fn new(name: String, text: String, at: usize) -> Self {
        Self { name, text, at }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the parameter begins in the whole text, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn text(self) -> String {
        self.text
    }

    /// The name of a secret.
    pub(crate) fn secret_name(self) -> Result<String> {
        match SecretName::new(&self.text) {
            Ok(_) => Ok(self.text),
            Err(_) => self.refuse("must be the name of a secret, such as smtp/api-key"),
        }
    }

    /// What the name of a secret can begin with.
    pub(crate) fn name_start(self) -> Result<String> {
        match SecretName::new(format!("{}x", self.text)) {
            Ok(_) => Ok(self.text),
            Err(_) => self.refuse("must be what the name of a secret can begin with, such as prod/"),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Result<bool> {
        self.choice(&[("true", true), ("false", false)])
    }

    /// One of these words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T> {
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == self.text) {
            return Ok(*choice);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.refuse(&format!("must be {}", words.join(" or ")))
    }

    /// Decimal digits.
    pub(crate) fn number<T: FromStr>(&self) -> Result<T> {
        // `parse` alone would take a sign.
        let digits = self.text.bytes().all(|byte| byte.is_ascii_digit());
        match self.text.parse() {
            Ok(number) if digits => Ok(number),
            _ => self.refuse("must be a whole number that is not too large, such as 10"),
        }
    }

    /// A number of bytes, or of `KiB` or `MiB`.
    pub(crate) fn size(&self) -> Result<usize> {
        let size = match split_unit(&self.text) {
            Some((number, "")) => Some(number),
            Some((number, "KiB")) => number.checked_mul(1 << 10),
            Some((number, "MiB")) => number.checked_mul(1 << 20),
            _ => None,
        };
        match size.and_then(|size| usize::try_from(size).ok()) {
            Some(size) => Ok(size),
            None => self.refuse("must be a number of bytes, or of `KiB` or `MiB`, such as 64KiB"),
        }
    }

    /// `0`, or a number of `ms`, `s`, `m` or `h`.
    pub(crate) fn duration(&self) -> Result<Duration> {
        let seconds = |number: u64, each: u64| number.checked_mul(each).map(Duration::from_secs);
        let duration = match split_unit(&self.text) {
            Some((0, "")) => Some(Duration::ZERO),
            Some((number, "ms")) => Some(Duration::from_millis(number)),
            Some((number, "s")) => seconds(number, 1),
            Some((number, "m")) => seconds(number, 60),
            Some((number, "h")) => seconds(number, 3600),
            _ => None,
        };
        match duration {
            Some(duration) => Ok(duration),
            None => self.refuse("must be 0, or a whole number and its unit, such as 500ms, 60s, 5m or 1h"),
        }
    }

    /// For a parameter of something that is switched off.
    #[cfg_attr(feature = "full", allow(dead_code, reason = "nothing is switched off"))]
    pub(crate) fn needs_feature(&self, feature: &str) -> Error {
        let message = format!(
            "the parameter `{}` (byte {}) is switched off in this build; enable the feature `{feature}` of the crate `secrets`",
            self.name, self.at
        );
        Error::new(ErrorKind::Unsupported, message)
    }

    fn refuse<T>(&self, what: &str) -> Result<T> {
        // Only ever a value of a known parameter.
        Err(invalid(format!(
            "the parameter `{}` (byte {}) {what}",
            self.name, self.at
        )))
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::new("ttl".into(), text.into(), 7)
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, duration) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("500ms", Duration::from_millis(500)),
            ("60s", Duration::from_secs(60)),
            ("5m", Duration::from_secs(300)),
            ("1h", Duration::from_secs(3600)),
        ] {
            assert_eq!(value(text).duration().unwrap(), duration, "{text}");
        }
        for text in [
            "",
            "s",
            "60",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            " 1s",
            "1S",
            "1sec",
            "1d",
            "5124095576030432h",
            "99999999999999999999s",
        ] {
            let error = value(text).duration().unwrap_err();
            assert!(
                error.message().starts_with("the parameter `ttl` (byte 7)"),
                "{error}"
            );
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, size) in [("0", 0), ("123", 123), ("64KiB", 64 << 10), ("1MiB", 1 << 20)] {
            assert_eq!(value(text).size().unwrap(), size, "{text}");
        }
        for text in [
            "",
            "KiB",
            "1kb",
            "1GB",
            "-1",
            "17592186044416MiB",
            "99999999999999999999",
        ] {
            assert!(value(text).size().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(value("32").number::<u32>().unwrap(), 32);
        for text in ["", "+1", "-1", "1e3", "0x1", "4294967296", "٣"] {
            assert!(value(text).number::<u32>().is_err(), "{text}");
        }
    }

    #[test]
    fn flags_and_choices_are_words() {
        assert!(value("true").flag().unwrap());
        assert!(!value("false").flag().unwrap());
        let error = value("yes").flag().unwrap_err();
        assert!(error.message().contains("`true` or `false`"), "{error}");
        assert!(!error.message().contains("yes"), "{error}");
    }
}
