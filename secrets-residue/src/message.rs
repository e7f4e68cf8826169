//! What the stage and the process looked at tell each other: lines of words, on its standard input and output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use secrecy::SecretString;
use secrets_core::{Error, ErrorKind, Result};

use crate::canary::{Form, Masked};
use crate::scan::{Sighting, Sightings};
use crate::scenario::{Scenario, Step};
use crate::subject::{SECRET, Situation};

/// What the process looked at has to know, and may: where the store is, and credentials in masked form.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How the store behaves.
    pub situation: Situation,
    /// Whether connections may be kept for the next request.
    pub idle_connections: bool,
    pub(crate) mask: u8,
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) canaries: BTreeMap<String, Vec<Masked>>,
}

impl Settings {
    /// One of the texts that the [`Stage`](crate::Stage) gave.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is no such text.
    pub fn text(&self, name: &str) -> Result<&str> {
        let text = self.texts.get(name).map(String::as_str);
        text.ok_or_else(|| Error::new(ErrorKind::InvalidConfig, format!("the stage gave no `{name}`")))
    }

    /// The secret that is looked for: [`SECRET`], unless the stage says otherwise.
    pub(crate) fn secret(&self) -> &str {
        self.texts.get("secret").map_or(SECRET, String::as_str)
    }

    /// The field of it that holds the value, where the store holds a document.
    pub(crate) fn field(&self) -> &str {
        self.texts.get("field").map_or("password", String::as_str)
    }

    /// One of the canaries, unmasked, for a backend that needs it as a credential. It is wiped when dropped.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when there is no such canary.
    pub fn credential(&self, name: &str) -> Result<SecretString> {
        let missing = || Error::new(ErrorKind::InvalidConfig, format!("there is no canary `{name}`"));
        let forms = self.canaries.get(name).ok_or_else(missing)?;
        let plain = forms
            .iter()
            .find(|form| form.form == Form::Plain)
            .ok_or_else(missing)?;
        let mut text = plain.unmask(self.mask);
        // Its buffer is of its size: it moves, and is not copied.
        let text = String::from_utf8(std::mem::take(&mut *text)).map_err(|_| missing())?;
        Ok(text.into())
    }
}

/// What one process is to do.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) subject: String,
    pub(crate) scenario: Scenario,
    pub(crate) settings: Settings,
}

impl Order {
    pub(crate) fn write(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "subject {}", hex(self.subject.as_bytes()))?;
        writeln!(out, "scenario {}", self.scenario.word())?;
        writeln!(out, "situation {}", self.settings.situation.word())?;
        let connections = if self.settings.idle_connections {
            KEPT
        } else {
            "closed"
        };
        writeln!(out, "connections {connections}")?;
        writeln!(out, "mask {}", self.settings.mask)?;
        for (name, text) in &self.settings.texts {
            writeln!(out, "text {name} {}", hex(text.as_bytes()))?;
        }
        for (name, forms) in &self.settings.canaries {
            for form in forms {
                writeln!(out, "canary {name} {} {}", form_word(form.form), hex(&form.bytes))?;
            }
        }
        writeln!(out, "go")?;
        out.flush()
    }

    pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Self> {
        let mut order = Self {
            subject: String::new(),
            scenario: Scenario::Read,
            settings: Settings::default(),
        };
        let mut line = String::new();
        loop {
            line.clear();
            input.read_line(&mut line)?;
            let words: Vec<_> = line.split_whitespace().collect();
            match *words.as_slice() {
                ["subject", name] => {
                    order.subject = String::from_utf8(unhex(name)?).map_err(|_| unknown())?;
                }
                ["scenario", word] => order.scenario = Scenario::from_word(word).ok_or_else(unknown)?,
                ["situation", word] => {
                    order.settings.situation = Situation::from_word(word).ok_or_else(unknown)?;
                }
                ["connections", word] => order.settings.idle_connections = word == KEPT,
                ["mask", mask] => order.settings.mask = mask.parse().map_err(|_| unknown())?,
                ["text", name, text] => {
                    let text = String::from_utf8(unhex(text)?).map_err(|_| unknown())?;
                    order.settings.texts.insert(name.to_owned(), text);
                }
                ["canary", name, form, bytes] => {
                    let form = form_of(form).ok_or_else(unknown)?;
                    let bytes = unhex(bytes)?;
                    let forms = order.settings.canaries.entry(name.to_owned()).or_default();
                    forms.push(Masked { form, bytes });
                }
                ["go"] => return Ok(order),
                _ => return Err(unknown()),
            }
        }
    }
}

/// What is said of connections that may be kept.
const KEPT: &str = "kept";

/// What the process looked at says.
#[derive(Debug)]
pub(crate) enum Report {
    /// It waits for the store's value to be changed, and for a line that says so.
    Rotate,
    /// A read failed, as staged, with an error of this kind.
    Failed(String),
    /// After this step it looked for this canary.
    Looked(Step, String),
    /// And saw it here. Belongs to the last [`Looked`](Report::Looked).
    Saw(Sighting),
    /// It is done.
    Done,
}

impl Report {
    pub(crate) fn write(&self, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Rotate => writeln!(out, "rotate"),
            Self::Failed(kind) => writeln!(out, "failed {kind}"),
            Self::Looked(step, canary) => writeln!(out, "looked {} {canary}", step.word()),
            Self::Saw(seen) => {
                let (form, whole) = (form_word(seen.form), u8::from(seen.whole));
                writeln!(
                    out,
                    "saw {form} {} {} {whole} {}",
                    seen.begin,
                    seen.len,
                    hex(seen.region.as_bytes())
                )
            }
            Self::Done => writeln!(out, "done"),
        }?;
        out.flush()
    }

    pub(crate) fn parse(line: &str) -> io::Result<Self> {
        let words: Vec<_> = line.split(' ').collect();
        Ok(match *words.as_slice() {
            ["rotate"] => Self::Rotate,
            ["failed", kind] => Self::Failed(kind.to_owned()),
            ["looked", step, canary] => {
                Self::Looked(Step::from_word(step).ok_or_else(unknown)?, canary.to_owned())
            }
            ["saw", form, begin, len, whole, region] => Self::Saw(Sighting {
                form: form_of(form).ok_or_else(unknown)?,
                begin: begin.parse().map_err(|_| unknown())?,
                len: len.parse().map_err(|_| unknown())?,
                whole: whole == "1",
                region: String::from_utf8(unhex(region)?).map_err(|_| unknown())?,
            }),
            ["done"] => Self::Done,
            _ => return Err(unknown()),
        })
    }
}

/// Writes what was seen of each canary after a step.
pub(crate) fn tell(
    out: &mut impl Write,
    step: Step,
    names: &[&String],
    seen: &[Sightings],
) -> io::Result<()> {
    for (name, sightings) in names.iter().zip(seen) {
        Report::Looked(step, (*name).clone()).write(&mut *out)?;
        for sighting in &sightings.all {
            Report::Saw(sighting.clone()).write(&mut *out)?;
        }
    }
    Ok(())
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line that says nothing known")
}

const FORMS: [(Form, &str); 3] = [
    (Form::Base64, "base64"),
    (Form::Escaped, "escaped"),
    (Form::Plain, "plain"),
];

fn form_word(form: Form) -> &'static str {
    FORMS
        .iter()
        .find(|(it, _)| *it == form)
        .map_or("", |(_, word)| word)
}

fn form_of(word: &str) -> Option<Form> {
    FORMS.iter().find(|(_, it)| *it == word).map(|(form, _)| *form)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 1);
    // Something has to stand there when it is empty.
    text.push('x');
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> io::Result<Vec<u8>> {
    let digits = text.strip_prefix('x').ok_or_else(unknown)?;
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).map_err(|_| unknown())?;
        u8::from_str_radix(pair, 16).map_err(|_| unknown())
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Canary, Length};

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let canary = Canary::value(Length::Short);
        let mut settings = Settings {
            situation: Situation::Malformed,
            idle_connections: true,
            mask: 0x9c,
            ..Settings::default()
        };
        settings.texts.insert("address".into(), "https://é x/".into());
        settings.texts.insert("empty".into(), String::new());
        settings.canaries.insert("value".into(), canary.masked(0x9c));
        let order = Order {
            subject: "a vault".into(),
            scenario: Scenario::Evict,
            settings,
        };
        let mut sent = Vec::new();
        order.write(&mut sent).unwrap();
        let came = Order::read(&mut sent.as_slice()).unwrap();
        assert_eq!(
            (came.subject.as_str(), came.scenario),
            ("a vault", Scenario::Evict)
        );
        assert_eq!(came.settings.situation, Situation::Malformed);
        assert!(came.settings.idle_connections);
        assert_eq!(came.settings.text("address").unwrap(), "https://é x/");
        assert_eq!(came.settings.text("empty").unwrap(), "");
        let value = came.settings.credential("value").unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&value), canary.expose());
        assert!(Order::read(&mut "nonsense\n".as_bytes()).is_err());
    }
}
