use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(feature = "watch")]
use secrets_core::{BackendEvents, WatchedNames};
use secrets_core::{
    Capabilities, Error, ErrorKind, Fetched, Metadata, ReadRequest, Result, Secret, SecretBackend, SecretName,
};

use crate::beneath::{Content, EntryKind, Problem, Root};
use crate::builder::FileBackendBuilder;
use crate::naming::{Layout, Naming};
use crate::trim::Trim;
#[cfg(feature = "watch")]
use crate::watch::{Ledger, Observe, State};

/// Reads secrets from files beneath a root directory; `smtp/api-key` is the file `smtp/api-key`. Layouts, trimming and
/// failures are in the [crate's documentation](crate).
///
/// Cloning is cheap.
#[derive(Clone, Debug)]
pub struct FileBackend {
    options: Arc<Options>,
    #[cfg(feature = "watch")]
    ledger: Arc<Ledger>,
    #[cfg(feature = "tracing")]
    warned: Arc<crate::warned::Warned>,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) root: PathBuf,
    pub(crate) naming: Naming,
    pub(crate) trim: Trim,
    pub(crate) max_size: usize,
    pub(crate) strict_permissions: bool,
    pub(crate) optional_root: bool,
    #[cfg(feature = "watch")]
    pub(crate) poll_interval: std::time::Duration,
    #[cfg(all(unix, test))]
    pub(crate) walk: bool,
}

impl FileBackend {
    pub(crate) const NAME: &str = "file";

    /// The largest file read unless [`max_size`](FileBackendBuilder::max_size) says otherwise: 1 MiB.
    pub const DEFAULT_MAX_SIZE: usize = 1024 * 1024;

    /// Files beneath `root`, nested, everything else by default.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` when `root` is empty.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(root).build()
    }

    /// Files beneath `root`, with options.
    pub fn builder(root: impl Into<PathBuf>) -> FileBackendBuilder {
        FileBackendBuilder::at(root.into())
    }

    /// The secrets of a Docker service or a Compose project: flat, in `/run/secrets`.
    ///
    /// Docker allows letters, digits and `- _ .` in a secret's name, so the name `smtp/database/password` is the Docker
    /// secret `smtp_database_password`.
    pub fn docker_secrets() -> FileBackendBuilder {
        Self::builder("/run/secrets").layout(Layout::Flat)
    }

    /// The credentials systemd hands to a service: flat, in `$CREDENTIALS_DIRECTORY`. The variable is read here.
    ///
    /// The name `smtp/database/password` is the credential `smtp_database_password`, as in
    /// `LoadCredential=smtp_database_password:/etc/app/password`.
    pub fn systemd_credentials() -> FileBackendBuilder {
        const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
        FileBackendBuilder::at_variable(VARIABLE, std::env::var_os(VARIABLE)).layout(Layout::Flat)
    }

    pub(crate) fn from_options(options: Options) -> Self {
        Self {
            options: Arc::new(options),
            #[cfg(feature = "watch")]
            ledger: Arc::default(),
            #[cfg(feature = "tracing")]
            warned: Arc::default(),
        }
    }

    /// The file that holds the secret `name`, whether or not it exists.
    ///
    /// # Errors
    ///
    /// `InvalidName` when no file can have that name.
    pub fn path(&self, name: &SecretName) -> Result<PathBuf> {
        let path = self.options.naming.path(name);
        let path = path.map_err(|error| located(error, Some(name)))?;
        Ok(self.options.root.join(path))
    }

    /// The same backend, resolving paths as where there is no `openat2`.
    #[cfg(all(unix, test))]
    pub(crate) fn walking(&self) -> Self {
        let mut options = Options::clone(&self.options);
        options.walk = true;
        Self::from_options(options)
    }

    /// Remembers what was served, for those who watch it from now on.
    #[cfg(feature = "watch")]
    fn note(&self, name: &SecretName, found: &Result<Found>) {
        let state = match found {
            Ok(found) => Some(self.ledger.state_of([found.secret.expose_secret()])),
            Err(error) => State::of_error(error.kind()),
        };
        if let Some(state) = state {
            self.ledger.record(name, state);
        }
    }

    /// Does `work` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Options) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            let message = "files are read on tokio's blocking threads; call from within a tokio runtime";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let options = self.options.clone();
        match runtime.spawn_blocking(move || work(&options)).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => Err(Error::new(
                ErrorKind::Internal,
                "reading a file panicked; this is a defect",
            )),
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                "the tokio runtime is shutting down",
            )),
        }
    }
}

#[async_trait]
impl SecretBackend for FileBackend {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_list(true)
            .with_watch(cfg!(feature = "watch"))
    }

    async fn get(&self, request: ReadRequest<'_>) -> Result<Fetched> {
        let name = request.name;
        let found = async {
            request.refuse_version()?;
            let path = self.options.naming.path(name)?;
            self.blocking(move |options| options.read(&path)).await
        };
        let found = found.await;
        #[cfg(feature = "watch")]
        self.note(name, &found);
        let found = found.map_err(|error| located(error, Some(name)))?;
        #[cfg(feature = "tracing")]
        if let Some(mode) = found.exposed {
            self.warned.warn(name, &self.path(name)?, mode);
        }
        Ok(found.secret.into())
    }

    async fn list(&self, prefix: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let parent = prefix.cloned();
        let names = self.blocking(move |options| options.list(parent.as_ref())).await;
        names.map_err(|error| located(error, prefix))
    }

    #[cfg(feature = "watch")]
    fn watch(&self, names: WatchedNames) -> Option<BackendEvents> {
        let (source, ledger) = (self.options.clone(), self.ledger.clone());
        crate::watch::subscribe(source, ledger, names, self.options.poll_interval)
    }

    async fn check(&self) -> Result<()> {
        let checked = self.blocking(Options::check).await;
        checked.map_err(|error| located(error, None))
    }
}

struct Found {
    secret: Secret,
    /// See [`OpenFile::exposed`](crate::beneath::OpenFile::exposed).
    #[cfg_attr(
        not(feature = "tracing"),
        expect(dead_code, reason = "only ever warned about")
    )]
    exposed: Option<u32>,
}

fn located(error: Error, name: Option<&SecretName>) -> Error {
    let error = error.with_backend(FileBackend::NAME);
    match name {
        Some(name) => error.with_secret(name),
        None => error,
    }
}

impl Options {
    fn read(&self, path: &Path) -> Result<Found> {
        let (content, exposed) = self.content(self.open()?.as_ref(), path)?;
        let mut metadata = Metadata::new();
        if let Some(modified) = content.modified() {
            metadata = metadata.with_created(modified);
        }
        Ok(Found {
            secret: Secret::copy_from(self.trim.apply(content.bytes())).with_metadata(metadata),
            exposed,
        })
    }

    /// What the file holds, and the mode it should not have.
    fn content(&self, root: Option<&Root>, path: &Path) -> Result<(Content, Option<u32>)> {
        let problem = |problem| self.problem(problem, path);
        let root = root.ok_or(Problem::Missing).map_err(problem)?;
        let file = root.open_file(path).map_err(problem)?;
        let exposed = file.exposed();
        if let (Some(mode), true) = (exposed, self.strict_permissions) {
            return Err(self.refused(mode, path));
        }
        Ok((file.read(self.max_size).map_err(problem)?, exposed))
    }

    fn list(&self, parent: Option<&SecretName>) -> Result<Vec<SecretName>> {
        let Some(root) = self.open()? else {
            return Ok(Vec::new());
        };
        let directory = self.naming.directory(parent);
        let deep = self.naming.layout == Layout::Nested;
        let mut files = match root.files(&directory, deep) {
            Ok(files) => files,
            // Nothing lies below; the name itself may be a file.
            Err(Problem::Missing | Problem::NotADirectory) => Vec::new(),
            Err(problem) => return Err(self.problem(problem, &directory)),
        };
        if let (Some(parent), true) = (parent, deep) {
            let own = self.naming.path(parent)?;
            if root.kind(&own) == Ok(EntryKind::File) {
                files.push(own);
            }
        }
        let mut names: Vec<_> = files
            .iter()
            .filter_map(|file| self.naming.name(file, parent))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn check(&self) -> Result<()> {
        if let Some(root) = self.open()? {
            root.open_dir("")
                .map_err(|problem| self.problem(problem, Path::new("")))?;
        }
        Ok(())
    }

    /// `None` when there is none and there need not be.
    fn open(&self) -> Result<Option<Root>> {
        let opened = match Root::open(&self.root) {
            Err(Problem::Missing) if self.optional_root => return Ok(None),
            opened => opened,
        };
        #[cfg(all(unix, test))]
        let opened = opened.map(|root| if self.walk { root.walking() } else { root });
        opened.map(Some).map_err(|problem| {
            let root = self.root.display();
            match problem {
                Problem::Missing => {
                    let message = format!(
                        "the root directory `{root}` does not exist; mount it, correct the path, or make it optional"
                    );
                    Error::new(ErrorKind::Unavailable, message).with_cause(problem.cause())
                }
                Problem::NotADirectory => {
                    let message = format!("the root `{root}` is not a directory");
                    Error::new(ErrorKind::InvalidConfig, message).with_cause(problem.cause())
                }
                other => other.into_error(&self.root),
            }
        })
    }

    fn problem(&self, problem: Problem, path: &Path) -> Error {
        let path = self.root.join(path);
        match (problem, self.naming.layout) {
            (Problem::Missing, _) => {
                let message = format!("there is no file `{}`", path.display());
                Error::new(ErrorKind::NotFound, message).with_cause(problem.cause())
            }
            (Problem::Directory, Layout::Nested) => {
                let message = format!("`{}` is a directory; the secrets lie below it", path.display());
                Error::new(ErrorKind::NotFound, message).with_cause(problem.cause())
            }
            (Problem::Directory, Layout::Flat) => {
                let message = format!(
                    "`{}` is a directory; Docker makes one where the file to be mounted does not exist",
                    path.display()
                );
                Error::new(ErrorKind::InvalidData, message).with_cause(problem.cause())
            }
            _ => problem.into_error(&path),
        }
    }

    fn refused(&self, mode: u32, path: &Path) -> Error {
        let path = self.root.join(path);
        let message = format!(
            "`{}` can be read or written by every user (mode {mode:04o}); take that away, as in `chmod o-rw`, or turn \
             `strict_permissions` off",
            path.display()
        );
        Error::new(ErrorKind::PermissionDenied, message)
    }
}

#[cfg(feature = "watch")]
impl Observe for Options {
    fn open(&self) -> Result<Option<Root>> {
        self.open()
    }

    fn paths(&self, name: &SecretName) -> Vec<PathBuf> {
        self.naming.path(name).into_iter().collect()
    }

    fn state(&self, root: Option<&Root>, name: &SecretName, ledger: &Ledger) -> Option<State> {
        let content = self.naming.path(name).and_then(|path| self.content(root, &path));
        match content {
            Ok((content, _)) => Some(ledger.state_of([self.trim.apply(content.bytes())])),
            Err(error) => State::of_error(error.kind()),
        }
    }
}
