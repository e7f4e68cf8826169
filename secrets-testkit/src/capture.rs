//! Everything the process logs at any level, and the message of every panic, for as long as somebody looks.

use std::error::Error;
use std::fmt::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// While one lives, whatever the process logs is kept. Tests that run at once see each other's records, which does no
/// harm: each looks for its own canaries.
#[derive(Debug)]
pub(crate) struct Capture {
    from: usize,
}

static LOG: Mutex<Log> = Mutex::new(Log {
    records: Vec::new(),
    captures: 0,
});

struct Log {
    records: Vec<Arc<str>>,
    captures: usize,
}

impl Capture {
    /// Begins to keep what is logged.
    ///
    /// # Errors
    ///
    /// What keeps the process's logs from being seen: a search that sees nothing must not pass.
    pub(crate) fn start() -> Result<Self, &'static str> {
        install();
        let capture = {
            let mut log = lock();
            log.captures += 1;
            Self {
                from: log.records.len(),
            }
        };
        let probe = crate::canary::random(16);
        tracing::trace!(%probe, "is anybody listening");
        let heard = |probe: &str| capture.records().iter().any(|record| record.contains(probe));
        if !heard(&probe) {
            return Err(
                "cannot see what is traced: this process has a `tracing` subscriber of its own, or a \
                 `max_level` feature of `tracing` is on; remove it from this test binary",
            );
        }
        #[cfg(feature = "log")]
        {
            let probe = crate::canary::random(16);
            log::trace!("is anybody listening {probe}");
            if !heard(&probe) {
                return Err(
                    "cannot see what is logged: this process has a `log` logger of its own, or a `max_level` \
                     feature of `log` is on; remove it from this test binary",
                );
            }
        }
        Ok(capture)
    }

    /// What was logged since the start, one record each.
    pub(crate) fn records(&self) -> Vec<Arc<str>> {
        lock().records[self.from..].to_vec()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut log = lock();
        log.captures -= 1;
        if log.captures == 0 {
            log.records = Vec::new();
        }
    }
}

/// Listens to everything there is, once per process.
pub(crate) fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // Whether it worked is told by the probe, which sees more than this result.
        let _ = tracing::subscriber::set_global_default(Listener::default());
        #[cfg(feature = "log")]
        if log::set_boxed_logger(Box::new(Listener::default())).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            keep(|| panic.to_string());
            before(panic);
        }));
    });
}

fn lock() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The record is made before the lock is taken: printing a value may log in turn.
fn keep(record: impl FnOnce() -> String) {
    if lock().captures == 0 {
        return;
    }
    let record = record().into();
    let mut log = lock();
    if log.captures > 0 {
        log.records.push(record);
    }
}

#[derive(Default)]
struct Listener {
    spans: AtomicU64,
}

impl Subscriber for Listener {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        keep(|| {
            let mut text = Text::about(attributes.metadata());
            attributes.record(&mut text);
            text.0
        });
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        keep(|| {
            let mut text = Text(String::from("span"));
            values.record(&mut text);
            text.0
        });
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        keep(|| {
            let mut text = Text::about(event.metadata());
            event.record(&mut text);
            text.0
        });
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[cfg(feature = "log")]
impl log::Log for Listener {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        keep(|| format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// The fields of a span or an event.
struct Text(String);

impl Text {
    fn about(metadata: &Metadata<'_>) -> Self {
        Self(format!("{} {}", metadata.target(), metadata.name()))
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let _ = write!(self.0, " {field}={value:?}");
        let mut next = Some(value);
        while let Some(error) = next {
            let _ = write!(self.0, " {error}");
            next = error.source();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Canary;

    type Leak = fn(&str);

    fn seen(capture: &Capture, canary: &Canary) -> bool {
        capture
            .records()
            .iter()
            .any(|record| canary.find_in(record).is_some())
    }

    #[test]
    fn s1_what_is_logged_in_any_way_is_seen() {
        let capture = Capture::start().unwrap();
        let leaks: [(&str, Leak); 9] = [
            ("message", |leak| tracing::trace!("{leak}")),
            ("field", |leak| tracing::trace!(leak)),
            ("bytes", |leak| tracing::trace!(leak = leak.as_bytes())),
            ("debug", |leak| tracing::debug!(leak = ?leak.as_bytes())),
            ("span", |leak| drop(tracing::trace_span!("span", leak))),
            ("recorded", |leak| {
                let span = tracing::info_span!("span", leak = tracing::field::Empty);
                span.record("leak", leak);
            }),
            ("error", |leak| {
                let error = std::io::Error::other(leak.to_owned());
                tracing::warn!(error = &error as &dyn Error);
            }),
            #[cfg(feature = "log")]
            ("log", |leak| log::trace!("{leak}")),
            #[cfg(not(feature = "log"))]
            ("log", |leak| tracing::trace!("{leak}")),
            ("panic", |leak| {
                let _ = panic::catch_unwind(|| panic!("on purpose: {leak}"));
            }),
        ];
        for (how, leak) in leaks {
            let canary = Canary::random();
            assert!(!seen(&capture, &canary));
            leak(canary.expose());
            assert!(seen(&capture, &canary), "{how}");
        }
    }
}
