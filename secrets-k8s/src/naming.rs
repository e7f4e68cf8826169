use secrets_core::{Error, ErrorKind, Result, SecretName};

/// As long as Kubernetes allows the name of a Secret, and a key in it.
const MAX_LEN: usize = 253;

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The name of the Secret.
    pub(crate) secret: String,
    /// The key in it; `None` for all of them.
    pub(crate) key: Option<String>,
}

/// How names become Secrets and keys, and back: a matter of options, never of what exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    base: Box<str>,
}

impl Naming {
    /// # Errors
    ///
    /// `InvalidConfig` when no Secret's name can begin with `base`.
    pub(crate) fn new(base: &str) -> Result<Self> {
        match check_secret(&format!("{base}x")) {
            Ok(()) => Ok(Self { base: base.into() }),
            Err(_) => Err(Error::new(
                ErrorKind::InvalidConfig,
                "the option `base` cannot begin the name of a Secret; it is something like billing-",
            )),
        }
    }

    /// Whether this is the name of a Secret.
    ///
    /// # Errors
    ///
    /// `InvalidName`, naming the character that Kubernetes does not take.
    pub(crate) fn check(secret: &str) -> Result<()> {
        check_secret(secret).map_err(invalid)
    }

    /// The last segment is the key, the earlier ones joined by `-` are the Secret; a single one is a whole Secret.
    ///
    /// # Errors
    ///
    /// `InvalidName`, naming the character that Kubernetes does not take.
    pub(crate) fn place(&self, name: &SecretName) -> Result<Place> {
        let (secret, key) = match name.as_str().rsplit_once('/') {
            Some((secret, key)) => (secret, Some(key)),
            None => (name.as_str(), None),
        };
        let secret = self.encode(secret);
        check_secret(&secret).map_err(invalid)?;
        key.map_or(Ok(()), check_key).map_err(invalid)?;
        Ok(Place {
            secret,
            key: key.map(Into::into),
        })
    }

    /// The name by which a key of a Secret is listed, below `prefix` if there is one; `None` when it has none.
    ///
    /// A `-` is read as `/` wherever that leads back. Below a prefix, names keep its spelling.
    pub(crate) fn listed(&self, secret: &str, key: &str, prefix: Option<&SecretName>) -> Option<SecretName> {
        let name = match prefix {
            None => format!("{}/{key}", decode(secret.strip_prefix(&*self.base)?)),
            Some(prefix) => {
                let above = self.encode(prefix.as_str());
                match secret.strip_prefix(above.as_str()) {
                    Some("") => format!("{prefix}/{key}"),
                    Some(rest) => {
                        let rest = rest.strip_prefix('-').filter(|rest| !rest.starts_with('-'))?;
                        format!("{prefix}/{}/{key}", decode(rest))
                    }
                    // The prefix may be this very name.
                    None => prefix.as_str().to_owned(),
                }
            }
        };
        let name = SecretName::new(name).ok()?;
        let place = self.place(&name).ok()?;
        (place.secret == secret && place.key.as_deref() == Some(key)).then_some(name)
    }

    /// Whether no key of this Secret has a name below `prefix`.
    pub(crate) fn is_apart(&self, secret: &str, prefix: Option<&SecretName>) -> bool {
        let Some(prefix) = prefix else {
            return !secret.starts_with(&*self.base);
        };
        let above = self.encode(prefix.as_str());
        let below = secret
            .strip_prefix(above.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let itself = self.place(prefix).is_ok_and(|place| place.secret == secret);
        !below && !itself
    }

    fn encode(&self, segments: &str) -> String {
        format!("{}{}", self.base, segments.replace('/', "-"))
    }
}

/// Reads each `-` between two other characters as `/`.
fn decode(secret: &str) -> String {
    let bytes = secret.as_bytes();
    let single = |at: usize| {
        let beside = [at.checked_sub(1), Some(at + 1)];
        beside.iter().all(|beside| {
            beside
                .and_then(|at| bytes.get(at))
                .is_some_and(|byte| *byte != b'-')
        })
    };
    let parts = secret.char_indices();
    parts
        .map(|(at, c)| if c == '-' && single(at) { '/' } else { c })
        .collect()
}

/// A DNS subdomain: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
fn check_secret(secret: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(refused) = secret.chars().find(|c| !plain(*c) && !matches!(c, '-' | '.')) {
        return Err(format!(
            "the name of a Secret cannot contain `{}`; it is made of a-z, 0-9, `-` and `.`",
            refused.escape_debug()
        ));
    }
    if secret.len() > MAX_LEN {
        return Err(format!(
            "the name of the Secret would have {} bytes; the limit is {MAX_LEN}",
            secret.len()
        ));
    }
    // Every part between the dots begins and ends with a letter or digit.
    for part in secret.split('.') {
        for end in [part.chars().next(), part.chars().next_back()] {
            match end {
                Some(c) if plain(c) => {}
                Some(c) => {
                    return Err(format!(
                        "the name of a Secret, and each part between its dots, cannot begin or end with `{c}`"
                    ));
                }
                None => return Err("the name of a Secret cannot have `.` at an end or beside another".into()),
            }
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(refused) = key.chars().find(|c| !plain(*c)) {
        return Err(format!(
            "a key of a Secret cannot contain `{}`; it is made of letters, digits, `-`, `_` and `.`",
            refused.escape_debug()
        ));
    }
    if key.len() > MAX_LEN {
        return Err(format!(
            "the key would have {} bytes; the limit is {MAX_LEN}",
            key.len()
        ));
    }
    if key.starts_with("..") {
        return Err("a key of a Secret cannot begin with `..`".into());
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidName, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn place(naming: &Naming, text: &str) -> Result<(String, Option<String>), ErrorKind> {
        match naming.place(&name(text)) {
            Ok(place) => Ok((place.secret, place.key)),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn n4_the_last_segment_is_the_key_and_the_others_are_the_secret() {
        let plain = Naming::default();
        let based = Naming::new("billing-").unwrap();
        for (text, secret, key) in [
            ("smtp/database/password", "smtp-database", Some("password")),
            ("smtp-database/password", "smtp-database", Some("password")),
            ("tls/tls.crt", "tls", Some("tls.crt")),
            ("smtp", "smtp", None),
            ("a.b/c/_X-1.y", "a.b-c", Some("_X-1.y")),
            ("1/.netrc", "1", Some(".netrc")),
        ] {
            let key = key.map(str::to_owned);
            assert_eq!(place(&plain, text), Ok((secret.to_owned(), key.clone())));
            assert_eq!(place(&based, text), Ok((format!("billing-{secret}"), key)));
        }
    }

    #[test]
    fn n3_what_kubernetes_cannot_name_is_refused_with_the_character() {
        for (text, character) in [
            ("Smtp/password", "`S`"),
            ("smtp_x/password", "`_`"),
            ("sm tp/password", "` `"),
            ("é/password", "`é`"),
            ("-a/password", "`-`"),
            ("a-/password", "`-`"),
            ("a.-b/password", "`-`"),
            ("a..b/password", "`.`"),
            (".a/password", "`.`"),
            ("a/b c", "` `"),
            ("a/b@c", "`@`"),
            ("a/b+c", "`+`"),
            ("a/é", "`é`"),
            ("a/..b", "`..`"),
        ] {
            let error = Naming::default().place(&name(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{text}");
            assert!(error.message().contains(character), "{text}: {error}");
        }
        for (text, fits) in [
            ("s".repeat(253) + "/k", true),
            ("s".repeat(254) + "/k", false),
            ("s/".to_owned() + &"k".repeat(253), true),
            ("s/".to_owned() + &"k".repeat(254), false),
        ] {
            assert_eq!(place(&Naming::default(), &text).is_ok(), fits);
        }
    }

    #[test]
    fn n1_a_base_that_no_secret_can_begin_with_names_its_option() {
        for base in ["Billing-", "billing/", "../", "-", ".", "a..", "a b", "é"] {
            let error = Naming::new(base).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{base}");
            assert!(error.message().contains("`base`"), "{error}");
        }
        for base in ["", "billing-", "billing.", "billing"] {
            assert!(Naming::new(base).is_ok(), "{base}");
        }
    }

    #[test]
    fn n4_listed_names_lead_back() {
        let naming = Naming::default();
        for (secret, key, listed) in [
            ("smtp-database", "password", Some("smtp/database/password")),
            ("smtp", "tls.crt", Some("smtp/tls.crt")),
            ("a--b-c", "k", Some("a--b/c/k")),
            ("a.b", "k-1", Some("a.b/k-1")),
            ("smtp", "..data", None),
            ("Smtp", "k", None),
        ] {
            let name = naming.listed(secret, key, None);
            assert_eq!(name.as_ref().map(SecretName::as_str), listed, "{secret}");
        }
        let based = Naming::new("billing-").unwrap();
        assert_eq!(based.listed("billing-a-b", "k", None), Some(name("a/b/k")));
        assert_eq!(based.listed("other", "k", None), None);
        assert_eq!(based.listed("billing-", "k", None), None);
        assert_eq!(
            based.listed("billing-a-b", "k", Some(&name("a"))),
            Some(name("a/b/k"))
        );
    }

    #[test]
    fn n5_below_a_prefix_names_keep_its_spelling() {
        let listed = |secret: &str, prefix: &str| {
            let listed = Naming::default().listed(secret, "k", Some(&name(prefix)));
            listed.map(|name| name.to_string())
        };
        assert_eq!(listed("app-x", "app").as_deref(), Some("app/x/k"));
        assert_eq!(listed("app", "app").as_deref(), Some("app/k"));
        assert_eq!(listed("app-x-y", "app-x").as_deref(), Some("app-x/y/k"));
        assert_eq!(listed("app", "app/k").as_deref(), Some("app/k"));
        assert_eq!(listed("app", "app/other"), None);
        for other in ["application", "ap", "app--x", "my-app"] {
            assert_eq!(listed(other, "app"), None, "{other}");
        }
        assert_eq!(listed("app", "APP"), None);
    }
}
