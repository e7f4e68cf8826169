//! Runs an example as a process, the way a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs an example with these variables and none that the test has.
pub(crate) fn run(example: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(program(example));
    command.env_clear().args(arguments);
    // Without it a process on Windows does not start.
    command.envs(std::env::var_os("SYSTEMROOT").map(|root| ("SYSTEMROOT", root)));
    command.envs(variables.iter().copied()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(crate) fn file_uri(root: &Path) -> String {
    format!("file:{}", root.to_str().unwrap().replace('\\', "/"))
}

/// `cargo test` builds examples, next to the tests; only `cargo test --test NAME` does not.
fn program(example: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().unwrap().parent().unwrap();
    let program = target
        .join("examples")
        .join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not built; run `cargo build --example {example}`",
        program.display()
    );
    program
}
