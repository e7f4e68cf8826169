//! `examples/quickstart.rs` as a process, the way a user runs it.
#![cfg(all(feature = "env", feature = "file"))]

mod process;

use std::process::Output;

use process::{run, text};

fn quickstart(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    run("quickstart", variables, arguments)
}

const PASSWORD: (&str, &str) = ("SMTP_DATABASE_PASSWORD", "hunter2");

/// The commands that the README tells to type.
fn readme_commands() -> Vec<&'static str> {
    let commands = include_str!("../README.md").lines();
    commands.filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[test]
fn the_readme_s_first_command_prints_a_secret() {
    let (variable, command) = readme_commands()[0].split_once(' ').unwrap();
    let arguments = command
        .strip_prefix("cargo run --example quickstart -- ")
        .unwrap();
    let arguments: Vec<_> = arguments.split(' ').collect();
    let (name, value) = variable.split_once('=').unwrap();
    let output = quickstart(&[(name, value)], &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).ends_with(&format!("value: {value}\n")),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn the_readme_s_second_command_is_what_runs_the_tests_here() {
    let command = readme_commands()[1];
    assert!(command.starts_with("cargo test "), "{command}");
    let script = include_str!("../.ci/run");
    assert!(
        script.lines().any(|line| line == format!("{command} --locked")),
        "{command}"
    );
}

#[test]
fn it_says_where_a_secret_came_from_and_keeps_the_value_to_itself() {
    let output = quickstart(&[PASSWORD], &["smtp/database/password"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for line in [
        "secret: smtp/database/password",
        "backend: env",
        "version: none",
        "cache: 3 lookups, 2 from the cache, 1 from the store",
        "value: hidden",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
}

#[test]
fn it_reveals_the_value_when_told_to() {
    let output = quickstart(&[PASSWORD], &["--reveal", "smtp/database/password"]);
    assert!(output.status.success());
    assert!(
        text(&output.stdout).ends_with("value: hunter2\n"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn the_same_program_reads_files() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("smtp/database")).unwrap();
    std::fs::write(root.path().join("smtp/database/password"), "hunter2\n").unwrap();
    let uri = process::file_uri(root.path());
    let uri = ("SECRETS_URI", uri.as_str());

    let output = quickstart(&[uri], &["smtp/database/password", "--reveal"]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        out.contains("backend: file\n") && out.contains("created: "),
        "{out}"
    );
    assert!(out.ends_with("value: hunter2\n"), "{out}");

    let missing = quickstart(&[uri, PASSWORD], &["smtp/api-key"]);
    assert_eq!(missing.status.code(), Some(1));
    let file = root.path().join("smtp").join("api-key");
    assert!(
        text(&missing.stderr).contains(file.to_str().unwrap()),
        "{}",
        text(&missing.stderr)
    );
}

#[test]
fn a_missing_secret_names_the_variable_it_looked_for() {
    let output = quickstart(&[], &["smtp/database/password", "--reveal"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(
        text(&output.stderr).contains("`SMTP_DATABASE_PASSWORD`"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn l4_a_uri_with_a_credential_is_refused_and_not_repeated() {
    let output = quickstart(
        &[("SECRETS_URI", "vault://user:hunter2@host/kv")],
        &["smtp/database/password"],
    );
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("`SECRETS_URI`") && !err.contains("hunter2"), "{err}");
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [&[][..], &["--revael", "a"], &["a", "b"]] {
        let output = quickstart(&[("A", "hunter2")], arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("usage: "), "{arguments:?}");
    }
}
