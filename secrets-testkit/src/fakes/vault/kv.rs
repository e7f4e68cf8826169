use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::instant::rfc3339;
use super::reply::Reply;

/// KV v1: paths and maps.
#[derive(Default)]
pub(super) struct Kv1(BTreeMap<String, Box<RawValue>>);

/// KV v2: paths, versions, metadata.
#[derive(Default)]
pub(super) struct Kv2(BTreeMap<String, Entry>);

#[derive(Default)]
struct Entry {
    versions: BTreeMap<u64, Version>,
    current: u64,
    custom: Option<Value>,
    delete_after: Option<u64>,
}

struct Version {
    data: Box<RawValue>,
    created: SystemTime,
    /// A time in the past, once deleted; in the future, where it will be.
    deleted: Option<SystemTime>,
    destroyed: bool,
}

impl Version {
    fn gone(&self, now: SystemTime) -> bool {
        self.destroyed || self.deleted.is_some_and(|at| at <= now)
    }
}

impl Kv1 {
    pub(super) fn handle(&mut self, method: &str, path: &str, body: &[u8]) -> Reply {
        match method {
            "GET" => match self.0.get(path) {
                // KV v1 sends a duration without a lease.
                Some(data) => Reply {
                    lease: Some((String::new(), std::time::Duration::from_secs(2_764_800), false)),
                    ..Reply::data(data.get())
                },
                None => Reply::not_found(),
            },
            "LIST" => list(self.0.keys().map(String::as_str), path),
            "POST" | "PUT" => match serde_json::from_slice(body) {
                Ok(data) => {
                    self.0.insert(path.to_owned(), data);
                    Reply::empty()
                }
                Err(_) => Reply::error(400, ["failed to parse JSON input"]),
            },
            "DELETE" => {
                self.0.remove(path);
                Reply::empty()
            }
            _ => unsupported(),
        }
    }
}

impl Kv2 {
    pub(super) fn handle(
        &mut self,
        method: &str,
        path: &str,
        version: Option<&str>,
        body: &[u8],
        now: SystemTime,
    ) -> Reply {
        let (part, path) = path.split_once('/').unwrap_or((path, ""));
        match (part, method) {
            ("data", "GET") => self.read(path, version, now),
            ("data", "POST" | "PUT") => self.write(path, body, now),
            ("data", "DELETE") => {
                let current = self.0.get(path).map_or(0, |entry| entry.current);
                self.each(path, &[current], |version| version.deleted = Some(now))
            }
            ("delete" | "undelete" | "destroy", "POST" | "PUT") => self.mark(part, path, body, now),
            ("metadata", "LIST") => list(self.0.keys().map(String::as_str), path),
            ("metadata", "GET") => self.metadata(path),
            ("metadata", "POST" | "PUT") => self.annotate(path, body),
            ("metadata", "DELETE") => {
                self.0.remove(path);
                Reply::empty()
            }
            ("config", _) => Reply::data(r#"{"max_versions":0,"cas_required":false}"#),
            ("data" | "metadata" | "delete" | "undelete" | "destroy", _) => unsupported(),
            _ => Reply {
                warnings: vec![
                    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API \
                     endpoints to use."
                        .into(),
                ],
                ..Reply::not_found()
            },
        }
    }

    fn read(&self, path: &str, version: Option<&str>, now: SystemTime) -> Reply {
        let Some(entry) = self.0.get(path) else {
            return Reply::not_found();
        };
        let number = match version.map_or(Ok(0), str::parse) {
            Ok(0) => entry.current,
            Ok(number) => number,
            Err(_) => return Reply::error(400, ["error converting input for field \"version\""]),
        };
        let Some(found) = entry.versions.get(&number) else {
            return Reply::not_found();
        };
        let gone = found.gone(now);
        let metadata = json!({
            "version": number,
            "created_time": rfc3339(found.created),
            "deletion_time": found.deleted.map(rfc3339).unwrap_or_default(),
            "destroyed": found.destroyed,
            "custom_metadata": entry.custom,
        });
        let data = if gone { "null" } else { found.data.get() };
        Reply {
            status: if gone { 404 } else { 200 },
            ..Reply::data(format!(r#"{{"data":{data},"metadata":{metadata}}}"#))
        }
    }

    fn write(&mut self, path: &str, body: &[u8], now: SystemTime) -> Reply {
        #[derive(Deserialize)]
        struct Write {
            data: Box<RawValue>,
        }
        let Ok(Write { data }) = serde_json::from_slice(body) else {
            return Reply::error(400, ["no data provided"]);
        };
        let entry = self.0.entry(path.to_owned()).or_default();
        entry.current += 1;
        let deleted = entry
            .delete_after
            .map(|after| now + std::time::Duration::from_secs(after));
        entry.versions.insert(
            entry.current,
            Version {
                data,
                created: now,
                deleted,
                destroyed: false,
            },
        );
        let metadata = json!({
            "version": entry.current,
            "created_time": rfc3339(now),
            "deletion_time": deleted.map(rfc3339).unwrap_or_default(),
            "destroyed": false,
            "custom_metadata": entry.custom,
        });
        Reply::data(metadata.to_string())
    }

    fn mark(&mut self, part: &str, path: &str, body: &[u8], now: SystemTime) -> Reply {
        #[derive(Deserialize)]
        struct Versions {
            versions: Vec<u64>,
        }
        let Ok(Versions { versions }) = serde_json::from_slice(body) else {
            return Reply::error(400, ["No version number provided"]);
        };
        self.each(path, &versions, |version| match part {
            "delete" => version.deleted = Some(now),
            "undelete" => version.deleted = None,
            _ => version.destroyed = true,
        })
    }

    fn each(&mut self, path: &str, numbers: &[u64], mut change: impl FnMut(&mut Version)) -> Reply {
        if let Some(entry) = self.0.get_mut(path) {
            for number in numbers {
                entry.versions.get_mut(number).into_iter().for_each(&mut change);
            }
        }
        Reply::empty()
    }

    fn metadata(&self, path: &str) -> Reply {
        let Some(entry) = self.0.get(path) else {
            return Reply::not_found();
        };
        let metadata = json!({
            "current_version": entry.current,
            "oldest_version": entry.versions.keys().next().copied().unwrap_or_default(),
            "custom_metadata": entry.custom,
        });
        Reply::data(metadata.to_string())
    }

    fn annotate(&mut self, path: &str, body: &[u8]) -> Reply {
        #[derive(Deserialize)]
        struct Metadata {
            custom_metadata: Option<Value>,
            delete_version_after: Option<String>,
        }
        let Ok(metadata) = serde_json::from_slice::<Metadata>(body) else {
            return Reply::error(400, ["failed to parse JSON input"]);
        };
        let entry = self.0.entry(path.to_owned()).or_default();
        if let Some(custom) = metadata.custom_metadata {
            entry.custom = Some(custom);
        }
        if let Some(after) = metadata.delete_version_after {
            entry.delete_after = super::auth::seconds(&Value::String(after)).map(|after| after.as_secs());
        }
        Reply::empty()
    }
}

/// The next segment of every path below `folder`, with a slash where there is more.
fn list<'a>(paths: impl Iterator<Item = &'a str>, folder: &str) -> Reply {
    let folder = folder.trim_end_matches('/');
    let mut keys: Vec<String> = Vec::new();
    for path in paths {
        let rest = match folder {
            "" => Some(path),
            _ => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(rest) = rest else { continue };
        let key = match rest.split_once('/') {
            Some((segment, _)) => format!("{segment}/"),
            None => rest.to_owned(),
        };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Reply::not_found();
    }
    Reply::data(json!({ "keys": keys }).to_string())
}

fn unsupported() -> Reply {
    Reply::error(405, ["1 error occurred:\n\t* unsupported operation\n\n"])
}
