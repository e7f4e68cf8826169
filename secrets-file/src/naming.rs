use std::path::{Path, PathBuf};

use secrets_core::{Error, ErrorKind, Result, SecretName};

/// How names become paths beneath the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// All files lie in the root; each `/` of a name is `_` in its file's name.
    Flat,
    /// Each `/` of a name is a directory.
    #[default]
    Nested,
}

/// As many bytes as the usual file systems take for one name.
const MAX_PART: usize = 255;

/// How names become paths and paths names: a matter of options, never of what is on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    pub(crate) layout: Layout,
    /// With its dot; empty when there is none.
    extension: String,
    base: String,
}

impl Naming {
    pub(crate) fn new(layout: Layout, extension: Option<&str>, base: &str) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidConfig, message));
        let extension = match extension.map(|extension| extension.strip_prefix('.').unwrap_or(extension)) {
            None => String::new(),
            Some("") => return invalid("the option `extension` is empty; leave it out to use none".into()),
            Some(extension) => {
                let fits = SecretName::new(format!("x.{extension}")).is_ok() && !extension.contains('/');
                if !fits || extension.len() > 64 {
                    return invalid(
                        "the option `extension` cannot end a file's name; it is something like .secret"
                            .into(),
                    );
                }
                format!(".{extension}")
            }
        };
        // The base is only ever used with a name behind it.
        if let Err(error) = SecretName::new(format!("{base}x")) {
            return invalid(format!(
                "the option `base` cannot begin a name: {}",
                error.message()
            ));
        }
        Ok(Self {
            layout,
            extension,
            base: base.into(),
        })
    }

    /// The file that holds the secret `name`, relative to the root.
    pub(crate) fn path(&self, name: &SecretName) -> Result<PathBuf> {
        let whole = format!("{}{name}", self.base);
        if !self.base.is_empty() {
            SecretName::new(&whole)?;
        }
        let path = self.encode(&whole) + &self.extension;
        for part in path.split('/') {
            check_part(part)?;
        }
        Ok(path.into())
    }

    /// The name of the file at `path`, if that leads back to it. Below `parent`, in the spelling of `parent`.
    pub(crate) fn name(&self, path: &Path, parent: Option<&SecretName>) -> Option<SecretName> {
        let rest = as_text(path)?;
        let rest = rest.strip_suffix(self.extension.as_str())?;
        let rest = rest.strip_prefix(self.encode(&self.base).as_str())?;
        let name = match parent {
            None => SecretName::new(self.decode(rest)).ok()?,
            Some(parent) => {
                let below = rest.strip_prefix(self.encode(parent.as_str()).as_str())?;
                if below.is_empty() {
                    parent.clone()
                } else {
                    parent
                        .join(self.decode(below.strip_prefix(self.separator())?))
                        .ok()?
                }
            }
        };
        (self.path(&name).ok()? == path).then_some(name)
    }

    /// The directory in which all names lie that are below `parent`, or all names.
    pub(crate) fn directory(&self, parent: Option<&SecretName>) -> PathBuf {
        match (self.layout, parent) {
            (Layout::Flat, _) => PathBuf::new(),
            (Layout::Nested, Some(parent)) => PathBuf::from(format!("{}{parent}", self.base)),
            (Layout::Nested, None) => {
                PathBuf::from(self.base.rsplit_once('/').map_or("", |(directory, _)| directory))
            }
        }
    }

    fn separator(&self) -> char {
        match self.layout {
            Layout::Flat => '_',
            Layout::Nested => '/',
        }
    }

    fn encode(&self, text: &str) -> String {
        match self.layout {
            Layout::Flat => text.replace('/', "_"),
            Layout::Nested => text.into(),
        }
    }

    fn decode(&self, text: &str) -> String {
        match self.layout {
            Layout::Flat => text.replace('_', "/"),
            Layout::Nested => text.into(),
        }
    }
}

/// With `/` between its parts, on every system.
fn as_text(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    Some(if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text.into()
    })
}

fn check_part(part: &str) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidName, message));
    if part.len() > MAX_PART {
        return invalid(format!(
            "a file's name would have {} bytes; the limit is {MAX_PART}",
            part.len()
        ));
    }
    if cfg!(windows) {
        if let Some(refused) = windows_refuses(part) {
            return invalid(format!("no file's name may contain `{refused}` here on Windows"));
        }
    }
    Ok(())
}

/// What keeps `part` from being a plain file's name on Windows: a character, or the name of a device.
fn windows_refuses(part: &str) -> Option<String> {
    const DEVICES: [&str; 4] = ["AUX", "CON", "NUL", "PRN"];

    if let Some(c) = part
        .chars()
        .find(|c| matches!(c, '<' | '>' | ':' | '"' | '|' | '*'))
    {
        return Some(c.into());
    }
    if let Some(c) = part.chars().last().filter(|c| matches!(c, '.' | ' ')) {
        return Some(c.into());
    }
    let stem = part
        .split('.')
        .next()
        .unwrap_or(part)
        .trim_end_matches(' ')
        .to_uppercase();
    let digits = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let numbered = digits.is_some_and(|digits| {
        let mut digits = digits.chars();
        matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
    });
    (DEVICES.contains(&stem.as_str()) || numbered).then_some(stem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn naming(layout: Layout, extension: Option<&str>, base: &str) -> Naming {
        Naming::new(layout, extension, base).unwrap()
    }

    fn path(naming: &Naming, text: &str) -> String {
        naming.path(&name(text)).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn n3_the_documented_mapping() {
        let nested = naming(Layout::Nested, None, "");
        let flat = naming(Layout::Flat, None, "");
        let extended = naming(Layout::Flat, Some("secret"), "");
        for (text, expected) in [
            (
                "smtp/database/password",
                [
                    "smtp/database/password",
                    "smtp_database_password",
                    "smtp_database_password.secret",
                ],
            ),
            (
                "smtp/api-key",
                ["smtp/api-key", "smtp_api-key", "smtp_api-key.secret"],
            ),
            ("a b/ü&=@:*", ["a b/ü&=@:*", "a b_ü&=@:*", "a b_ü&=@:*.secret"]),
            (
                "smtp/.netrc",
                ["smtp/.netrc", "smtp_.netrc", "smtp_.netrc.secret"],
            ),
        ] {
            assert_eq!(
                [path(&nested, text), path(&flat, text), path(&extended, text)],
                expected
            );
        }
        assert_eq!(
            path(&naming(Layout::Nested, Some(".txt"), "prod/x-"), "a/b"),
            "prod/x-a/b.txt"
        );
        assert_eq!(path(&naming(Layout::Flat, None, "prod/"), "a/b"), "prod_a_b");
    }

    #[test]
    fn n1_no_base_makes_a_name_leave_the_root() {
        for base in ["/", "../", "a/../", "a//", "a\\", "a%", "\0"] {
            let error = Naming::new(Layout::Nested, None, base).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{base:?}");
        }
        let error = naming(Layout::Nested, None, &"a".repeat(1_000))
            .path(&name(&"b".repeat(100)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidName);
    }

    #[test]
    fn n3_a_part_too_long_for_a_file_is_refused() {
        let nested = naming(Layout::Nested, None, "");
        assert!(
            nested
                .path(&name(&format!("{}/{}", "a".repeat(255), "b".repeat(255))))
                .is_ok()
        );
        for long in ["a".repeat(256), "ü".repeat(128)] {
            assert_eq!(
                nested.path(&name(&long)).unwrap_err().kind(),
                ErrorKind::InvalidName
            );
        }
        let flat = naming(Layout::Flat, Some("secret"), "");
        assert!(flat.path(&name(&"a/".repeat(124).as_str()[..247])).is_ok());
        assert_eq!(
            flat.path(&name(&"a".repeat(249))).unwrap_err().kind(),
            ErrorKind::InvalidName
        );
    }

    #[test]
    fn n3_what_windows_cannot_name_is_refused_there() {
        for (part, refused) in [
            ("a:b", ":"),
            ("a*", "*"),
            ("a.", "."),
            ("a ", " "),
            ("con", "CON"),
            ("Nul.txt", "NUL"),
            ("lpt1", "LPT1"),
            ("COM¹.x", "COM¹"),
        ] {
            assert_eq!(windows_refuses(part).as_deref(), Some(refused), "{part}");
        }
        for part in ["a", "a.b", ".a", "com", "com10", "console", "a b"] {
            assert_eq!(windows_refuses(part), None, "{part}");
        }
    }

    #[test]
    fn n4_flat_names_are_canonical() {
        let flat = naming(Layout::Flat, Some("secret"), "");
        let listed = |file: &str| flat.name(Path::new(file), None).map(|name| name.to_string());
        assert_eq!(listed("smtp_api-key.secret").as_deref(), Some("smtp/api-key"));
        assert_eq!(listed("SMTP_KEY.secret").as_deref(), Some("SMTP/KEY"));
        for other in [
            "smtp_api-key",
            "smtp.txt",
            ".secret",
            "_a.secret",
            "a__b.secret",
            "a_.secret",
            "a%.secret",
        ] {
            assert_eq!(listed(other), None, "{other}");
        }
    }

    #[test]
    fn n5_a_file_whose_name_would_be_too_long_with_its_base_is_not_listed() {
        let base = format!("{}/", "b".repeat(200));
        let nested = naming(Layout::Nested, None, &base);
        let long = format!("{}a", "a/".repeat(450));
        assert!(SecretName::new(&long).is_ok());
        assert_eq!(nested.name(Path::new(&format!("{base}{long}")), None), None);
        assert_eq!(nested.name(Path::new(&format!("{base}a")), None), Some(name("a")));
    }

    #[test]
    fn e1_wrong_options_name_themselves() {
        for extension in ["", ".", "a/b", "a\0", "%", &"x".repeat(65)] {
            let error = Naming::new(Layout::Flat, Some(extension), "").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.message().contains("`extension`"), "{error}");
        }
    }

    fn layouts() -> impl Strategy<Value = Layout> {
        prop_oneof![Just(Layout::Flat), Just(Layout::Nested)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn n4_whatever_is_listed_is_read_from_the_same_file(
            layout in layouts(),
            extension in prop::option::of("[.]?[a-z]{1,3}"),
            base in "([a-z]{1,2}[/_-]?)?",
            file in "[a-cA-C_./ü%-]{1,8}",
            parent in prop::option::of("[a-c_-]{1,2}(/[a-c_.-]{1,2})?"),
        ) {
            let naming = naming(layout, extension.as_deref(), &base);
            let parent = parent.and_then(|parent| SecretName::new(parent).ok());
            let file = naming.encode(&base) + &file + &naming.extension;
            if let Some(name) = naming.name(Path::new(&file), parent.as_ref()) {
                prop_assert_eq!(naming.path(&name).unwrap(), Path::new(&file));
                prop_assert!(parent.as_ref().is_none_or(|parent| name.starts_with(parent)));
            }
        }

        #[test]
        fn n4_the_mapping_is_pure_and_stays_below_the_root(
            layout in layouts(),
            extension in prop::option::of("[a-z]{1,3}"),
            text in any::<String>(),
        ) {
            if let Ok(name) = SecretName::new(&text) {
                let naming = naming(layout, extension.as_deref(), "");
                let path = naming.path(&name);
                prop_assert_eq!(path.clone().ok(), naming.path(&name).ok());
                if let Ok(path) = path {
                    prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                    if layout == Layout::Nested {
                        prop_assert_eq!(naming.name(&path, None), Some(name));
                    }
                }
            }
        }

        #[test]
        fn n4_no_file_name_panics(layout in layouts(), file in any::<String>(), base in any::<String>()) {
            if let Ok(naming) = Naming::new(layout, None, &base) {
                if let Some(name) = naming.name(Path::new(&file), None) {
                    prop_assert!(naming.path(&name).is_ok());
                }
            }
        }
    }
}
