use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use secrets_core::{
    Error, ErrorKind, Fetched, ReadRequest, Result, Secret, SecretBackend, SecretManager, SecretName,
};
use tokio::runtime::Runtime;

use crate::canary::Form;
use crate::message::Settings;
use crate::subject::{MANY, OTHER, Subject};

/// What is done with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scenario {
    /// Cached, then displaced by another secret.
    Evict,
    /// Asked for, with an error instead of it.
    Fail,
    /// One field of it cached with it, then invalidated.
    Field,
    /// Cached, then invalidated with everything else.
    InvalidateAll,
    /// Nothing but a login, as the backend's check makes it.
    Login,
    /// No backend: copies of each form, planted and freed. They prove that the scanner sees.
    Planted,
    /// Read from the backend itself, then dropped.
    Read,
    /// Read from the backend itself with others at once, then dropped.
    ReadMany,
    /// Cached, then replaced by what the store has now.
    Rotate,
    /// Cached, then shut down.
    Shutdown,
    /// Held by a live handle, which then follows the store to what it has now.
    Watch,
}

/// When memory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// While somebody has a right to it.
    Held,
    /// After that, with the backend in use.
    Gone,
    /// When backend and runtime have ended.
    Ended,
}

impl Scenario {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Evict, "evict"),
        (Self::Fail, "fail"),
        (Self::Field, "field"),
        (Self::InvalidateAll, "invalidate-all"),
        (Self::Login, "login"),
        (Self::Planted, "planted"),
        (Self::Read, "read"),
        (Self::ReadMany, "read-many"),
        (Self::Rotate, "rotate"),
        (Self::Shutdown, "shutdown"),
        (Self::Watch, "watch"),
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

impl Step {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Ended, "ended"), (Self::Gone, "gone"), (Self::Held, "held")];

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

/// How long something may take that always comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a scenario does besides using the backend.
pub(crate) trait Observer {
    /// Memory is to be looked at.
    fn look(&mut self, step: Step);

    /// The store's value is to be changed.
    fn rotate(&mut self);

    /// A read failed.
    fn failed(&mut self, error: &Error);
}

/// Plays a scenario in this process.
///
/// # Errors
///
/// When something fails that was not staged to fail, or the other way round.
pub(crate) fn play(
    scenario: Scenario,
    subject: &Subject,
    settings: &Settings,
    observer: &mut impl Observer,
) -> Result<()> {
    if scenario == Scenario::Planted {
        return planted(settings, observer);
    }
    // A watch goes on while this thread waits for the store.
    let mut runtime = match scenario {
        Scenario::Watch => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|_| Error::new(ErrorKind::Internal, "there is no runtime to be had"))?;
    let backend = runtime.block_on(async { (subject.build)(settings) })?;
    let name = SecretName::new(settings.secret())?;
    match scenario {
        Scenario::Fail => {
            let Err(error) = runtime.block_on(backend.get(ReadRequest::new(&name))) else {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "the read was to fail, and did not",
                ));
            };
            observer.failed(&error);
            drop(error);
            settle(&runtime);
            observer.look(Step::Gone);
            finish(&runtime, &backend);
        }
        Scenario::Login => {
            // Whether the login is accepted is the stage's affair.
            if let Err(error) = runtime.block_on(backend.check()) {
                observer.failed(&error);
            }
            observer.look(Step::Held);
            finish(&runtime, &backend);
        }
        Scenario::Read => {
            let secret = read(&runtime, &backend, &name)?;
            // Of several fields a document is made when it is asked for.
            black_box(secret.expose_secret());
            observer.look(Step::Held);
            drop(black_box(secret));
            settle(&runtime);
            observer.look(Step::Gone);
            finish(&runtime, &backend);
        }
        Scenario::ReadMany => {
            let secrets = read_many(&runtime, &backend)?;
            observer.look(Step::Held);
            drop(black_box(secrets));
            settle(&runtime);
            observer.look(Step::Gone);
            finish(&runtime, &backend);
        }
        _ => cached(scenario, &runtime, &backend, settings, observer)?,
    }
    drop(backend);
    drop(runtime);
    observer.look(Step::Ended);
    Ok(())
}

/// The scenarios of the manager's cache.
fn cached(
    scenario: Scenario,
    runtime: &Runtime,
    backend: &Arc<dyn SecretBackend>,
    settings: &Settings,
    observer: &mut impl Observer,
) -> Result<()> {
    let secret = settings.secret();
    let manager = SecretManager::builder(backend.clone())
        // A field counts beside the secret that it is of.
        .capacity(if scenario == Scenario::Field { 2 } else { 1 }, 1 << 20)
        .refresh_ahead(false)
        .ttl(Duration::from_secs(3600))
        .build()?;
    if scenario == Scenario::Watch {
        watched(runtime, &manager, secret, observer)?;
    } else {
        drop(match scenario {
            Scenario::Field => runtime.block_on(manager.get(format!("{secret}#{}", settings.field())))?,
            _ => runtime.block_on(manager.get(secret))?,
        });
        observer.look(Step::Held);
        match scenario {
            Scenario::Field | Scenario::InvalidateAll => manager.invalidate_all(),
            Scenario::Rotate => {
                observer.rotate();
                drop(runtime.block_on(manager.refresh(secret))?);
            }
            Scenario::Shutdown => runtime.block_on(manager.shutdown())?,
            _ => drop(runtime.block_on(manager.get(OTHER))?),
        }
        settle(runtime);
        observer.look(Step::Gone);
    }
    if scenario != Scenario::Shutdown {
        runtime.block_on(manager.shutdown())?;
    }
    drop(manager);
    settle(runtime);
    Ok(())
}

/// Follows the store with a live handle.
fn watched(
    runtime: &Runtime,
    manager: &SecretManager,
    secret: &str,
    observer: &mut impl Observer,
) -> Result<()> {
    let never = || Error::new(ErrorKind::Timeout, "the handle has not heard of the change");
    let mut handle = runtime.block_on(manager.handle(secret))?;
    drop(handle.current()?);
    observer.look(Step::Held);
    observer.rotate();
    // The limit only turns a hanging test into a failing one.
    let changed = runtime.block_on(async { tokio::time::timeout(PATIENCE, handle.changed()).await });
    changed.map_err(|_| never())?.map_err(|_| never())?;
    drop(handle.current()?);
    settle(runtime);
    observer.look(Step::Gone);
    Ok(())
}

fn read_many(runtime: &Runtime, backend: &Arc<dyn SecretBackend>) -> Result<Vec<Fetched>> {
    let names = MANY.map(SecretName::new);
    let names = names.into_iter().collect::<Result<Vec<_>>>()?;
    let requests: Vec<_> = names.iter().map(ReadRequest::new).collect();
    runtime
        .block_on(backend.get_many(&requests))
        .into_iter()
        .collect()
}

fn read(runtime: &Runtime, backend: &Arc<dyn SecretBackend>, name: &SecretName) -> Result<Secret> {
    match runtime.block_on(backend.get(ReadRequest::new(name)))? {
        Fetched::Value(secret) => Ok(secret),
        _ => Err(Error::new(ErrorKind::Internal, "there is a value to be read")),
    }
}

/// A store that fails may fail at that as well.
fn finish(runtime: &Runtime, backend: &Arc<dyn SecretBackend>) {
    let _ = runtime.block_on(backend.shutdown());
    settle(runtime);
}

/// Lets what others have to do be done: connections that are not kept end as tasks of the runtime.
fn settle(runtime: &Runtime) {
    let others = runtime.spawn(async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    });
    let _ = runtime.block_on(others);
}

/// How much is put onto the stack.
const PLANTED: usize = 1_500;

fn planted(settings: &Settings, observer: &mut impl Observer) -> Result<()> {
    let missing = || Error::new(ErrorKind::InvalidConfig, "there is nothing to plant");
    let forms = settings.canaries.get("value").ok_or_else(missing)?;
    let copies: Vec<Vec<u8>> = forms
        .iter()
        .map(|form| form.bytes.iter().map(|byte| byte ^ settings.mask).collect())
        .collect();
    // One on the stack, too.
    let plain = forms
        .iter()
        .find(|form| form.form == Form::Plain)
        .ok_or_else(missing)?;
    let mut on_the_stack = [0_u8; PLANTED];
    for (to, from) in on_the_stack.iter_mut().zip(&plain.bytes) {
        *to = from ^ settings.mask;
    }
    observer.look(Step::Held);
    black_box(&mut on_the_stack).fill(0);
    black_box(&on_the_stack);
    // Freed and not wiped: what an allocator leaves of them is what it leaves of others' buffers.
    drop(black_box(copies));
    observer.look(Step::Gone);
    Ok(())
}
