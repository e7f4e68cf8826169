//! What secrets are, as far as it takes to see that they have changed.

use secrets_core::{Error, Result, Secret};
use secrets_file::watch::{Ledger, State};

/// What a read says about a secret; nothing where reading again may well succeed.
pub(crate) fn of(ledger: &Ledger, read: &Result<Secret>) -> Option<State> {
    match read {
        Ok(secret) => Some(of_value(ledger, secret)),
        Err(error) => of_error(error),
    }
}

pub(crate) fn of_value(ledger: &Ledger, secret: &Secret) -> State {
    ledger.state_of([secret.expose_secret()])
}

pub(crate) fn of_error(error: &Error) -> Option<State> {
    State::of_error(error.kind())
}
