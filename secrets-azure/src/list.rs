//! The names in a vault.

use std::collections::BTreeSet;

use azure_core::http::Url;
use secrets_core::{Result, SecretName};
use serde::Deserialize;

use crate::client::{Call, Client};
use crate::error::{self, Asked, malformed};
use crate::name::decode;
use crate::secret::path;

/// The names below the base: all of them, or those that begin with a prefix. Page by page, 25 names each.
pub(crate) async fn names(
    client: &Client,
    base: Option<&SecretName>,
    prefix: Option<&SecretName>,
) -> Result<Vec<SecretName>> {
    let prefix = prefix
        .map(|prefix| SecretName::new(prefix.as_str().to_ascii_lowercase()))
        .transpose()?;
    let base = base
        .map(|base| SecretName::new(base.as_str().to_ascii_lowercase()))
        .transpose()?;
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut next = None;
    loop {
        let answer = client.send(Call::Page { next: next.as_ref() }).await?;
        if !answer.succeeded() {
            return Err(error::refused(Asked::List, &answer));
        }
        let page: Page = answer.parse()?;
        for item in page.value.unwrap_or_default() {
            let name = item.id.as_deref().and_then(path);
            let name = name.ok_or_else(|| malformed("the list, in which an `id` is no secret's,"))?;
            let name = decode(name).and_then(|name| match &base {
                None => Some(name),
                Some(base) => name.strip_prefix(base),
            });
            names.extend(name.filter(|name| prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))));
        }
        match page.next_link.filter(|link| !link.is_empty()) {
            None => return Ok(names.into_iter().collect()),
            Some(link) => {
                let link = follow(client.endpoint(), &link)?;
                if !seen.insert(link.as_str().to_owned()) {
                    return Err(malformed("the list, which leads back to a page of it,"));
                }
                next = Some(link);
            }
        }
    }
}

/// The address of the next page: at this vault, and nowhere else.
fn follow(vault: &Url, link: &str) -> Result<Url> {
    let url = vault.join(link).ok();
    let url = url.filter(|url| url.origin() == vault.origin() && url.username().is_empty());
    url.ok_or_else(|| malformed("the list, which leads to another address,"))
}

#[derive(Deserialize)]
struct Page {
    value: Option<Vec<Item>>,
    #[serde(rename = "nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_the_next_page_is_at_the_same_vault() {
        let vault = Url::parse("https://v.vault.azure.net").unwrap();
        for good in [
            "https://v.vault.azure.net/secrets?$skiptoken=x",
            "https://v.vault.azure.net:443/secrets?$skiptoken=x",
            "/secrets?$skiptoken=x",
        ] {
            assert!(follow(&vault, good).is_ok(), "{good}");
        }
        for bad in [
            "https://w.vault.azure.net/secrets",
            "http://v.vault.azure.net/secrets",
            "https://v.vault.azure.net:8443/secrets",
            "https://x@v.vault.azure.net/secrets",
            "//evil.example.com/secrets",
            "https://",
        ] {
            assert!(follow(&vault, bad).is_err(), "{bad}");
        }
    }
}
