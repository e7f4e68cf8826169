use std::fmt;
use std::sync::Arc;

use secrets_core::{Result, SecretBackend};

use crate::canary::{Canary, Length};
use crate::message::Settings;
use crate::row::Row;

/// The secret whose value is a canary.
pub(crate) const SECRET: &str = "app/canary";

/// Another one, whose value is not looked for.
pub(crate) const OTHER: &str = "app/other";

/// What is read at once: enough for every backend to ask for it in one call.
pub(crate) const MANY: [&str; 4] = [SECRET, OTHER, "first/other", "second/other"];

/// A backend and the store behind it.
pub struct Subject {
    /// What it is called in the table.
    pub name: &'static str,
    /// In the stage's process: the store, with the canaries in it.
    pub stage: fn(&Canaries, Situation) -> Box<dyn Stage>,
    /// In the process looked at: the backend over that store.
    pub build: fn(&Settings) -> Result<Arc<dyn SecretBackend>>,
    /// What is promised of it.
    pub rows: fn() -> Vec<Row>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A store that runs in the stage's process until it is dropped.
pub trait Stage {
    /// What [`Subject::build`] has to know. No canary may be in it.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// Variables of the process looked at, where the environment is the store.
    fn environment(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Gives the secret another value, which is not looked for.
    fn rotate(&self) {}
}

/// What is looked for. Each is known to [`Settings::credential`] by its name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Canaries {
    /// `value`: the value of the secret.
    pub value: Canary,
    /// `credential`: what the backend is given to log in.
    pub credential: Canary,
    /// `issued`: what the store gives in return, such as a token.
    pub issued: Canary,
}

impl Canaries {
    pub(crate) fn new(length: Length) -> Self {
        Self {
            value: Canary::value(length),
            credential: Canary::credential(),
            issued: Canary::credential(),
        }
    }

    pub(crate) fn named(&self) -> [(&'static str, &Canary); 3] {
        [
            ("credential", &self.credential),
            ("issued", &self.issued),
            ("value", &self.value),
        ]
    }
}

/// How a store behaves, and how the backend logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Situation {
    /// The store holds bytes and not a text, where it knows the difference.
    Binary,
    /// The answer does not say how long it is, and goes on after the value: whoever gathers it has to make room.
    Chunked,
    /// The answer breaks off in the middle of the value, and nothing more comes.
    CutOff,
    /// The answer is a refusal whose text holds the value.
    Denied,
    /// The value is a field of a JSON document.
    Document,
    /// The backend logs in with the credential, in another way than the usual one of this subject.
    Login,
    /// That login is refused, with a text that holds the credential.
    LoginRefused,
    /// The answer holds the value and cannot be parsed.
    Malformed,
    /// The backend logs in in yet another way.
    OtherLogin,
    /// Nothing is wrong.
    #[default]
    Usual,
}

impl Situation {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Binary, "binary"),
        (Self::Chunked, "chunked"),
        (Self::CutOff, "cut-off"),
        (Self::Denied, "denied"),
        (Self::Document, "document"),
        (Self::Login, "login"),
        (Self::LoginRefused, "login-refused"),
        (Self::Malformed, "malformed"),
        (Self::OtherLogin, "other-login"),
        (Self::Usual, "usual"),
    ];

    pub(crate) fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(it, _)| *it == self)
            .map_or("", |(_, word)| word)
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, it)| *it == word).map(|(it, _)| *it)
    }
}
