//! Whether the API server lets us in, and lets us read.

use http::Request;
use http::header::CONTENT_TYPE;
use secrets_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::error::Verb;
use super::server::Server;

/// Asks what may be done in the namespace: <https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-rules-review-v1/>.
///
/// Every authenticated caller may ask that, also one whose role names the Secrets it may read, and nothing confidential is
/// in the answer.
///
/// # Errors
///
/// Those of any request; `PermissionDenied` when no Secret may be read.
pub(super) async fn check(server: &Server) -> Result<()> {
    let body = format!(
        r#"{{"kind":"SelfSubjectRulesReview","apiVersion":"authorization.k8s.io/v1","spec":{{"namespace":"{}"}}}}"#,
        server.namespace
    );
    let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
        .header(CONTENT_TYPE, "application/json")
        .body(body.into_bytes())
        .map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                "a request to the API server could not be written",
            )
        })?;
    let answer = server.send(request, server.max_answer()).await?;
    match answer.status {
        // Whoever is not allowed to ask may still be allowed to read: only reading tells.
        403 => return Ok(()),
        // An API server without that question has others that are older than it.
        404 if answer.problem().is_some() => return Ok(()),
        _ => {}
    }
    let review: Review = answer.read(server.asked(Verb::Check, None))?;
    if review.status.incomplete || review.status.resource_rules.iter().any(Rule::allows_reading) {
        return Ok(());
    }
    let message = format!(
        "no role allows `get` on any Secret in namespace `{}`; bind one that does",
        server.namespace
    );
    Err(Error::new(ErrorKind::PermissionDenied, message))
}

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    #[serde(default, rename = "resourceRules")]
    resource_rules: Vec<Rule>,
    /// Another authoriser than RBAC may allow more.
    #[serde(default)]
    incomplete: bool,
}

#[derive(Deserialize)]
struct Rule {
    verbs: Vec<String>,
    #[serde(default, rename = "apiGroups")]
    groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
}

impl Rule {
    fn allows_reading(&self) -> bool {
        let has = |list: &[String], what: &str| list.iter().any(|item| item == what || item == "*");
        has(&self.verbs, "get") && has(&self.groups, "") && has(&self.resources, "secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_a_rule_allows_reading_by_name_or_by_star() {
        for (source, allows) in [
            (
                r#"{"verbs":["get"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["a"]}"#,
                true,
            ),
            (r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}"#, true),
            (
                r#"{"verbs":["list","watch"],"apiGroups":[""],"resources":["secrets"]}"#,
                false,
            ),
            (
                r#"{"verbs":["get"],"apiGroups":[""],"resources":["configmaps"]}"#,
                false,
            ),
            (
                r#"{"verbs":["get"],"apiGroups":["apps"],"resources":["secrets"]}"#,
                false,
            ),
            (r#"{"verbs":["get"]}"#, false),
        ] {
            let rule: Rule = serde_json::from_str(source).unwrap();
            assert_eq!(rule.allows_reading(), allows, "{source}");
        }
    }
}
