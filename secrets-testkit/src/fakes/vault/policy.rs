use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// A policy: paths, and what may be done there. Vault takes its policies as HCL or JSON; this one takes JSON.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Policy {
    path: BTreeMap<String, Rule>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    capabilities: BTreeSet<String>,
}

impl Policy {
    /// What every token may do unless it is made without: look at itself, renew, revoke and unwrap.
    pub(super) fn default_policy() -> Self {
        let path = [
            ("auth/token/lookup-self", &["read"][..]),
            ("auth/token/renew-self", &["update"]),
            ("auth/token/revoke-self", &["update"]),
            ("sys/leases/renew", &["update"]),
            ("sys/leases/lookup", &["update"]),
            ("sys/wrapping/lookup", &["update"]),
            ("sys/wrapping/unwrap", &["update"]),
        ];
        let rule = |capabilities: &[&str]| Rule {
            capabilities: capabilities
                .iter()
                .map(|&capability| capability.to_owned())
                .collect(),
        };
        Self {
            path: path
                .into_iter()
                .map(|(path, capabilities)| (path.to_owned(), rule(capabilities)))
                .collect(),
        }
    }

    pub(super) fn parse(source: &str) -> Option<Self> {
        serde_json::from_str(source).ok()
    }
}

/// Whether one of these policies allows it. The most specific pattern decides; `deny` there beats all.
pub(super) fn allows<'a>(policies: impl Iterator<Item = &'a Policy>, path: &str, capability: &str) -> bool {
    let mut best: Option<usize> = None;
    let mut capabilities = BTreeSet::new();
    for (pattern, rule) in policies.flat_map(|policy| &policy.path) {
        let Some(weight) = weight(pattern, path) else {
            continue;
        };
        if best.is_none_or(|best| weight > best) {
            best = Some(weight);
            capabilities.clear();
        }
        if best == Some(weight) {
            capabilities.extend(rule.capabilities.iter().map(String::as_str));
        }
    }
    !capabilities.contains("deny") && (capabilities.contains(capability) || capabilities.contains("root"))
}

/// Whether any pattern lies in, or reaches into, this mount.
pub(super) fn touches<'a>(mut policies: impl Iterator<Item = &'a Policy>, mount: &str) -> bool {
    policies.any(|policy| {
        policy.path.iter().any(|(pattern, rule)| {
            let fixed = pattern.trim_end_matches('*');
            (fixed.starts_with(mount) || mount.starts_with(fixed)) && !rule.capabilities.contains("deny")
        })
    })
}

/// How specific a pattern is that matches; `None` when it does not. `+` is one segment, a `*` at the end anything.
fn weight(pattern: &str, path: &str) -> Option<usize> {
    if pattern == path || pattern.trim_end_matches('/') == path.trim_end_matches('/') {
        return Some(usize::MAX);
    }
    let (fixed, open) = match pattern.strip_suffix('*') {
        Some(fixed) => (fixed, true),
        None => (pattern, false),
    };
    let mut rest = path.split('/');
    let mut segments = fixed.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match rest.next() {
            Some(_) if segment == "+" => {}
            Some(found) if last && open && found.starts_with(segment) => return Some(fixed.len()),
            Some(found) if found == segment => {}
            _ => return None,
        }
    }
    (rest.next().is_none() || open).then_some(fixed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_decides() {
        let source = r#"{"path":{
            "secret/data/*":{"capabilities":["read"]},
            "secret/data/closed":{"capabilities":["deny"]},
            "secret/data/+/shared":{"capabilities":["read","update"]}}}"#;
        let policy = Policy::parse(source).unwrap();
        let may = |path, capability| allows([&policy].into_iter(), path, capability);
        assert!(may("secret/data/a/b", "read") && !may("secret/data/a/b", "update"));
        assert!(!may("secret/data/closed", "read"));
        assert!(may("secret/data/team/shared", "update"));
        assert!(!may("secret/metadata/a", "read"));
        assert!(touches([&policy].into_iter(), "secret/") && !touches([&policy].into_iter(), "other/"));
    }
}
