//! How the name of a secret becomes what AWS calls it.

use std::fmt;

use secrets_core::{Error, ErrorKind, Result, SecretName};

use crate::error::config;

/// What a service takes as the name of one of its things.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The service, in messages.
    pub(crate) service: &'static str,
    /// The service and the kind of thing, in ARNs: `secretsmanager` and `secret`.
    pub(crate) arn: (&'static str, &'static str),
    /// What stands between that kind and the name in an ARN.
    pub(crate) separator: char,
    /// Beside letters and digits.
    pub(crate) punctuation: &'static str,
    pub(crate) longest: usize,
    /// The most segments, where names with `/` are paths from a root.
    pub(crate) levels: Option<usize>,
}

pub(crate) const SECRETS: Rules = Rules {
    service: "Secrets Manager",
    arn: ("secretsmanager", "secret"),
    separator: ':',
    punctuation: "/_+=.@-",
    longest: 512,
    levels: None,
};

pub(crate) const PARAMETERS: Rules = Rules {
    service: "Parameter Store",
    arn: ("ssm", "parameter"),
    separator: '/',
    punctuation: "/_.-",
    longest: 1011,
    levels: Some(15),
};

impl Rules {
    /// What the service calls a secret: `base` and the name; an ARN as it is.
    ///
    /// # Errors
    ///
    /// `InvalidName` for what the service cannot express, naming the character.
    pub(crate) fn id(&self, base: &str, name: &SecretName) -> Result<String> {
        if name.as_str().starts_with("arn:") {
            return self.check_arn(name.as_str()).map(|()| name.as_str().to_owned());
        }
        let id = format!("{base}{name}");
        self.check(&id)?;
        Ok(id)
    }

    /// Checks what stands before every name.
    ///
    /// # Errors
    ///
    /// `InvalidConfig`.
    pub(crate) fn check_base(&self, base: &str) -> Result<()> {
        if base.is_empty() {
            return Ok(());
        }
        // A base is a name but for its end; with a letter at that it has to be one.
        let whole = format!("{base}x");
        let rooted = whole.trim_start_matches('/');
        if self.check(&whole).is_err() || whole.starts_with("//") || SecretName::new(rooted).is_err() {
            return Err(config(format!(
                "`base` is not what a name of {} can begin with, such as prod/ or /prod/",
                self.service
            )));
        }
        Ok(())
    }

    fn check(&self, id: &str) -> Result<()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || self.punctuation.contains(c);
        if let Some(c) = id.chars().find(|c| !allowed(*c)) {
            return Err(self.invalid(format!(
                "has no names with `{}`: letters, digits and {} are allowed",
                c.escape_debug(),
                self.punctuation
                    .chars()
                    .map(String::from)
                    .collect::<Vec<_>>()
                    .join(" ")
            )));
        }
        if id.len() > self.longest {
            return Err(self.invalid(format!(
                "has no names of {} characters; the limit is {}, with the base",
                id.len(),
                self.longest
            )));
        }
        let Some(levels) = self.levels else {
            return Ok(());
        };
        if id.contains('/') && !id.starts_with('/') {
            return Err(self.invalid(
                "wants a `/` before a name with a `/` in it: set a `base` that begins with one, such as the default",
            ));
        }
        if id.split('/').filter(|segment| !segment.is_empty()).count() > levels {
            return Err(self.invalid(format!(
                "has no names of more than {levels} segments, with the base"
            )));
        }
        Ok(())
    }

    /// `arn:partition:service:region:account:secret:name`, the last part also incomplete.
    fn check_arn(&self, arn: &str) -> Result<()> {
        let (service, kind) = self.arn;
        let shape = || {
            self.invalid(format!(
                "has no such ARN; write arn:aws:{service}:region:account:{kind}{}name, or a name without `:`",
                self.separator
            ))
        };
        let mut parts = arn.splitn(6, ':').skip(1);
        let plain = |part: Option<&str>| {
            part.is_some_and(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
        };
        if !plain(parts.next())
            || parts.next() != Some(service)
            || !plain(parts.next())
            || !plain(parts.next())
        {
            return Err(shape());
        }
        let name = parts
            .next()
            .and_then(|resource| resource.strip_prefix(kind)?.strip_prefix(self.separator));
        let name = name.filter(|name| !name.is_empty()).ok_or_else(shape)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || self.punctuation.contains(c);
        if let Some(c) = name.chars().find(|c| !allowed(*c)) {
            return Err(self.invalid(format!("has no ARNs with `{}` in the name", c.escape_debug())));
        }
        if arn.len() > 2048 {
            return Err(shape());
        }
        Ok(())
    }

    fn invalid(&self, what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidName, format!("{} {what}", self.service))
    }
}

/// The name below a base, of what a service lists; `None` for what no name expresses.
pub(crate) fn below(base: &str, id: &str, prefix: Option<&SecretName>) -> Option<SecretName> {
    let name = SecretName::new(id.strip_prefix(base)?).ok()?;
    prefix
        .is_none_or(|prefix| name.starts_with(prefix))
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn refused(rules: &Rules, base: &str, text: &str) -> String {
        let error = rules.id(base, &name(text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{text}");
        error.message().to_owned()
    }

    #[test]
    fn n3_what_a_service_cannot_express_is_refused_naming_it() {
        assert_eq!(
            SECRETS.id("prod/", &name("smtp/pass_word+=.@-1")).unwrap(),
            "prod/smtp/pass_word+=.@-1"
        );
        assert_eq!(
            PARAMETERS.id("/", &name("smtp/pass_word.-1")).unwrap(),
            "/smtp/pass_word.-1"
        );
        for c in [' ', '*', '&', 'é', '~', '\'', ':', ',', '\u{200b}'] {
            let text = format!("a{c}b");
            for rules in [&SECRETS, &PARAMETERS] {
                assert!(
                    refused(rules, "/", &text).contains(&c.escape_debug().to_string()),
                    "{text}"
                );
            }
        }
        for c in ["+", "=", "@"] {
            assert!(refused(&PARAMETERS, "/", &format!("a{c}b")).contains(c));
        }
        assert!(SECRETS.id("", &name(&"a".repeat(512))).is_ok());
        assert!(refused(&SECRETS, "", &"a".repeat(513)).contains("512"));
        assert!(refused(&SECRETS, "base/", &"a".repeat(508)).contains("512"));
        assert!(PARAMETERS.id("/", &name(&["a"; 15].join("/"))).is_ok());
        assert!(refused(&PARAMETERS, "/", &["a"; 16].join("/")).contains("15"));
        assert!(PARAMETERS.id("", &name("flat")).is_ok());
        assert!(refused(&PARAMETERS, "", "a/b").contains("base"));
    }

    #[test]
    fn n2_an_arn_is_one_of_this_service_or_none() {
        for good in [
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:smtp/password-AbCdEf",
            "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:smtp/password",
        ] {
            assert_eq!(SECRETS.id("base/", &name(good)).unwrap(), good);
            assert!(refused(&PARAMETERS, "/", good).contains("arn:aws:ssm:"));
        }
        let parameter = "arn:aws:ssm:eu-central-1:123456789012:parameter/smtp/password";
        assert_eq!(PARAMETERS.id("/", &name(parameter)).unwrap(), parameter);
        for bad in [
            "arn:",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a b",
            "arn:aws:secretsmanager::123456789012:secret:a",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a:b",
        ] {
            refused(&SECRETS, "", bad);
        }
    }

    #[test]
    fn a_base_is_the_beginning_of_a_name() {
        for good in ["", "prod/", "prod-", "a/b/c"] {
            assert!(SECRETS.check_base(good).is_ok(), "{good}");
        }
        for good in ["", "/", "/prod/", "/prod/app-"] {
            assert!(PARAMETERS.check_base(good).is_ok(), "{good}");
        }
        for bad in ["a b/", "a//b", "é", "../", "a?", "//"] {
            assert!(SECRETS.check_base(bad).is_err(), "{bad}");
            assert!(PARAMETERS.check_base(bad).is_err(), "{bad}");
        }
        assert!(PARAMETERS.check_base("prod/").is_err());
    }

    #[test]
    fn n5_what_is_listed_can_be_read() {
        assert_eq!(below("prod/", "prod/a/b", None), Some(name("a/b")));
        assert_eq!(below("prod/", "other/a", None), None);
        assert_eq!(below("", "a//b", None), None);
        assert_eq!(below("/", "/app/x", Some(&name("app"))), Some(name("app/x")));
        assert_eq!(below("/", "/application", Some(&name("app"))), None);
    }
}
