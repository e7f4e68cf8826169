//! Secrets, what has happened to them, and who watches.

use std::collections::BTreeMap;

use base64ct::Encoding as _;
use serde_json::{Value, json};

use super::answer::Asked;
use crate::wire::BodySender;

#[derive(Clone, Debug, Default)]
pub(super) struct Secret {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) data: BTreeMap<String, Vec<u8>>,
}

impl Secret {
    pub(super) fn json(&self, partial: bool) -> Value {
        let metadata = json!({
            "name": self.name,
            "namespace": self.namespace,
            "uid": format!("00000000-0000-4000-8000-{:012x}", self.version),
            "resourceVersion": self.version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": self.labels,
        });
        if partial {
            return json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        }
        let data = self.data.iter();
        let data: BTreeMap<_, _> = data
            .map(|(key, value)| (key, base64ct::Base64::encode_string(value)))
            .collect();
        let mut whole = json!({"kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque"});
        if !data.is_empty() {
            whole["data"] = json!(data);
        }
        whole
    }
}

#[derive(Default)]
pub(super) struct Store {
    version: u64,
    secrets: BTreeMap<(String, String), Secret>,
    /// Before and after.
    history: Vec<(u64, Option<Secret>, Option<Secret>)>,
    /// What was up to here is forgotten.
    pub(super) compacted: u64,
    watches: Vec<Watch>,
    begun: usize,
}

struct Watch {
    asked: Asked,
    sender: BodySender,
    silent: bool,
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version.max(1)
    }

    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets.get(&(namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn matching<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = &'a Secret> {
        self.secrets.values().filter(|secret| asked.matches(secret))
    }

    pub(super) fn change(&mut self, namespace: &str, name: &str, change: impl FnOnce(&mut Secret)) -> String {
        let key = (namespace.to_owned(), name.to_owned());
        let before = self.secrets.get(&key).cloned();
        let mut after = before.clone().unwrap_or_else(|| Secret {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Secret::default()
        });
        change(&mut after);
        self.version = self.version() + 1;
        after.version = self.version;
        self.secrets.insert(key, after.clone());
        self.happened(before, Some(after));
        self.version.to_string()
    }

    pub(super) fn delete(&mut self, namespace: &str, name: &str) -> bool {
        let Some(mut before) = self.secrets.remove(&(namespace.to_owned(), name.to_owned())) else {
            return false;
        };
        self.version = self.version() + 1;
        before.version = self.version;
        self.happened(Some(before), None);
        true
    }

    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.version = self.version() + 1;
        self.compacted = self.version;
    }

    pub(super) fn bookmark(&mut self) {
        let version = self.version().to_string();
        let line = json!({
            "type": "BOOKMARK",
            "object": {"kind": "Secret", "apiVersion": "v1", "metadata": {"resourceVersion": version}},
        });
        for watch in &self.watches {
            watch.send(&line);
        }
    }

    pub(super) fn end_watches(&mut self) {
        self.watches.clear();
    }

    pub(super) fn break_watches(&mut self) {
        for watch in self.watches.drain(..) {
            watch.sender.abort();
        }
    }

    pub(super) fn silence_watches(&mut self) {
        self.watches.iter_mut().for_each(|watch| watch.silent = true);
    }

    pub(super) fn fail_watches(&mut self, status: u16) {
        for watch in self.watches.drain(..) {
            watch.send(&failed(status));
        }
    }

    pub(super) fn watch(&mut self, asked: &Asked, sender: BodySender) {
        self.begun += 1;
        let watch = Watch {
            asked: asked.clone(),
            sender,
            silent: false,
        };
        match asked.version {
            None | Some(0) => {
                for secret in self.matching(asked) {
                    watch.send(&json!({"type": "ADDED", "object": secret.json(asked.partial)}));
                }
            }
            Some(version) if version < self.compacted => return watch.send(&failed(410)),
            Some(version) => {
                for (at, before, after) in &self.history {
                    if *at > version {
                        watch.tell(before.as_ref(), after.as_ref());
                    }
                }
            }
        }
        self.watches.push(watch);
    }

    fn happened(&mut self, before: Option<Secret>, after: Option<Secret>) {
        for watch in &self.watches {
            watch.tell(before.as_ref(), after.as_ref());
        }
        self.history.push((self.version, before, after));
    }
}

impl Watch {
    fn tell(&self, before: Option<&Secret>, after: Option<&Secret>) {
        let was = before.filter(|secret| self.asked.matches(secret));
        let is = after.filter(|secret| self.asked.matches(secret));
        let (kind, secret) = match (was, is) {
            (None, None) => return,
            (None, Some(is)) => ("ADDED", is),
            (Some(_), Some(is)) => ("MODIFIED", is),
            (Some(was), None) => ("DELETED", after.unwrap_or(was)),
        };
        self.send(&json!({"type": kind, "object": secret.json(self.asked.partial)}));
    }

    fn send(&self, line: &Value) {
        if !self.silent {
            self.sender.send(format!("{line}\n"));
        }
    }
}

fn failed(status: u16) -> Value {
    let reason = if status == 410 { "Expired" } else { "InternalError" };
    json!({
        "type": "ERROR",
        "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": status},
    })
}
