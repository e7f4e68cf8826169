//! docs/contract.md and the tests it names are held to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The test functions named after a law, by file, as the sources have them.
fn in_sources(folder: &Path, root: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            in_sources(&path, root, found);
        } else if is_source(&name) {
            let text = std::fs::read_to_string(&path).unwrap();
            let tests: BTreeSet<_> = text.lines().filter_map(law_test).map(Into::into).collect();
            if !tests.is_empty() {
                let relative = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .replace('\\', "/");
                found.insert(relative, tests);
            }
        }
    }
}

/// `fn c1_c3_a_herd(` is named after laws: a letter of the contract and a number come first.
fn law_test(line: &str) -> Option<&str> {
    let line = line.trim();
    let name = line
        .strip_prefix("async ")
        .unwrap_or(line)
        .strip_prefix("fn ")?
        .split('(')
        .next()?;
    let (law, _) = name.split_once('_')?;
    let mut letters = law.chars();
    let is_law = "acefjlnorstvw".contains(letters.next()?);
    let number = letters.as_str();
    (is_law && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

fn is_source(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

#[test]
fn the_contract_names_every_test_of_a_law_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = BTreeMap::new();
    in_sources(root, root, &mut sources);

    let page = std::fs::read_to_string(root.join("docs/contract.md")).unwrap();
    let (page, kit) = page.split_once("## The kit").expect("the page ends with the kit");
    for case in secrets_testkit::cases() {
        assert!(
            kit.contains(&format!("`{}`", case.name())),
            "{} is not on the page",
            case.name()
        );
    }
    let mut named = BTreeMap::<String, BTreeSet<String>>::new();
    let mut file = None;
    // Every second piece between backquotes is quoted: a file, then its tests.
    for quoted in page
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
    {
        if is_source(quoted) {
            file = Some(quoted.to_owned());
        } else if let Some(name) = law_test(&format!("fn {quoted}(")) {
            named
                .entry(file.clone().expect("a file comes first"))
                .or_default()
                .insert(name.to_owned());
        }
    }
    assert!(named.len() > 10, "the page was read");
    assert_eq!(named, sources);
}
