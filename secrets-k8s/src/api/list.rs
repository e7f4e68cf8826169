//! Lists, in pages that fit.

use std::collections::{BTreeMap, BTreeSet};

use secrets_core::{Error, ErrorKind, Result, SecretName};

use super::answer::Answer;
use super::error::{self, Verb};
use super::object::{Object, Page, Partial};
use super::server::{Scope, Server};
use crate::naming::Naming;

/// Secrets in the first page. Those that hold a lot come in smaller pages.
const COUNT: u32 = 64;

/// A list of more names has gone wrong somewhere.
const MOST_NAMES: usize = 100_000;

/// And so has one of more pages.
const MOST_PAGES: usize = 10_000;

/// The names of all keys, or of those below a prefix. Values cross the network, and are not looked at.
pub(super) async fn names(
    server: &Server,
    scope: &Scope,
    naming: &Naming,
    prefix: Option<&SecretName>,
) -> Result<Vec<SecretName>> {
    let names = objects(server, scope, |object, names: &mut BTreeSet<SecretName>| {
        let secret = &*object.metadata.name;
        if naming.is_apart(secret, prefix) {
            return Ok(());
        }
        for key in object.keys()? {
            names.extend(naming.listed(secret, &key, prefix));
        }
        if names.len() > MOST_NAMES {
            let message = format!("there are more than {MOST_NAMES} names; list below a prefix");
            return Err(Error::new(ErrorKind::InvalidData, message));
        }
        Ok(())
    });
    Ok(names.await?.into_iter().collect())
}

/// Shows every Secret in scope to `each`, which collects what it wants.
pub(super) async fn objects<C: Default>(
    server: &Server,
    scope: &Scope,
    mut each: impl FnMut(&Object<'_>, &mut C) -> Result<()>,
) -> Result<C> {
    pages(
        |count, next| async move { server.page(scope, count, next.as_deref()).await },
        |answer, found: &mut C| {
            let page: Page<'_, Object<'_>> = answer.read(server.asked(Verb::List, None))?;
            for object in page.items.iter().flatten() {
                each(object, found)?;
            }
            Ok(page.metadata.next.map(std::borrow::Cow::into_owned))
        },
    )
    .await
}

/// The names of the Secrets in scope, and the version of each.
pub(super) async fn secrets(server: &Server, scope: &Scope) -> Result<BTreeMap<String, String>> {
    pages(
        |count, next| async move { server.page_of_metadata(scope, count, next.as_deref()).await },
        |answer, found: &mut BTreeMap<String, String>| {
            let page: Page<'_, Partial<'_>> = answer.read(server.asked(Verb::List, None))?;
            let names = page.items.iter().flatten();
            found.extend(names.map(|partial| {
                let meta = &partial.metadata;
                (meta.name.to_string(), meta.version.to_string())
            }));
            if found.len() > MOST_NAMES {
                return Err(endless());
            }
            Ok(page.metadata.next.map(std::borrow::Cow::into_owned))
        },
    )
    .await
}

/// Asks for page after page. One that is too large is asked for in smaller parts; a list that has become too old to be
/// continued is begun anew, once.
async fn pages<C: Default, F: Future<Output = Result<Answer>>>(
    ask: impl Fn(u32, Option<String>) -> F,
    mut read: impl FnMut(&Answer, &mut C) -> Result<Option<String>>,
) -> Result<C> {
    let (mut found, mut next, mut count, mut again) = (C::default(), None::<String>, COUNT, true);
    for _ in 0..MOST_PAGES {
        let answer = match ask(count, next.clone()).await {
            Err(error) if count > 1 && is_too_large(&error) => {
                count = (count / 4).max(1);
                continue;
            }
            answer => answer?,
        };
        if answer.status == 410 && next.is_some() && again {
            (found, next, again) = (C::default(), None, false);
            continue;
        }
        let after = read(&answer, &mut found)?.filter(|next| !next.is_empty());
        match after {
            None => return Ok(found),
            // It would be asked for the same for ever.
            Some(_) if after == next => return Err(endless()),
            Some(_) => next = after,
        }
    }
    Err(endless())
}

fn endless() -> Error {
    let message = "the list of Secrets does not come to an end; is this the API server, and nothing between that rewrites it?";
    Error::new(ErrorKind::InvalidData, message)
}

fn is_too_large(error: &Error) -> bool {
    error.cause().and_then(|cause| cause.code()) == Some(error::TOO_LARGE)
}

/// Checks a label selector as far as it can be done here: that nothing but one is in it.
///
/// # Errors
///
/// `InvalidConfig`.
pub(super) fn check_selector(selector: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=!, ()".contains(c);
    if selector.trim().is_empty() || selector.len() > 4096 || !selector.chars().all(plain) {
        return Err(error::config(
            "the option `label_selector` is not one; it is something like app=billing or tier in (web, api)",
        ));
    }
    Ok(())
}

/// Checks the name of a namespace: it stands in the path of every request.
///
/// # Errors
///
/// `InvalidConfig`.
pub(super) fn check_namespace(namespace: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = [namespace.chars().next(), namespace.chars().next_back()];
    let fits = namespace.len() <= 63
        && namespace.chars().all(|c| plain(c) || c == '-')
        && ends.iter().all(|end| end.is_some_and(plain));
    if fits {
        return Ok(());
    }
    Err(error::config(
        "the namespace is not one; it is made of a-z, 0-9 and `-`, at most 63 of them",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n2_a_namespace_or_selector_cannot_be_another_request() {
        for bad in [
            "",
            "a/b",
            "A",
            "a?b",
            "-a",
            "a-",
            "..",
            "a.b",
            "é",
            &"a".repeat(64),
        ] {
            assert_eq!(
                check_namespace(bad).unwrap_err().kind(),
                ErrorKind::InvalidConfig,
                "{bad}"
            );
        }
        for good in ["a", "app-1", &"a".repeat(63)] {
            assert!(check_namespace(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a&limit=1", "a#", "a\n", "é"] {
            assert_eq!(
                check_selector(bad).unwrap_err().kind(),
                ErrorKind::InvalidConfig,
                "{bad}"
            );
        }
        for good in ["app=billing", "a!=b,c in (d, e)", "example.com/x", "!a"] {
            assert!(check_selector(good).is_ok(), "{good}");
        }
    }
}
