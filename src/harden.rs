use secrets_core::{Error, ErrorKind, Result};

/// Makes this process's memory harder to read for other processes of the same user.
///
/// Call it first thing in `main`, before any secret is read, and end the process when it fails. What it does, by
/// [`secmem-proc`](https://docs.rs/secmem-proc):
///
/// | | Linux | macOS, FreeBSD | Windows |
/// |---|---|---|---|
/// | no core dumps | yes | yes | – |
/// | no tracing or reading by others of the same user | yes (`PR_SET_DUMPABLE`) | yes | access list of the process |
/// | fails when a tracer is attached already | yes | FreeBSD | yes |
///
/// # What it costs
///
/// Debuggers, `strace`, profilers and crash reporters no longer work on the process; so it is for release builds. On Linux
/// the files below `/proc/self` belong to root from then on: a process without privileges can no longer read its own
/// `/proc/self/environ`, `/proc/self/maps` and the like. Children inherit the limit of core dumps, nothing else.
///
/// # What it does not do
///
/// It does not stop root, a tracer that was there before, code in the process itself, swap or hibernation.
///
/// # Errors
///
/// `Unsupported` when the system refuses a step, or something traces the process already. Steps before that one stay done.
///
/// ```no_run
/// fn main() -> secrets::Result<()> {
///     secrets::harden_process()?;
///     // now read secrets
///     Ok(())
/// }
/// ```
pub fn harden_process() -> Result<()> {
    secmem_proc::harden_process().map_err(|error| {
        // Of the system's making: which step failed, and its error number.
        let message = format!("the process cannot be hardened ({error}); end it before it reads a secret");
        Error::new(ErrorKind::Unsupported, message)
    })
}
