//! Listing: Vault lists one level at a time.

use std::collections::BTreeSet;

use secrets_core::{Error, ErrorKind, Result, SecretName};
use serde::Deserialize;
use serde_json::value::RawValue;
use vaultrs::api::kv1::requests::ListSecretRequest;

use crate::error::Asked;
use crate::json;
use crate::session::Session;

/// More names than this are refused: nobody wants them all, and they would fill the memory.
const MOST_NAMES: usize = 100_000;

/// Lists a tree of names: those of a KV v1 mount, or of the `metadata` of a KV v2 mount.
pub(crate) struct Lister<'a> {
    pub(crate) session: &'a Session,
    /// The mount, and `/metadata` where it is KV v2.
    pub(crate) root: &'a str,
    /// What stands before every name.
    pub(crate) base: Option<&'a SecretName>,
}

impl Lister<'_> {
    /// All names; or `prefix` itself, if it is one, and those below.
    pub(crate) async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let mut names = BTreeSet::new();
        let mut folders = Vec::new();
        match prefix {
            None => folders.push(None),
            Some(prefix) => {
                folders.push(Some(prefix.clone()));
                if self.exists(prefix).await? {
                    names.insert(prefix.clone());
                }
            }
        }
        while let Some(folder) = folders.pop() {
            for key in self.level(folder.as_ref()).await? {
                let (segment, folder_below) = match key.strip_suffix('/') {
                    Some(segment) => (segment, true),
                    None => (key.as_str(), false),
                };
                // What no name can express cannot be read either: it is none of ours.
                let Ok(name) = join(folder.as_ref(), segment) else {
                    continue;
                };
                if folder_below {
                    folders.push(Some(name));
                } else {
                    names.insert(name);
                }
            }
            if names.len() + folders.len() > MOST_NAMES {
                let message = format!("there are more than {MOST_NAMES} names; list below a prefix");
                return Err(Error::new(ErrorKind::InvalidData, message));
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Whether there is a secret of this very name. Only the level above tells without moving its value.
    async fn exists(&self, name: &SecretName) -> Result<bool> {
        let (parent, last) = match name.as_str().rsplit_once('/') {
            Some((parent, last)) => (Some(SecretName::new(parent)?), last),
            None => (None, name.as_str()),
        };
        match self.level(parent.as_ref()).await {
            Ok(keys) => Ok(keys.iter().any(|key| key == last)),
            // The policy may allow listing below the prefix and not beside it. The secret of the prefix's own name, if
            // there is one, is then out of its sight.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The keys of one level; those that end in `/` have a level below.
    async fn level(&self, folder: Option<&SecretName>) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Keys<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let parts = [self.base, folder].into_iter().flatten().map(SecretName::as_str);
        // A trailing slash: policies are written for the folder.
        let path = parts.chain([""]).collect::<Vec<_>>().join("/");
        let endpoint = ListSecretRequest {
            mount: self.root.to_owned(),
            path: path.clone(),
        };
        let full = format!("{}/{path}", self.root);
        let asked = Asked::List { path: &full };
        let (answer, token) = self.session.send(&endpoint).await?;
        let frame = match answer.status {
            200..=299 => answer.parse()?,
            _ => match Session::explain(asked, &answer, &token) {
                error if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                error => return Err(error),
            },
        };
        let keys = frame.data::<Keys<'_>>()?.keys;
        let text = |raw| {
            let bytes = json::text(raw)?;
            String::from_utf8(bytes.to_vec()).map_err(|_| crate::answer::malformed("a list of names"))
        };
        keys.into_iter().map(text).collect()
    }
}

fn join(folder: Option<&SecretName>, name: &str) -> Result<SecretName> {
    match folder {
        Some(folder) => folder.join(name),
        None => SecretName::new(name),
    }
}
