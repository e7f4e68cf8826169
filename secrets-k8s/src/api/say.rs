//! What this backend says through `tracing`: names of namespaces and Secrets, kinds; never a value.

#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "what is said needs the feature")
)]

use std::sync::atomic::{AtomicBool, Ordering};

use secrets_core::Error;

/// What has been said already: once is enough.
#[derive(Debug, Default)]
pub(super) struct Said {
    list: AtomicBool,
    many: AtomicBool,
    watch: AtomicBool,
}

macro_rules! once {
    ($said:expr, $($what:tt)*) => {
        if !$said.swap(true, Ordering::Relaxed) {
            #[cfg(feature = "tracing")]
            tracing::warn!(target: "secrets", backend = super::backend::NAME, $($what)*);
        }
    };
}

impl Said {
    pub(super) fn list_denied(&self, error: &Error) {
        once!(
            self.list,
            "Secrets may not be listed and are read one by one: {}",
            error.message()
        );
    }

    pub(super) fn watch_denied(&self, error: &Error) {
        once!(
            self.watch,
            "Secrets may not be watched and are polled: {}",
            error.message()
        );
    }

    pub(super) fn too_many(&self, most: usize) {
        once!(
            self.many,
            "more than {most} Secrets are of interest; the others are read again when their time to live ends. \
             `label_selector` makes one watch of them all"
        );
    }
}
