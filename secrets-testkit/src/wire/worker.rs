//! A thread with a runtime of its own.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

/// How a server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    No,
    /// Take nothing new, finish what is in hand.
    Gracefully,
    /// At once.
    Now,
}

/// Tells a server that it is to end.
#[derive(Clone, Debug)]
pub(crate) struct Stopped(watch::Receiver<Stop>);

impl Stopped {
    /// Resolves once the server is to end in this way or a more hasty one.
    pub(crate) async fn at_least(&mut self, how: Stop) {
        // An error says that the handle is gone.
        let _ = self.0.wait_for(|stop| *stop >= how).await;
    }
}

/// The thread; dropping it stops it at once.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `serve` until it ends or is told to stop at once; tasks it spawned end with it.
    pub(crate) fn start<F>(name: &str, serve: impl FnOnce(Stopped) -> F + Send + 'static) -> io::Result<Self>
    where
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(Stop::No);
        let mut stopped = Stopped(stopped);
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(stopped.clone()) => {}
                    () = stopped.at_least(Stop::Now) => {}
                }
            });
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends the thread in the way given and waits for it.
    pub(crate) fn stop(&mut self, how: Stop) {
        self.stop.send_replace(how);
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by its own thread; panicking again, perhaps while unwinding, would hide it.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop(Stop::Now);
    }
}
