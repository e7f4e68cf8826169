//! The files `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrets_core::{Cause, Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::error::config;
use crate::files;

/// What a section says, by key. Some of it is secret.
type Values = BTreeMap<String, Zeroizing<String>>;

/// The profiles of both files, those of the second before those of the first; and the sections `services` of the first.
#[derive(Default)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Values>,
    services: BTreeMap<String, Values>,
}

/// One of the profiles.
#[derive(Clone, Copy)]
pub(crate) struct Profile<'a>(&'a Values);

/// Which of the files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    Credentials,
}

impl Profiles {
    /// Reads both files, wherever the environment says they are. One that is not there is empty.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` with the line that makes no sense, and none of its text; and for a file that cannot be read though a
    /// variable names it.
    pub(crate) fn load() -> Result<Self> {
        let mut all = Self::default();
        for (kind, variable, usual) in [
            (Kind::Config, "AWS_CONFIG_FILE", "config"),
            (Kind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            let named = std::env::var_os(variable).filter(|path| !path.is_empty());
            let Some(path) = named
                .as_ref()
                .map(|path| expand(Path::new(path)))
                .or_else(|| Some(home()?.join(".aws").join(usual)))
            else {
                continue;
            };
            let text = match files::text(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // The home of a container's user is often somebody else's.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && named.is_none() => continue,
                Err(error) => {
                    let message = format!("the file of AWS profiles {} cannot be read", path.display());
                    return Err(Error::new(ErrorKind::InvalidConfig, message).with_cause(Cause::from(&error)));
                }
            };
            all.read(&text, kind)
                .map_err(|line| config(format!("line {line} of {} makes no sense", path.display())))?;
        }
        Ok(all)
    }

    /// The profile of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Profile<'_>> {
        self.profiles.get(name).map(Profile)
    }

    /// What a section `services` says of one service: `secrets_manager.endpoint_url`.
    pub(crate) fn service(&self, section: &str, key: &str) -> Option<&str> {
        self.services.get(section)?.get(key).map(|value| value.as_str())
    }

    /// What a first file of this text says.
    #[cfg(test)]
    pub(crate) fn of(config: &str) -> Self {
        let mut all = Self::default();
        all.read(config, Kind::Config).expect("it makes sense");
        all
    }

    /// Adds what a file says. The number of the line is that of one that makes no sense.
    fn read(&mut self, text: &str, kind: Kind) -> Result<(), usize> {
        let mut found: Vec<(&str, Values)> = Vec::new();
        // The property that indented lines belong to, when it has no value of its own.
        let mut outer: Option<String> = None;
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            if line.trim().is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') {
                let name = uncommented(line, false).strip_prefix('[');
                let name = name.and_then(|name| name.strip_suffix(']')).ok_or(number)?;
                found.push((name.trim(), Values::new()));
                outer = None;
                continue;
            }
            let (_, values) = found.last_mut().ok_or(number)?;
            let indented = line.starts_with([' ', '\t']);
            let pair = uncommented(line, true).split_once('=');
            match (indented, &outer) {
                // The rest of a value of several lines, which none of those read here has.
                (true, None) if !values.is_empty() => {}
                (true, None) => return Err(number),
                (true, Some(outer)) => {
                    let (key, value) = pair.ok_or(number)?;
                    let key = format!("{outer}.{}", key.trim().to_ascii_lowercase());
                    values.insert(key, Zeroizing::new(value.trim().to_owned()));
                }
                (false, _) => {
                    let (key, value) = pair.ok_or(number)?;
                    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
                    if key.is_empty() {
                        return Err(number);
                    }
                    outer = value.is_empty().then(|| key.clone());
                    values.insert(key, Zeroizing::new(value.to_owned()));
                }
            }
        }
        let spelled_out = found.iter().any(|(name, _)| is_default(name));
        for (name, values) in found {
            if spelled_out && name == "default" && kind == Kind::Config {
                continue;
            }
            let (prefix, name) = name.split_once([' ', '\t']).map_or(("", name), |(prefix, name)| {
                (prefix, name.trim_start_matches([' ', '\t']))
            });
            let section = match (kind, prefix) {
                (Kind::Config, "profile") | (Kind::Credentials, "") => &mut self.profiles,
                (Kind::Config, "") if name == "default" => &mut self.profiles,
                (Kind::Config, "services") => &mut self.services,
                _ => continue,
            };
            section.entry(name.to_owned()).or_default().extend(values);
        }
        Ok(())
    }
}

impl<'a> Profile<'a> {
    /// What it says under this key; `None` for nothing.
    pub(crate) fn get(self, key: &str) -> Option<&'a str> {
        let value = self.0.get(key).map(|value| value.as_str());
        value.filter(|value| !value.is_empty())
    }
}

/// `[profile default]`, which stands before `[default]`.
fn is_default(section: &str) -> bool {
    let name = section.strip_prefix("profile");
    name.is_some_and(|name| name.starts_with([' ', '\t']) && name.trim() == "default")
}

/// A line without the comment at its end, which in a property begins after white space.
fn uncommented(line: &str, after_space: bool) -> &str {
    let mut space = !after_space;
    let comment = line.char_indices().find(|(_, c)| {
        let found = space && matches!(c, '#' | ';');
        space = !after_space || c.is_whitespace();
        found
    });
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

fn home() -> Option<PathBuf> {
    ["HOME", "USERPROFILE"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).filter(|home| !home.is_empty()))
        .map(PathBuf::from)
}

/// A path with the home in the place of `~/`.
fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(config: &str, credentials: &str) -> Profiles {
        let mut profiles = Profiles::default();
        profiles.read(config, Kind::Config).unwrap();
        profiles.read(credentials, Kind::Credentials).unwrap();
        profiles
    }

    #[test]
    fn profiles_are_read_as_the_tools_of_aws_read_them() {
        let all = profiles(
            "\u{feff}# a comment\n; another\n[default]\nregion=eu-central-1\r\n\n[profile  app] ; whose\nRegion = eu-west-1 # here\n\
             secret = a#b;c\ns3 =\n  max_concurrent_requests = 10\n\tregion = nested\nempty =\n[app2]\nregion = ignored\n\
             [services local]\nsecrets_manager =\n  endpoint_url = http://localhost:1 \nssm = \n  endpoint_url = http://localhost:2\n\
             [sso-session app]\nregion = ignored\n",
            "[default]\nregion = us-east-1\n[app]\naws_access_key_id = AKID\n[profile app3]\nx = y\n",
        );
        let get = |profile: &str, key: &str| all.get(profile).and_then(|profile| profile.get(key));
        assert_eq!(
            get("default", "region"),
            Some("us-east-1"),
            "the second file stands first"
        );
        assert_eq!(get("app", "region"), Some("eu-west-1"));
        assert_eq!(get("app", "secret"), Some("a#b;c"));
        assert_eq!(get("app", "empty"), None);
        assert_eq!(get("app", "aws_access_key_id"), Some("AKID"));
        for none in ["app2", "app3", "profile app3", "sso-session app"] {
            assert!(all.get(none).is_none(), "{none}");
        }
        assert_eq!(
            all.service("local", "secrets_manager.endpoint_url"),
            Some("http://localhost:1")
        );
        assert_eq!(
            all.service("local", "ssm.endpoint_url"),
            Some("http://localhost:2")
        );
    }

    #[test]
    fn a_default_that_is_spelled_out_stands_before_the_other() {
        for config in [
            "[default]\nregion = one\n[profile default]\nregion = two\n",
            "[profile default]\nregion = two\n[default]\nregion = one\n",
        ] {
            let all = profiles(config, "");
            assert_eq!(all.get("default").unwrap().get("region"), Some("two"));
        }
    }

    #[test]
    fn l5_whatever_a_file_says_there_is_no_panic_and_a_line_that_makes_no_sense_is_named() {
        for (text, line) in [
            ("region = x", 1),
            ("[default]\nregion", 2),
            ("[default\n", 1),
            ("[default]\n\n= x", 3),
            ("[default]\n  x = y", 2),
            ("[default]\ns3 =\n  nonsense", 3),
        ] {
            let read = Profiles::default().read(text, Kind::Config);
            assert_eq!(read, Err(line), "{text}");
        }
        let mut rng = fastrand::Rng::with_seed(7);
        let parts = [
            "[", "]", "=", "\n", " ", "\t", "#", ";", "é", "default", "profile", "services", "\r", "\u{feff}",
        ];
        for _ in 0..20_000 {
            let text: String = (0..rng.usize(0..16))
                .map(|_| parts[rng.usize(0..parts.len())])
                .collect();
            for kind in [Kind::Config, Kind::Credentials] {
                let _ = Profiles::default().read(&text, kind);
            }
        }
    }
}
