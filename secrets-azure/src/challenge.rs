//! What the vault asks for when it refuses a request.

use reqwest::Url;

/// Named to the SDK instead of everything that no token may be asked for.
const ELSEWHERE: &str = "https://elsewhere.invalid";

/// The challenge as the SDK is told it: the resource, and nothing else.
///
/// The SDK logs the header as it is, and whoever answers can put anything there: what the request carried, too. So a
/// resource is named only when it is that of the vault's cloud. Where that is not to be verified (`verify`), which is on
/// this machine alone, it is any URL. The SDK checks it all the same.
pub(crate) fn told(challenge: &str, vault: &Url, verify: bool) -> String {
    let asked = resource(challenge).and_then(|resource| Url::parse(resource).ok());
    let resource = asked.and_then(|url| {
        let host = url.host_str()?;
        let own = vault
            .host_str()
            .is_some_and(|vault| vault.ends_with(&format!(".{host}")));
        if own {
            Some(format!("https://{host}"))
        } else if verify {
            None
        } else {
            Some(url.origin().ascii_serialization())
        }
    });
    format!(
        r#"Bearer resource="{}""#,
        resource.as_deref().unwrap_or(ELSEWHERE)
    )
}

/// The value of the first `resource` or `scope`.
fn resource(challenge: &str) -> Option<&str> {
    let parts = challenge.match_indices("=\"");
    let value = parts.filter_map(|(at, _)| {
        let named = &challenge[..at];
        let rest = &challenge[at + 2..];
        (named.ends_with("resource") || named.ends_with("scope")).then(|| rest.split('"').next())
    });
    value.flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(challenge: &str, verify: bool) -> String {
        let vault = Url::parse("https://v.vault.azure.net").unwrap();
        told(challenge, &vault, verify)
    }

    #[test]
    fn s1_only_the_resource_of_the_vaults_cloud_is_passed_on() {
        let own = r#"Bearer resource="https://vault.azure.net""#;
        for good in [
            r#"Bearer authorization="https://login.example.com/hunter2", resource="https://vault.azure.net""#,
            r#"Bearer resource="https://vault.azure.net", hunter2="hunter2""#,
            r#"Bearer scope="https://vault.azure.net/.default""#,
            r#"Bearer resource="https://hunter2@vault.azure.net/hunter2?hunter2#hunter2""#,
        ] {
            assert_eq!(seen(good, true), own, "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "hunter2",
            r#"Bearer realm="hunter2""#,
            r#"Bearer resource="hunter2""#,
            r#"Bearer resource="https://hunter2.example.com""#,
            r#"Bearer resource="https://hunter2.vault.azure.net""#,
            r#"Bearer resource="https://hunter2"#,
            r#"Bearer resource="data:hunter2", resource="https://vault.azure.net""#,
        ] {
            assert_eq!(
                seen(bad, true),
                r#"Bearer resource="https://elsewhere.invalid""#,
                "{bad}"
            );
        }
    }

    #[test]
    fn a_stand_in_may_name_itself() {
        let stand_in =
            r#"Bearer resource="https://localhost:8443", authorization_uri="https://localhost:8443/x""#;
        assert_eq!(
            seen(stand_in, false),
            r#"Bearer resource="https://localhost:8443""#
        );
        assert!(seen(stand_in, true).contains("elsewhere"));
    }
}
