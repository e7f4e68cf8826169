use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::Notify;

use crate::beneath::Root;

/// Who changes one file changes the next: what comes within this is heard as one.
const SETTLE: Duration = Duration::from_millis(50);

/// Where something happens all the time, it is heard after this many times [`SETTLE`].
const LONGEST: usize = 10;

/// Whatever may change what a path leads to, or what a file holds. Not `IN_MODIFY`: a file being written is not ready.
const EVENTS: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

/// Rings after the interval, and when inotify tells of something.
pub(super) struct Bell {
    /// `None` where there is no inotify to be had, and only the interval rings.
    inotify: Option<Arc<OwnedFd>>,
    /// The directories watched, by inotify's number.
    watched: HashSet<i32>,
    /// Those covered since `begin`.
    covered: HashSet<i32>,
    /// It has been said that something cannot be watched.
    told: bool,
    /// Dropped, it ends the thread.
    _alive: UnixStream,
}

impl Bell {
    pub(super) fn start(interval: Duration, rung: Arc<Notify>) -> Option<Self> {
        let mut told = false;
        let inotify = match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(inotify) => Some(Arc::new(inotify)),
            Err(error) => {
                tell(&mut told, error);
                None
            }
        };
        let (alive, ended) = UnixStream::pair().ok()?;
        let heard = inotify.clone();
        let listen = move || listen(heard.as_deref(), &ended, interval, &rung);
        let thread = std::thread::Builder::new().name("secrets-file".into());
        thread.spawn(listen).ok()?;
        Some(Self {
            inotify,
            watched: HashSet::new(),
            covered: HashSet::new(),
            told,
            _alive: alive,
        })
    }

    pub(super) fn begin(&mut self) {
        self.covered.clear();
    }

    pub(super) fn cover(&mut self, root: &Root, path: &Path) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        root.on_the_way(path, |directory| {
            // inotify takes a path only, and this one is that of the directory which is open, wherever it may be now.
            let open = format!("/proc/self/fd/{}", directory.as_raw_fd());
            match inotify::add_watch(inotify, open, EVENTS) {
                Ok(number) => {
                    self.watched.insert(number);
                    self.covered.insert(number);
                }
                Err(error) => tell(&mut self.told, error),
            }
        });
    }

    pub(super) fn finish(&mut self) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        for number in self.watched.difference(&self.covered) {
            // A directory that has been deleted is no longer watched already.
            let _ = inotify::remove_watch(inotify, *number);
        }
        std::mem::swap(&mut self.watched, &mut self.covered);
    }
}

/// Says once that changes are only seen at the interval.
fn tell(told: &mut bool, error: Errno) {
    if !std::mem::replace(told, true) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            backend = crate::FileBackend::NAME,
            code = %std::io::Error::from(error).kind(),
            "a directory cannot be watched; changes there are seen after the poll interval"
        );
        #[cfg(not(feature = "tracing"))]
        let _ = error;
    }
}

fn listen(inotify: Option<&OwnedFd>, ended: &UnixStream, interval: Duration, rung: &Notify) {
    loop {
        match heard(inotify, ended, interval) {
            Heard::End => return,
            Heard::Nothing => {}
            Heard::Something => {
                for _ in 0..LONGEST {
                    inotify.map(drain);
                    match heard(inotify, ended, SETTLE) {
                        Heard::End => return,
                        Heard::Nothing => break,
                        Heard::Something => {}
                    }
                }
            }
        }
        rung.notify_one();
    }
}

#[derive(PartialEq, Eq)]
enum Heard {
    End,
    Nothing,
    Something,
}

fn heard(inotify: Option<&OwnedFd>, ended: &UnixStream, wait: Duration) -> Heard {
    // Without inotify, the same end is listened to twice.
    let other = inotify.map_or(ended.as_fd(), AsFd::as_fd);
    let mut fds = [ended.as_fd(), other].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = Timespec {
        tv_sec: wait.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) if !fds[0].revents().is_empty() => Heard::End,
        Ok(_) if !fds[1].revents().is_empty() => Heard::Something,
        Ok(_) | Err(Errno::INTR) => Heard::Nothing,
        Err(_) => {
            // Out of memory: the interval has to do, and must not become a busy loop.
            std::thread::sleep(wait);
            Heard::Nothing
        }
    }
}

/// What happened does not matter: everything is looked at.
fn drain(inotify: &OwnedFd) {
    let mut buffer = [MaybeUninit::uninit(); 4_096];
    let mut events = inotify::Reader::new(inotify, &mut buffer);
    while events.next().is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NEVER: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn f2_what_happens_in_a_covered_directory_rings_and_the_end_ends_it() {
        let tree = tempfile::tempdir().unwrap();
        let at = |path: &str| tree.path().join(path);
        fs::create_dir_all(at("real/deep")).unwrap();
        std::os::unix::fs::symlink("real/deep", at("link")).unwrap();
        let rung = Arc::new(Notify::new());
        let mut bell = Bell::start(NEVER, rung.clone()).unwrap();
        assert!(bell.inotify.is_some());
        let root = Root::open(tree.path()).unwrap();
        bell.begin();
        bell.cover(&root, Path::new("link/file"));
        bell.finish();
        // The root, `real` and `real/deep`.
        assert_eq!((bell.watched.len(), bell.told), (3, false));
        fs::write(at("real/deep/file"), "x").unwrap();
        rung.notified().await;
        fs::rename(at("real"), at("elsewhere")).unwrap();
        rung.notified().await;

        // Nothing leads to the old directories any more.
        bell.begin();
        bell.cover(&root, Path::new("link/file"));
        bell.finish();
        assert_eq!(bell.watched.len(), 1);

        drop(bell);
        while Arc::strong_count(&rung) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn f2_without_inotify_the_interval_rings() {
        let rung = Arc::new(Notify::new());
        let (alive, ended) = UnixStream::pair().unwrap();
        let bell = rung.clone();
        let thread = std::thread::spawn(move || listen(None, &ended, Duration::from_millis(1), &bell));
        for _ in 0..3 {
            rung.notified().await;
        }
        drop(alive);
        thread.join().unwrap();
    }
}
