//! N: a name is exact, or refused.

use std::collections::{BTreeMap, BTreeSet};

use secrets_core::{ErrorKind, ReadRequest, SecretName};

use crate::Failure;
use crate::bench::{Bench, ensure, ensure_eq, told};

/// What no name may be, and what may be one and looks like a way around.
pub(crate) async fn n1_hostile_names_reach_nothing_else(bench: &Bench<'_>) -> Result<(), Failure> {
    let base = bench.base();
    for malformed in [
        "..", ".", "a/../b", "a/./b", "a//b", "/a", "a/", "a\\b", "a%2e%2e", "a?b", "a#b", "a\0b", "a\nb",
        "a\rb", "a\u{7f}", "",
    ] {
        let whole = format!("{base}/{malformed}");
        ensure(SecretName::new(&whole).is_err(), || {
            format!("a name that ends in `{}` was taken", malformed.escape_debug())
        })?;
    }
    let secret = bench.name("n1/secret");
    bench.create(&secret, b"n1").await?;
    bench.expect(&secret, b"n1").await?;
    for hostile in [
        "n1/x/.. /secret",
        "n1/x/ ../secret",
        "n1/x/..\u{a0}/secret",
        "n1/x/..;/secret",
        "n1/x/\u{ff0e}\u{ff0e}/secret",
        "n1/x/\u{2024}\u{2024}/secret",
        "n1/x/\u{2025}/secret",
        "n1/x/..\u{2215}secret",
        "n1/x/..\u{ff0f}secret",
        "n1/. /secret",
        "n1/ ./secret",
        "n1/ secret",
        "n1/secret ",
        "n1/secret\u{a0}",
        "n1/secret.",
        "n1/secret;x",
        "n1/secret,",
        "n1/secret*",
        "n1/*",
        "n1/secre[t]",
        "n1/secret&version=1",
        "n1/secret@latest",
        "n1/secret:latest",
        "n1/~/secret",
        "n1/$secret",
        "n1/'secret'",
        "n1/\"secret\"",
        "n1/\u{200b}secret",
        "n1/\u{feff}secret",
    ] {
        let name = bench.name(hostile);
        if canonical(bench, &name) == canonical(bench, &secret) {
            continue;
        }
        expect_absent_or_refused(bench, &name, "a hostile name").await?;
    }
    bench.expect(&secret, b"n1").await?;
    Ok(())
}

/// A name longer than the store's limit is refused; it is not the name that its beginning is.
pub(crate) async fn n1_long_names_are_not_cut(bench: &Bench<'_>) -> Result<(), Failure> {
    for limit in [63, 64, 127, 128, 250, 253, 255] {
        // Once the segment, and once the whole name, is as long as some store allows.
        let whole = limit.max(bench.base().as_str().len() + 2) - bench.base().as_str().len() - 1;
        for length in [limit, whole] {
            let longest = bench.name(&"n".repeat(length));
            if !expect_absent_or_refused(bench, &longest, "a long name").await? {
                continue;
            }
            bench.create(&longest, b"n1").await?;
            bench.expect(&longest, b"n1").await?;
            let longer = bench.name(&"n".repeat(length + 1));
            expect_absent_or_refused(bench, &longer, "a name of which the beginning exists").await?;
            bench.delete(&longest).await?;
        }
    }
    let room = SecretName::MAX_LEN - bench.base().as_str().len() - 1;
    let deep: String = "n/".repeat(room / 2);
    for longest in ["n".repeat(room), deep.trim_end_matches('/').to_owned()] {
        let longest = bench.name(&longest);
        expect_absent_or_refused(bench, &longest, "the longest name there is").await?;
    }
    Ok(())
}

/// Names that differ are secrets that differ, unless the documented mapping makes them one; what cannot be expressed is
/// refused, and the message names the character.
pub(crate) async fn n3_a_name_is_exact_or_refused(bench: &Bench<'_>) -> Result<(), Failure> {
    for name in &bench.facts().inexpressible {
        bench
            .expect_refused(ReadRequest::new(name), "the harness calls it inexpressible")
            .await?;
    }
    let mut names: Vec<(SecretName, Option<char>)> = Vec::new();
    for c in "-_.~&+=@:*,; !$'\"()[]{}<>|^`".chars() {
        names.push((bench.name(&format!("n3/a{c}b")), Some(c)));
    }
    for c in ['A', 'é', 'ß', 'я', '日', '𝔰', '\u{a0}', '\u{200b}', '\u{2215}'] {
        names.push((bench.name(&format!("n3/a{c}b")), Some(c)));
    }
    for rest in [
        "n3/ab",
        "n3/aB",
        "n3/AB",
        "N3/ab",
        "n3/a/b",
        "n3/ab/c",
        "n3/a--b",
        "n3/a__b",
        "n3/p-q/r",
        "n3/p/q-r",
        "n3/p-q-r",
        "n3/p_q_r",
        "n3/ae\u{301}b",
        "n3/a+20b",
        "n3/a=20b",
        "n3/ab ",
        "n3/ab.",
        "n3/.ab",
        "n3/-ab",
        "n3/ab-",
        "n3/_ab",
        "n3/1ab",
        "n3/q r/s t",
        "n3-ab",
        "n3_ab",
        "n3.ab",
    ] {
        names.push((bench.name(rest), None));
    }
    // A plain name and one below it cannot both be files.
    names.retain(|(name, _)| *name != bench.name("n3/ab"));

    let mut written: BTreeMap<String, (SecretName, String)> = BTreeMap::new();
    let mut expressible = Vec::new();
    for (number, (name, special)) in names.into_iter().enumerate() {
        let before = bench.harness().requests();
        let form = canonical(bench, &name);
        match bench.read(ReadRequest::new(&name)).await? {
            Err(error) if error.kind() == ErrorKind::InvalidName => {
                bench.ensure_no_io(before, &told(&ReadRequest::new(&name)))?;
                if let Some(c) = special {
                    ensure(names_the_character(&error.to_string(), &name, c), || {
                        format!("{error} does not say which character of the name is at fault")
                    })?;
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !written.contains_key(&form) => {
                let value = format!("value {number}");
                bench.create(&name, value.as_bytes()).await?;
                written.insert(form, (name.clone(), value));
                expressible.push(name);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure::new(format!(
                    "`{name}` is documented to be the same secret as `{}`, which exists, and is `NotFound`",
                    written[&form].0
                )));
            }
            Ok(_) if written.contains_key(&form) => expressible.push(name),
            Ok(_) => {
                return Err(Failure::new(format!(
                    "`{name}` was never written, and came back with a value: another name's"
                )));
            }
            Err(error) => {
                return Err(Failure::new(format!(
                    "{} was answered with {error}; a name is found, `NotFound` or `InvalidName`",
                    told(&ReadRequest::new(&name))
                )));
            }
        }
    }
    for name in &expressible {
        let form = canonical(bench, name);
        let (_, value) = &written[&form];
        bench.expect(name, value.as_bytes()).await?;
        if let Some(form) = listed(bench, name) {
            bench.expect(&form, value.as_bytes()).await?;
        }
    }
    Ok(())
}

/// What was created is listed, each secret once and in its canonical form.
pub(crate) async fn n4_list_gives_canonical_names(bench: &Bench<'_>) -> Result<(), Failure> {
    let mut expected = BTreeSet::new();
    for rest in [
        "n4/plain",
        "n4/deep/er/name",
        "n4/With-Capitals",
        "n4/under_score",
        "n4/dot.ted",
        "n4/da-sh",
    ] {
        let name = bench.name(rest);
        if expect_absent_or_refused(bench, &name, "a name").await? {
            bench.create(&name, b"n4").await?;
            expected.extend(listed(bench, &name));
        }
    }
    let whole = bench.backend().list(None).await;
    let whole = whole.map_err(|error| Failure::new(format!("`list` failed: {error}")))?;
    let base = listed(bench, bench.base());
    let own = whole
        .into_iter()
        .filter(|name| base.as_ref().is_some_and(|base| name.starts_with(base)))
        .collect();
    ensure_lists("`list` of everything", own, &expected)?;
    ensure_lists("`list` of the base", list(bench, bench.base()).await?, &expected)?;
    for name in &expected {
        bench.expect(name, b"n4").await?;
    }
    let gone = bench.name("n4/plain");
    bench.delete(&gone).await?;
    expected.retain(|name| Some(name) != listed(bench, &gone).as_ref());
    ensure_lists(
        "`list` after a deletion",
        list(bench, bench.base()).await?,
        &expected,
    )
}

/// `app` is no prefix of `application`, and a prefix without names is an empty list.
pub(crate) async fn n5_a_prefix_is_whole_segments(bench: &Bench<'_>) -> Result<(), Failure> {
    for rest in ["n5/app/x", "n5/app/y/z", "n5/application/x", "n5/ap/x", "n5/solo"] {
        bench.create(&bench.name(rest), b"n5").await?;
    }
    for (prefix, below) in [
        ("n5/app", vec!["n5/app/x", "n5/app/y/z"]),
        ("n5/app/y", vec!["n5/app/y/z"]),
        ("n5/application", vec!["n5/application/x"]),
        ("n5/ap", vec!["n5/ap/x"]),
        ("n5/solo", vec!["n5/solo"]),
        ("n5/so", vec![]),
        ("n5/absent", vec![]),
        ("n5/solo/below", vec![]),
    ] {
        let found = list(bench, &bench.name(prefix)).await?;
        let expected: BTreeSet<_> = below
            .into_iter()
            .filter_map(|rest| listed(bench, &bench.name(rest)))
            .collect();
        ensure_lists(&format!("`list` of `…/{prefix}`"), found, &expected)?;
        for name in &expected {
            bench.expect(name, b"n5").await?;
        }
    }
    Ok(())
}

/// A backend that does not list says so, and goes on as before.
pub(crate) async fn n5_without_list_it_is_unsupported(bench: &Bench<'_>) -> Result<(), Failure> {
    let name = bench.name("n5/x");
    bench.create(&name, b"n5").await?;
    for prefix in [None, Some(bench.base())] {
        let before = bench.harness().requests();
        match bench.backend().list(prefix).await {
            Ok(_) => return Err(Failure::new("`list` works, and the capabilities say it does not")),
            Err(error) => ensure_eq(
                "the kind of `list`'s error",
                &error.kind(),
                &ErrorKind::Unsupported,
            )?,
        }
        bench.ensure_no_io(before, "`list`")?;
    }
    bench.expect(&name, b"n5").await?;
    Ok(())
}

/// What the name is, where several are one.
fn canonical(bench: &Bench<'_>, name: &SecretName) -> String {
    (bench.facts().canonical)(name)
}

/// The name by which a secret is listed; `None` when it has none.
fn listed(bench: &Bench<'_>, name: &SecretName) -> Option<SecretName> {
    SecretName::new(canonical(bench, name)).ok()
}

/// Whether the backend can express the name. Refusing it has to happen before any request.
async fn expect_absent_or_refused(bench: &Bench<'_>, name: &SecretName, what: &str) -> Result<bool, Failure> {
    let before = bench.harness().requests();
    let request = ReadRequest::new(name);
    match bench.read(request).await? {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::InvalidName => {
            bench.ensure_no_io(before, &told(&request))?;
            Ok(false)
        }
        Err(error) => Err(Failure::new(format!(
            "{what}, {}, was answered with {error} instead of `NotFound` or `InvalidName`",
            told(&request)
        ))),
        Ok(_) => Err(Failure::new(format!(
            "{what}, {}, does not exist, and came back with another's value",
            told(&request)
        ))),
    }
}

/// The message says which character it is: as it is, escaped, or by its number.
fn names_the_character(message: &str, name: &SecretName, c: char) -> bool {
    let without_name = message.replace(name.as_str(), "");
    let numbered = format!("U+{:04X}", u32::from(c));
    without_name.contains(c)
        || without_name.contains(&c.escape_debug().to_string())
        || without_name.contains(&c.escape_unicode().to_string())
        || without_name.contains(&numbered)
}

async fn list(bench: &Bench<'_>, prefix: &SecretName) -> Result<Vec<SecretName>, Failure> {
    let listed = bench.backend().list(Some(prefix)).await;
    listed.map_err(|error| Failure::new(format!("`list` of `{prefix}` failed: {error}")))
}

fn ensure_lists(what: &str, listed: Vec<SecretName>, expected: &BTreeSet<SecretName>) -> Result<(), Failure> {
    let number = listed.len();
    let listed: BTreeSet<_> = listed.into_iter().collect();
    ensure(number == listed.len(), || format!("{what} gives a name twice"))?;
    ensure_eq(what, &listed, expected)
}
