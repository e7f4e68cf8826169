use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::core::{Reply, parameter};

/// The secrets of a vault, by their names in lower case: Key Vault ignores case.
pub(super) struct Secrets {
    live: BTreeMap<String, Entry>,
    deleted: BTreeMap<String, (Entry, u64)>,
    written: u64,
    page: usize,
}

struct Entry {
    /// As it was first written.
    name: String,
    /// The latest last.
    versions: Vec<Version>,
}

struct Version {
    id: String,
    /// JSON source: what came is what goes.
    value: Box<RawValue>,
    content_type: Option<String>,
    attributes: Map<String, Value>,
    tags: Option<Value>,
}

/// The body of a write or a change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    value: Option<Box<RawValue>>,
    content_type: Option<String>,
    #[serde(default)]
    attributes: Map<String, Value>,
    tags: Option<Value>,
}

impl Secrets {
    pub(super) fn new(page: usize) -> Self {
        Self {
            live: BTreeMap::new(),
            deleted: BTreeMap::new(),
            written: 0,
            page,
        }
    }

    pub(super) fn handle(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        host: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Reply {
        let parts: Vec<_> = path.split('/').collect();
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        match (method, parts.as_slice()) {
            ("GET", ["secrets"]) => self.list(query, host),
            ("GET", ["secrets", name, ""]) => self.read(name, None, host),
            ("GET", ["secrets", name, "versions"]) => self.versions(name, host),
            ("GET", ["secrets", name, version]) => self.read(name, Some(version), host),
            ("PUT", ["secrets", name]) => self.write(name, host, body, now),
            ("PATCH", ["secrets", name, version]) => self.change(name, version, host, body, now),
            ("DELETE", ["secrets", name]) => self.delete(name, host, now),
            ("GET", ["deletedsecrets", name] | ["deletedsecrets", name, ""]) => self.read_deleted(name, host),
            ("DELETE", ["deletedsecrets", name]) => match self.deleted.remove(&name.to_lowercase()) {
                Some(_) => Reply::new(204, ""),
                None => absent(name),
            },
            ("POST", ["deletedsecrets", name, "recover"]) => {
                match self.deleted.remove(&name.to_lowercase()) {
                    Some((entry, _)) => {
                        let reply = entry
                            .versions
                            .last()
                            .map(|version| version.bundle(&entry.name, host, false));
                        self.live.insert(name.to_lowercase(), entry);
                        Reply::json(reply.unwrap_or_default().to_string())
                    }
                    None => absent(name),
                }
            }
            (_, ["secrets" | "deletedsecrets", ..]) => {
                Reply::error(405, "MethodNotAllowed", "Method not allowed")
            }
            _ => Reply::new(404, ""),
        }
    }

    fn read(&self, name: &str, version: Option<&str>, host: &str) -> Reply {
        let Some(entry) = self.live.get(&name.to_lowercase()) else {
            return absent(name);
        };
        let found = match version {
            None => entry.versions.last(),
            Some(id) => entry.versions.iter().find(|version| version.id == id),
        };
        match found {
            None => absent(name),
            Some(version) if version.attributes.get("enabled") == Some(&Value::Bool(false)) => Reply::inner(
                403,
                "Forbidden",
                "Operation get is not allowed on a disabled secret.",
                "SecretDisabled",
            ),
            Some(version) => Reply::json(version.whole(&entry.name, host)),
        }
    }

    fn write(&mut self, name: &str, host: &str, body: &[u8], now: u64) -> Reply {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(1..=127).contains(&name.len()) || !name.bytes().all(plain) {
            return Reply::error(400, "BadParameter", "The request URI contains an invalid name");
        }
        if self.deleted.contains_key(&name.to_lowercase()) {
            let message =
                "Secret is currently in a deleted but recoverable state, and its name cannot be reused";
            return Reply::inner(409, "Conflict", message, "ObjectIsDeletedButRecoverable");
        }
        let Ok(written) = serde_json::from_slice::<Written>(body) else {
            return Reply::error(400, "BadParameter", "The body is not as it should be");
        };
        let Some(value) = written.value.filter(|value| value.get().starts_with('"')) else {
            return Reply::error(400, "BadParameter", "Property value has an invalid value");
        };
        if value.get().len() > 26 * 1024 * 6 {
            return Reply::error(400, "BadParameter", "Secret value is too long");
        }
        self.written += 1;
        let mut attributes = written.attributes;
        attributes.entry("enabled").or_insert(json!(true));
        for (key, set) in [
            ("created", json!(now)),
            ("updated", json!(now)),
            ("recoveryLevel", json!("Recoverable+Purgeable")),
            ("recoverableDays", json!(90)),
        ] {
            attributes.insert(key.to_owned(), set);
        }
        let version = Version {
            id: format!(
                "{:032x}",
                u128::from(self.written) * 0x9e37_79b9_7f4a_7c15_f39c_0c6d
            ),
            value,
            content_type: written.content_type,
            attributes,
            tags: written.tags,
        };
        let entry = self.live.entry(name.to_lowercase()).or_insert_with(|| Entry {
            name: name.to_owned(),
            versions: Vec::new(),
        });
        let reply = version.whole(&entry.name, host);
        entry.versions.push(version);
        Reply::json(reply)
    }

    fn change(&mut self, name: &str, version: &str, host: &str, body: &[u8], now: u64) -> Reply {
        let Some(entry) = self.live.get_mut(&name.to_lowercase()) else {
            return absent(name);
        };
        let found = match version {
            "" => entry.versions.last_mut(),
            id => entry.versions.iter_mut().find(|version| version.id == id),
        };
        let (Some(found), Ok(written)) = (found, serde_json::from_slice::<Written>(body)) else {
            return absent(name);
        };
        found.attributes.extend(written.attributes);
        found.attributes.insert("updated".to_owned(), json!(now));
        found.content_type = written.content_type.or(found.content_type.take());
        found.tags = written.tags.or(found.tags.take());
        Reply::json(found.bundle(&entry.name, host, false).to_string())
    }

    fn delete(&mut self, name: &str, host: &str, now: u64) -> Reply {
        let Some(entry) = self.live.remove(&name.to_lowercase()) else {
            return absent(name);
        };
        self.deleted.insert(name.to_lowercase(), (entry, now));
        self.read_deleted(name, host)
    }

    fn read_deleted(&self, name: &str, host: &str) -> Reply {
        let Some((entry, at)) = self.deleted.get(&name.to_lowercase()) else {
            return absent(name);
        };
        let Some(version) = entry.versions.last() else {
            return absent(name);
        };
        let mut bundle = version.bundle(&entry.name, host, false);
        bundle["recoveryId"] = json!(format!("https://{host}/deletedsecrets/{}", entry.name));
        bundle["deletedDate"] = json!(at);
        bundle["scheduledPurgeDate"] = json!(at + 90 * 86_400);
        Reply::json(bundle.to_string())
    }

    fn list(&self, query: &str, host: &str) -> Reply {
        let skip = parameter(query, "$skiptoken").unwrap_or_default();
        let size = parameter(query, "maxresults").and_then(|size| size.parse().ok());
        let size = size.unwrap_or(self.page).clamp(1, self.page);
        let mut rest = self.live.iter().filter(|(key, _)| **key > skip).peekable();
        let mut value = Vec::new();
        let mut last = String::new();
        while let Some((key, entry)) = rest.next_if(|_| value.len() < size) {
            value.extend(
                entry
                    .versions
                    .last()
                    .map(|version| version.bundle(&entry.name, host, true)),
            );
            last.clone_from(key);
        }
        let next = rest
            .peek()
            .map(|_| format!("https://{host}/secrets?api-version=7.6&$skiptoken={last}&maxresults={size}"));
        Reply::json(json!({ "value": value, "nextLink": next }).to_string())
    }

    fn versions(&self, name: &str, host: &str) -> Reply {
        let Some(entry) = self.live.get(&name.to_lowercase()) else {
            return absent(name);
        };
        let value: Vec<_> = entry
            .versions
            .iter()
            .map(|version| version.bundle(&entry.name, host, false))
            .collect();
        Reply::json(json!({ "value": value, "nextLink": null }).to_string())
    }
}

impl Version {
    /// All that is known, but the value.
    fn bundle(&self, name: &str, host: &str, unversioned: bool) -> Value {
        let id = if unversioned {
            format!("https://{host}/secrets/{name}")
        } else {
            format!("https://{host}/secrets/{name}/{}", self.id)
        };
        let mut bundle = json!({ "id": id, "attributes": self.attributes });
        if let Some(content_type) = &self.content_type {
            bundle["contentType"] = json!(content_type);
        }
        if let Some(tags) = &self.tags {
            bundle["tags"] = tags.clone();
        }
        bundle
    }

    /// The same with the value, whose source is kept.
    fn whole(&self, name: &str, host: &str) -> String {
        let bundle = self.bundle(name, host, false).to_string();
        format!(r#"{{"value":{},{}"#, self.value, &bundle[1..])
    }
}

fn absent(name: &str) -> Reply {
    let message = format!(
        "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be \
         able to recover it using the correct recovery command."
    );
    Reply::error(404, "SecretNotFound", &message)
}
