//! T14: what a hit costs, in things that can be counted. Times are in the benchmarks.

#![allow(
    unsafe_code,
    reason = "an allocator that counts has to implement an unsafe trait"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::block_on;
use secrets_core::SecretManager;
use secrets_testkit::{MemoryBackend, ScriptedBackend};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// Polls once: a hit is ready at once.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

#[test]
fn t14_a_hit_allocates_nothing() {
    let backend = MemoryBackend::new();
    backend.store().put("db", r#"{"user":"u"}"#);
    let secrets = SecretManager::builder(backend).build().unwrap();
    for reference in ["db", "db#user"] {
        block_on(secrets.get(reference)).unwrap();
        assert!(
            allocations(|| drop(now(secrets.get("none")))) > 0,
            "the counter counts"
        );
        let count = allocations(|| {
            for _ in 0..1_000 {
                now(secrets.get(reference)).unwrap();
            }
        });
        assert_eq!(count, 0, "{reference}");
    }
}

#[test]
fn t14_reading_a_handle_allocates_nothing() {
    let backend = ScriptedBackend::new();
    backend.on("a", [secrets_testkit::Answer::value("v")]);
    let secrets = SecretManager::builder(backend).build().unwrap();
    block_on(async {
        let handle = secrets.handle("a").await.unwrap();
        drop(handle.current());
        let count = allocations(|| {
            for _ in 0..1_000 {
                assert_eq!(handle.current().unwrap().expose_secret(), b"v");
            }
        });
        assert_eq!(count, 0);
    });
}

#[test]
fn t14_the_future_of_a_hit_is_small() {
    let secrets = SecretManager::builder(MemoryBackend::new()).build().unwrap();
    let reference = "smtp/database/password";
    assert!(
        size_of_val(&secrets.get(reference)) <= 128,
        "{} bytes",
        size_of_val(&secrets.get(reference))
    );
}
