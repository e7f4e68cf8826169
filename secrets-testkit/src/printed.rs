use std::error::Error as _;
use std::fmt::Debug;

use secrets_core::{Error, Fetched};

use crate::{Canary, Failure};

/// Everything that was printed of something, to be searched for what must not be in it.
#[derive(Default)]
pub(crate) struct Printed {
    texts: Vec<(String, String)>,
}

impl Printed {
    pub(crate) fn text(&mut self, what: &str, text: String) {
        self.texts.push((what.into(), text));
    }

    pub(crate) fn look(&mut self, what: &str, printed: &dyn Debug) {
        self.text(&format!("`Debug` of {what}"), format!("{printed:?}"));
        self.text(&format!("`{{:#?}}` of {what}"), format!("{printed:#?}"));
    }

    pub(crate) fn fetched(&mut self, fetched: &Fetched) {
        self.look("what was fetched", fetched);
        if let Fetched::Value(secret) = fetched {
            self.look("the metadata", secret.metadata());
            self.look(
                "the names of the fields",
                &secret.field_names().collect::<Vec<_>>(),
            );
        }
    }

    pub(crate) fn error(&mut self, error: &Error) {
        self.look("an error", error);
        self.text("an error", error.to_string());
        self.text("an error's message", error.message().to_owned());
        let mut source = error.source();
        while let Some(cause) = source {
            self.look("an error's cause", cause);
            self.text("an error's cause", cause.to_string());
            source = cause.source();
        }
    }

    /// # Errors
    ///
    /// What shows the canary, which is `whose`.
    pub(crate) fn shows_nothing_of(&self, whose: &str, canary: &Canary) -> Result<(), Failure> {
        for (what, text) in &self.texts {
            if let Some(form) = canary.find_in(text) {
                return Err(Failure::new(format!(
                    "{what} shows {whose}, or a part of it, as {form}"
                )));
            }
        }
        Ok(())
    }
}
