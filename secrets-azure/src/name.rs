//! Names: `/` here, `--` in Key Vault.

use secrets_core::{Error, ErrorKind, Result, SecretName, Version};

/// Key Vault's own limit.
const MAX_LEN: usize = 127;

/// What a name is called in the vault: its segments, joined by `--`.
///
/// # Errors
///
/// `InvalidName` naming the character. Nothing else than letters, digits and `-` leaves this function, so that no name can
/// end up anywhere but below `/secrets/`.
pub(crate) fn encode(base: Option<&SecretName>, name: &SecretName) -> Result<String> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidName, message));
    let segments = base.into_iter().flat_map(SecretName::segments);
    let segments: Vec<_> = segments.chain(name.segments()).collect();
    for segment in &segments {
        if let Some(c) = segment.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return invalid(format!(
                "Key Vault has no `{}` in names: letters, digits and `-` only, with `/` between segments",
                c.escape_debug()
            ));
        }
        if segment.starts_with('-') || segment.ends_with('-') || segment.contains("--") {
            return invalid(
                "a segment begins or ends with `-`, or contains `--`, which stands for `/` in Key Vault"
                    .to_owned(),
            );
        }
    }
    let encoded = segments.join("--");
    if encoded.len() > MAX_LEN {
        return invalid(format!(
            "the name has {} characters in Key Vault, where `/` is `--`; the limit is {MAX_LEN}",
            encoded.len()
        ));
    }
    Ok(encoded)
}

/// The name of a secret of the vault, in its canonical form: lower case, as Key Vault ignores case. `None` for one that
/// no name stands for.
pub(crate) fn decode(encoded: &str) -> Option<SecretName> {
    let lower = encoded.to_ascii_lowercase();
    let name = SecretName::new(lower.replace("--", "/")).ok()?;
    // `a---b` could be read in two ways, and so is not read at all.
    (encode(None, &name).ok()? == lower).then_some(name)
}

/// A version, as Key Vault writes it: 32 hexadecimal digits, lower case.
///
/// # Errors
///
/// `InvalidName` for anything else.
pub(crate) fn version(version: &Version) -> Result<&str> {
    let text = version.as_str();
    if is_version(text) {
        return Ok(text);
    }
    Err(Error::new(
        ErrorKind::InvalidName,
        "a version of a Key Vault secret is 32 hexadecimal digits, in lower case",
    ))
}

/// Whether this is how Key Vault writes a version.
pub(crate) fn is_version(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn n4_the_mapping_is_pure_and_lists_lower_case() {
        for (text, encoded) in [
            ("smtp/database/password", "smtp--database--password"),
            ("api-key", "api-key"),
            ("A/b-C", "A--b-C"),
        ] {
            assert_eq!(encode(None, &name(text)).unwrap(), encoded);
            assert_eq!(decode(encoded), Some(name(&text.to_ascii_lowercase())));
        }
        assert_eq!(
            encode(Some(&name("apps/web")), &name("a")).unwrap(),
            "apps--web--a"
        );
        for foreign in ["a---b", "-a", "a-", "--a", "a--", "a----b", "", "a_b", "a.b", "é"] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn n2_n3_what_key_vault_cannot_express_is_refused_naming_the_character() {
        for (text, says) in [
            ("a_b", "`_`"),
            ("a.b", "`.`"),
            ("a b", "` `"),
            ("a&b=c", "`&`"),
            ("a+b@c:d*", "`+`"),
            ("é", "`é`"),
            ("\u{202e}a", "u{202e}"),
            ("a--b", "`--`"),
            ("a/-b", "`-`"),
            ("a-/b", "`-`"),
        ] {
            let error = encode(None, &name(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{text}");
            assert!(error.message().contains(says), "{error}");
        }
        assert!(encode(None, &name(&"a".repeat(127))).is_ok());
        assert!(encode(None, &name(&"a".repeat(128))).is_err());
        assert!(encode(None, &name(&["ab"; 33].join("/"))).is_err());
    }

    #[test]
    fn r1_a_version_has_one_spelling() {
        let good = Version::new("0123456789abcdef0123456789abcdef").unwrap();
        assert!(version(&good).is_ok());
        for bad in ["1", "latest", "0123456789ABCDEF0123456789ABCDEF", &"0".repeat(33)] {
            let error = version(&Version::new(bad).unwrap())
                .map(str::to_owned)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{bad}");
        }
    }
}
