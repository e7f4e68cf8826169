use secrets_core::{Error, ErrorKind, Result, SecretName};

/// How names become variables and variables names: nothing but the prefix decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    prefix: String,
}

impl Mapping {
    pub(crate) fn new(prefix: String) -> Result<Self> {
        match prefix.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            None => Ok(Self { prefix }),
            Some(c) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the option `prefix` must not contain `{}`; it is ASCII letters, digits and `_`, such as APP_",
                    c.escape_debug()
                ),
            )),
        }
    }

    /// The variable that holds the secret `name`.
    pub(crate) fn variable(&self, name: &SecretName) -> Result<String> {
        let mut variable = String::with_capacity(self.prefix.len() + name.as_str().len());
        variable.push_str(&self.prefix);
        variable.push_str(&encode(name)?);
        Ok(variable)
    }

    /// The canonical name of `variable`, if that leads back to it. Below `parent`, in the spelling of `parent`.
    pub(crate) fn name(&self, variable: &str, parent: Option<&SecretName>) -> Option<SecretName> {
        let rest = strip_prefix(variable, &self.prefix)?;
        let name = match parent {
            None => SecretName::new(decode(rest)).ok()?,
            Some(parent) => {
                let below = strip_prefix(rest, &encode(parent).ok()?)?;
                if below.is_empty() {
                    parent.clone()
                } else {
                    parent.join(decode(below.strip_prefix('_')?)).ok()?
                }
            }
        };
        same_variable(&self.variable(&name).ok()?, variable).then_some(name)
    }
}

fn encode(name: &SecretName) -> Result<String> {
    name.as_str()
        .chars()
        .map(|c| match c {
            '/' | '-' | '.' | '_' => Ok('_'),
            c if c.is_ascii_alphanumeric() => Ok(c.to_ascii_uppercase()),
            c => Err(Error::new(
                ErrorKind::InvalidName,
                format!(
                    "no environment variable stands for the character `{}`; use ASCII letters, digits and `/ - . _`",
                    c.escape_debug()
                ),
            )),
        })
        .collect()
}

fn decode(rest: &str) -> String {
    rest.chars()
        .map(|c| if c == '_' { '/' } else { c.to_ascii_lowercase() })
        .collect()
}

/// Windows ignores the case of variables, and keeps it when listing them.
fn same_variable(left: &str, right: &str) -> bool {
    if cfg!(windows) {
        left.eq_ignore_ascii_case(right)
    } else {
        left == right
    }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    same_variable(start, prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn mapping(prefix: &str) -> Mapping {
        Mapping::new(prefix.into()).unwrap()
    }

    #[test]
    fn n3_the_documented_mapping() {
        for (text, variable) in [
            ("smtp/database/password", "SMTP_DATABASE_PASSWORD"),
            ("smtp/api-key", "SMTP_API_KEY"),
            ("tls.crt", "TLS_CRT"),
            ("api_key", "API_KEY"),
            ("Smtp/2", "SMTP_2"),
        ] {
            assert_eq!(mapping("").variable(&name(text)).unwrap(), variable);
            assert_eq!(
                mapping("App_").variable(&name(text)).unwrap(),
                format!("App_{variable}")
            );
        }
    }

    #[test]
    fn n3_what_no_variable_stands_for_is_refused_by_its_character() {
        for (text, character) in [
            ("a b", "` `"),
            ("a=b", "`=`"),
            ("a/ü", "`ü`"),
            ("a+b", "`+`"),
            ("a:b", "`:`"),
            ("a@b", "`@`"),
            ("ſ", "`ſ`"),
            ("a$b", "`$`"),
        ] {
            let error = mapping("").variable(&name(text)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidName);
            assert!(error.message().contains(character), "{error}");
        }
    }

    #[test]
    fn n4_listed_names_are_canonical_and_lead_back() {
        let mapping = mapping("APP_");
        assert_eq!(mapping.name("APP_SMTP_API_KEY", None), Some(name("smtp/api/key")));
        for other in [
            "APP_",
            "APP__A",
            "APP_A_",
            "APP_A__B",
            "APP_A-B",
            "APP_A B",
            "SMTP_KEY",
            "APPLICATION",
            "APP",
            "",
        ] {
            assert_eq!(mapping.name(other, None), None, "{other}");
        }
        if !cfg!(windows) {
            assert_eq!(mapping.name("APP_lower", None), None);
            assert_eq!(mapping.name("app_LOWER", None), None);
        }
    }

    #[test]
    fn n5_below_a_prefix_means_whole_segments() {
        let mapping = mapping("");
        let app = name("app");
        assert_eq!(mapping.name("APP", Some(&app)), Some(name("app")));
        assert_eq!(mapping.name("APP_X", Some(&app)), Some(name("app/x")));
        assert_eq!(mapping.name("APPLICATION", Some(&app)), None);
        assert_eq!(mapping.name("AP", Some(&app)), None);
        assert_eq!(
            mapping.name("SMTP_DB_X_Y", Some(&name("smtp-db"))),
            Some(name("smtp-db/x/y"))
        );
    }

    #[test]
    fn a_prefix_is_checked() {
        for bad in ["APP-", "A=", "ÄPP_", "A B", "A\0"] {
            assert_eq!(
                Mapping::new(bad.into()).unwrap_err().kind(),
                ErrorKind::InvalidConfig,
                "{bad:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn n4_whatever_is_listed_is_read_from_the_same_variable(
            prefix in "[A-Za-z0-9_]{0,4}",
            variable in "[A-Z0-9_a-z.é=-]{0,12}",
            parent in prop::option::of("[a-zA-Z0-9_.-]{1,3}(/[a-z0-9_-]{1,3}){0,2}"),
        ) {
            let mapping = mapping(&prefix);
            let parent = parent.and_then(|parent| SecretName::new(parent).ok());
            for variable in [variable.clone(), format!("{prefix}{variable}")] {
                if let Some(name) = mapping.name(&variable, parent.as_ref()) {
                    prop_assert!(same_variable(&mapping.variable(&name).unwrap(), &variable));
                    prop_assert!(parent.as_ref().is_none_or(|parent| name.starts_with(parent)));
                }
            }
        }

        #[test]
        fn n4_the_mapping_is_pure_and_stays_inside_its_alphabet(prefix in "[A-Z0-9_]{0,4}", text in any::<String>()) {
            if let Ok(name) = SecretName::new(&text) {
                let mapping = mapping(&prefix);
                let variable = mapping.variable(&name);
                prop_assert_eq!(variable.clone().ok(), mapping.variable(&name).ok());
                if let Ok(variable) = variable {
                    prop_assert!(variable.starts_with(&prefix));
                    prop_assert!(variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
                    prop_assert_eq!(variable.len(), prefix.len() + text.len());
                }
            }
        }

        #[test]
        fn n4_a_name_of_the_alphabet_is_always_expressible(text in "[a-zA-Z0-9_.-]{1,8}(/[a-zA-Z0-9_.-]{1,8}){0,3}") {
            if let Ok(name) = SecretName::new(&text) {
                let mapping = mapping("P_");
                let variable = mapping.variable(&name).unwrap();
                if let Some(canonical) = mapping.name(&variable, None) {
                    prop_assert_eq!(mapping.variable(&canonical).unwrap(), variable);
                }
            }
        }
    }
}
