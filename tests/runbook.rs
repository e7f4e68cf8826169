//! docs/runbook.md has a section for each kind of error, in the order of the alphabet.

use std::collections::BTreeSet;

#[test]
fn every_kind_of_error_has_its_section_and_its_line() {
    let source = include_str!("../secrets-core/src/error.rs");
    let (_, body) = source.split_once("pub enum ErrorKind {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let kinds: Vec<_> = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("///") && !line.is_empty())
        .map(|line| line.trim_end_matches(','))
        .collect();
    assert!(kinds.contains(&"NotFound"), "the kinds were read: {kinds:?}");

    let page = include_str!("../docs/runbook.md");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(sections, kinds);
    for kind in &kinds {
        let anchor = kind.to_lowercase();
        let lines = page.matches(&format!("| [`{kind}`](#{anchor}) |")).count();
        assert_eq!(lines, 1, "the line of {kind}");
    }
    for section in page.split("\n## ").skip(1) {
        assert!(
            section.contains("**Means.**") && section.contains("**Do.**"),
            "{section}"
        );
    }
    assert_eq!(sections.iter().collect::<BTreeSet<_>>().len(), kinds.len());
}
