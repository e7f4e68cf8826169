//! Credentials that a program prints: `credential_process` of a profile.

use std::io;
use std::process::Stdio;

use aws_credential_types::Credentials;
use secrets_core::{Cause, Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::error::config;
use crate::login::answer;
use crate::transport::MAX_CREDENTIALS;

/// Runs the program once. `profile` asks for it.
///
/// # Errors
///
/// `InvalidConfig` for a command that cannot be run, or whose answer is of another version; `Unauthenticated` when the program
/// fails, or prints no credentials. Neither the command nor what the program says is in any of them.
///
/// # Cancel safety
///
/// Dropping it kills the program.
pub(super) async fn credentials(command: &str, profile: &str) -> Result<Credentials> {
    let who = format!(
        "the program of the AWS profile `{}` (credential_process)",
        profile.escape_debug()
    );
    let words = words(command).ok_or_else(|| {
        config(format!(
            "{who} cannot be told from its line: it begins with the program, and each quote has its other one"
        ))
    })?;
    let mut child = Command::new(words[0].as_str())
        .args(words[1..].iter().map(|word| word.as_str()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => {
                    "is not there: give its full path, in double quotes if it has spaces"
                }
                io::ErrorKind::PermissionDenied => "may not be run by this user",
                _ => "cannot be run",
            };
            config(format!("{who} {problem}; no shell expands the line")).with_cause(Cause::from(&error))
        })?;
    let failed = |problem: &str| Error::new(ErrorKind::Unauthenticated, format!("{who} {problem}"));
    let output = match child.stdout.take() {
        Some(pipe) => read(pipe).await,
        None => Ok(None),
    };
    let output = output.map_err(|error| failed("cannot be heard").with_cause(Cause::from(&error)))?;
    let output =
        output.ok_or_else(|| failed("prints far more than credentials; run it by hand to see what"))?;
    let status = child
        .wait()
        .await
        .map_err(|error| failed("cannot be waited for").with_cause(Cause::from(&error)))?;
    if !status.success() {
        return Err(failed(
            "failed; run it by hand, as the user of this process, to see why",
        ));
    }
    answer::printed(&output, &who)
}

/// All that a pipe brings, in one buffer that is wiped; `None` when it is more than credentials can be.
async fn read(mut pipe: impl AsyncRead + Unpin) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut buffer = Zeroizing::new(vec![0; MAX_CREDENTIALS + 1]);
    let mut filled = 0;
    while filled < buffer.len() {
        match pipe.read(&mut buffer[filled..]).await? {
            0 => {
                buffer.truncate(filled);
                return Ok(Some(buffer));
            }
            count => filled += count,
        }
    }
    Ok(None)
}

/// The program and its arguments, as AWS's command line tells them apart: spaces separate, quotes keep together. Without a
/// shell: one that is killed may leave its program running.
fn words(line: &str) -> Option<Vec<Zeroizing<String>>> {
    // As long as it can become: a buffer that grows leaves the old one unwiped.
    let empty = || Zeroizing::new(String::with_capacity(line.len()));
    let (mut words, mut word, mut within) = (Vec::new(), empty(), false);
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, within) = (Some(c), true),
            (None | Some('"'), '\\') => {
                let next = chars.peek().copied();
                let escapes = match (quote, next) {
                    // Where paths have backslashes, only a quote is escaped.
                    _ if cfg!(windows) => next == Some('"'),
                    (None, next) => next.is_some(),
                    (_, next) => matches!(next, Some('"' | '\\')),
                };
                let c = if escapes { chars.next()? } else { c };
                word.push(c);
                within = true;
            }
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut within) {
                    words.push(std::mem::replace(&mut word, empty()));
                }
            }
            (_, c) => {
                word.push(c);
                within = true;
            }
        }
    }
    if within {
        words.push(word);
    }
    let whole = quote.is_none() && words.first().is_some_and(|program| !program.is_empty());
    whole.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_program_and_its_arguments() {
        for (line, expected) in [
            ("/opt/bin/creds", &["/opt/bin/creds"][..]),
            (" creds  --user\thelen ", &["creds", "--user", "helen"]),
            (
                r#""/opt/my tools/creds.sh" plain "with spaces" --name="a b""#,
                &["/opt/my tools/creds.sh", "plain", "with spaces", "--name=a b"],
            ),
            (
                r#"creds '' "" 'it"s' "it's""#,
                &["creds", "", "", "it\"s", "it's"],
            ),
            ("creds $HOME ~ a|b ;", &["creds", "$HOME", "~", "a|b", ";"]),
            (r#"creds "a\"b""#, &["creds", "a\"b"]),
        ] {
            let found = words(line).unwrap();
            let found: Vec<_> = found.iter().map(|word| word.as_str()).collect();
            assert_eq!(found, expected, "{line}");
        }
        if cfg!(unix) {
            let found = words(r#"cre\ ds \\ "\n""#).unwrap();
            let found: Vec<_> = found.iter().map(|word| word.as_str()).collect();
            assert_eq!(found, ["cre ds", "\\", "\\n"]);
        }
        for line in ["", "  ", "\"creds", "creds 'a", "creds \"a'", "\"\" a"] {
            assert!(words(line).is_none(), "{line}");
        }
    }

    #[test]
    fn l5_whatever_a_line_says_there_is_no_panic() {
        let mut rng = fastrand::Rng::with_seed(11);
        let parts = ["\"", "'", "\\", " ", "\t", "é", "a", "$"];
        for _ in 0..20_000 {
            let line: String = (0..rng.usize(0..12))
                .map(|_| parts[rng.usize(0..parts.len())])
                .collect();
            let _ = words(&line);
        }
    }
}
