use secrets_core::{Error, ErrorKind, Result};

use crate::credentials::credential;
use crate::parameter::{Parameter, Value};

/// One URI of a chain, taken apart.
///
/// A misplaced credential may stand anywhere in it. So no message repeats any of its text: it names the place, and what
/// belongs there.
pub(crate) struct Uri<'a> {
    scheme: Box<str>,
    authority: &'a str,
    path: String,
    values: Vec<Value>,
    /// Where it begins in the whole text.
    at: usize,
}

impl<'a> Uri<'a> {
    /// Takes a chain apart: a comma followed by `scheme:` begins its next member.
    pub(crate) fn parse_chain(text: &'a str) -> Result<Vec<Self>> {
        check_characters(text)?;
        let mut members = Vec::new();
        let mut start = 0;
        for (comma, _) in text.match_indices(',') {
            if scheme(&text[comma + 1..]).is_some() {
                members.push(Self::parse(&text[start..comma], start)?);
                start = comma + 1;
            }
        }
        members.push(Self::parse(&text[start..], start)?);
        Ok(members)
    }

    /// In lower case.
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Where the URI begins in the whole text, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What stands between `//` and the path, as it is written.
    pub(crate) fn authority(&self) -> &str {
        self.authority
    }

    /// Decoded.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Refuses what is given twice and may not be, and what is not among the `known`.
    pub(crate) fn check_parameters(
        &self,
        known: &[Parameter],
        unknown: impl Fn(&Value) -> Error,
    ) -> Result<()> {
        for (index, value) in self.values.iter().enumerate() {
            let Some(parameter) = known.iter().find(|parameter| parameter.name() == value.name()) else {
                return Err(unknown(value));
            };
            let repeated = self.values[..index]
                .iter()
                .any(|earlier| earlier.name() == value.name());
            if repeated && !parameter.is_repeatable() {
                return Err(invalid(format!(
                    "the parameter `{}` is given again at byte {}; give it once",
                    parameter.name(),
                    value.at()
                )));
            }
        }
        Ok(())
    }

    /// Takes the value of a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.values.iter().position(|value| value.name() == name)?;
        Some(self.values.remove(index))
    }

    /// Takes every value of a parameter out.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<Value> {
        let (taken, kept) = std::mem::take(&mut self.values)
            .into_iter()
            .partition(|value| value.name() == name);
        self.values = kept;
        taken
    }

    /// Whether every parameter has been taken out.
    pub(crate) fn is_spent(&self) -> bool {
        self.values.is_empty()
    }

    fn parse(text: &'a str, at: usize) -> Result<Self> {
        let Some(scheme) = scheme(text) else {
            return Err(invalid(format!(
                "byte {at}: a URI begins with a scheme and a colon, as in `env:` or `file:///run/secrets`"
            )));
        };
        let after_scheme = scheme.len() + 1;
        let (hierarchy, query) = match text[after_scheme..].split_once('?') {
            Some((hierarchy, query)) => (hierarchy, Some(query)),
            None => (&text[after_scheme..], None),
        };
        let (authority, path, path_at) = match hierarchy.strip_prefix("//") {
            None => ("", hierarchy, at + after_scheme),
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (authority, path, at + after_scheme + 2 + authority.len())
            }
        };
        if authority.contains(['@']) {
            return Err(invalid(format!(
                "byte {}: a user or password does not belong into a URI, where everybody can see it; remove all before \
                 the `@`, and give the credentials in the environment or the files that the store's own tools use",
                at + after_scheme + 2
            )));
        }
        let query_at = at + after_scheme + hierarchy.len() + 1;
        Ok(Self {
            scheme: scheme.to_ascii_lowercase().into(),
            authority,
            path: decode(path, path_at)?,
            values: query.map_or(Ok(Vec::new()), |query| parameters(query, query_at))?,
            at,
        })
    }
}

/// An `InvalidConfig`.
pub(crate) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

/// What stands before the first colon, if that is a scheme.
fn scheme(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c))?;
    let scheme = &text[..end];
    (text[end..].starts_with(':') && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

/// Only what RFC 3986 allows, and characters beyond ASCII as they are.
fn check_characters(text: &str) -> Result<()> {
    for (at, c) in text.char_indices() {
        let what = match c {
            '#' => {
                "a fragment is not part of a store's URI; it belongs to the reference of a secret; write %23 for itself"
            }
            _ if c.is_whitespace() || c.is_control() => {
                "remove white space and control characters, or write %20 for a space"
            }
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                "this character must be percent-encoded, such as %5C"
            }
            _ => continue,
        };
        return Err(invalid(format!("byte {at}: {what}")));
    }
    Ok(())
}

fn parameters(query: &str, mut at: usize) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    if query.is_empty() {
        return Ok(values);
    }
    for piece in query.split('&') {
        let Some((name, value)) = piece.split_once('=') else {
            return Err(invalid(format!(
                "byte {at}: a parameter is written name=value, and `&` stands between two; write %26 for itself"
            )));
        };
        let value_at = at + name.len() + 1;
        let name = decode(name, at)?;
        // Before the value is looked at.
        if let Some(credential) = credential(&name) {
            return Err(invalid(format!(
                "byte {at}: the parameter `{credential}` is a credential, and a URI is where everybody can see it; remove \
                 it, and give the credential in the environment or the files that the store's own tools use"
            )));
        }
        values.push(Value::new(name, decode(value, value_at)?, at));
        at += piece.len() + 1;
    }
    Ok(values)
}

/// Undoes percent-encoding; `at` is where `text` begins.
fn decode(text: &str, at: usize) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let here = at + text.len() - rest.len() - 1;
        let digit = |index: usize| rest.get(index).and_then(|&digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(invalid(format!(
                "byte {here}: two hexadecimal digits must follow `%`; write %25 for itself"
            )));
        };
        // Two digits of 16 are below 256.
        let byte = u8::try_from(high * 16 + low).unwrap_or_default();
        bytes.push(byte);
        rest = &rest[2..];
    }
    let decoded = String::from_utf8(bytes)
        .map_err(|_| invalid(format!("byte {at}: what is percent-encoded here is not UTF-8")))?;
    if decoded.contains(char::is_control) {
        return Err(invalid(format!(
            "byte {at}: what is percent-encoded here holds a control character"
        )));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Uri<'_> {
        let mut chain = Uri::parse_chain(text).unwrap();
        assert_eq!(chain.len(), 1, "{text}");
        chain.remove(0)
    }

    fn refused(text: &str) -> String {
        match Uri::parse_chain(text) {
            Ok(_) => panic!("{text:?} was taken"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text:?}");
                error.message().to_owned()
            }
        }
    }

    #[test]
    fn l5_the_parts_of_a_uri() {
        for (text, scheme, authority, path) in [
            ("env:", "env", "", ""),
            ("ENV://", "env", "", ""),
            ("file:///run/secrets", "file", "", "/run/secrets"),
            ("file:/run/secrets?", "file", "", "/run/secrets"),
            ("file:secrets", "file", "", "secrets"),
            ("file:///a%20b%2C/%25é", "file", "", "/a b,/%é"),
            (
                "vault+http://127.0.0.1:8200/kv",
                "vault+http",
                "127.0.0.1:8200",
                "/kv",
            ),
            ("vault://[::1]:8200/kv/a@b", "vault", "[::1]:8200", "/kv/a@b"),
            ("aws://eu-west-1?x=//y", "aws", "eu-west-1", ""),
        ] {
            let uri = one(text);
            assert_eq!(
                (uri.scheme(), uri.authority(), uri.path()),
                (scheme, authority, path),
                "{text}"
            );
        }
    }

    #[test]
    fn l5_parameters_are_decoded_and_plus_is_plus() {
        let mut uri = one("x:?a=1+1&b=%26%3d%C3%A9&%61%62=&a=x=y");
        assert_eq!(uri.take("b").unwrap().text(), "&=é");
        assert_eq!(uri.take("ab").unwrap().text(), "");
        let all: Vec<_> = uri.take_all("a").into_iter().map(Value::text).collect();
        assert_eq!(all, ["1+1", "x=y"]);
        assert!(uri.is_spent());
    }

    #[test]
    fn l5_a_comma_and_a_scheme_begin_the_next_member() {
        let chain = Uri::parse_chain("file:///a,b?base=x,y/z,env:,Vault+http://h").unwrap();
        let parts: Vec<_> = chain
            .iter()
            .map(|uri| (uri.scheme(), uri.path(), uri.at()))
            .collect();
        assert_eq!(
            parts,
            [("file", "/a,b", 0), ("env", "", 23), ("vault+http", "", 28)]
        );
        assert_eq!(one("file:///a%2Cb:c").path(), "/a,b:c");
        assert_eq!(one("file:///a,1b:c").path(), "/a,1b:c");
    }

    #[test]
    fn l5_what_is_malformed_is_refused_at_its_byte() {
        for (text, at) in [
            ("", "byte 0: a URI begins with a scheme"),
            (":", "byte 0: a URI begins with a scheme"),
            ("/run/secrets", "byte 0: a URI begins with a scheme"),
            ("1env:", "byte 0: a URI begins with a scheme"),
            ("env", "byte 0: a URI begins with a scheme"),
            (",env:", "byte 0: a URI begins with a scheme"),
            ("env: ", "byte 4: remove white space"),
            ("env:, file:///x", "byte 5: remove white space"),
            ("env:\0", "byte 4: remove white space"),
            ("file:///a\\b", "byte 9: this character must"),
            ("env:#x", "byte 4: a fragment"),
            ("file:///%", "byte 8: two hexadecimal digits"),
            ("file:///é%2", "byte 10: two hexadecimal digits"),
            ("file:///%+1", "byte 8: two hexadecimal digits"),
            ("file:///%ff", "byte 7: what is percent-encoded here is not UTF-8"),
            (
                "file:///%00",
                "byte 7: what is percent-encoded here holds a control character",
            ),
            ("env:?prefix", "byte 5: a parameter is written name=value"),
            ("env:?a=b&", "byte 9: a parameter is written name=value"),
            ("env:,env:?a=%", "byte 12: two hexadecimal digits"),
        ] {
            let message = refused(text);
            assert!(message.starts_with(at), "{text:?}: {message}");
        }
    }

    #[test]
    fn l4_credentials_are_refused_and_not_repeated() {
        for text in [
            "vault://hunter2@host/kv",
            "vault://user:hunter2@host/kv",
            "vault://user:hunter2%40@host",
            "env:,vault://user:hunter2@host",
            "vault://host?token=hunter2",
            "vault://host?a=b&%74oken=hunter2",
            "vault://host?Client-Secret=hunter2",
            "vault://host?hunter2",
            "vault://user:pass?hunter2@host",
            "vault://user:pass#hunter2@host",
            "vault://user:pass word=hunter2@host",
        ] {
            let message = refused(text);
            assert!(!message.contains("hunter2"), "{text}: {message}");
        }
        assert!(refused("vault://host?SECRET-ID=x").contains("`secret_id` is a credential"));
        assert!(refused("vault://user:x@host").contains("byte 8: a user or password"));
    }
}
