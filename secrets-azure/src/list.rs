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
    let mut pages = Pages::new(client.endpoint());
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
            Some(link) => next = Some(pages.after(&link)?),
        }
    }
}

/// More pages than this are no list: of 25 secrets each, these are 100,000.
const MOST_PAGES: usize = 4_000;

/// The way from page to page, which ends.
struct Pages<'a> {
    vault: &'a Url,
    seen: BTreeSet<Box<str>>,
}

impl<'a> Pages<'a> {
    fn new(vault: &'a Url) -> Self {
        Self {
            vault,
            seen: BTreeSet::new(),
        }
    }

    fn after(&mut self, link: &str) -> Result<Url> {
        let next = follow(self.vault, link)?;
        if !self.seen.insert(next.as_str().into()) {
            return Err(malformed("the list, which leads back to a page of it,"));
        }
        if self.seen.len() >= MOST_PAGES {
            return Err(malformed("the list, which does not end,"));
        }
        Ok(next)
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
    fn a_list_without_an_end_is_refused() {
        let vault = Url::parse("https://v.vault.azure.net").unwrap();
        let mut pages = Pages::new(&vault);
        let mut link = |page: usize| pages.after(&format!("/secrets?$skiptoken={page}"));
        assert!(link(1).is_ok());
        assert!(link(1).is_err(), "it leads back");
        assert!((2..MOST_PAGES).all(|page| link(page).is_ok()));
        assert!(link(MOST_PAGES).is_err(), "it does not end");
    }

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
