//! The process looked at, with an allocator that keeps what is freed as it was left.

#![allow(unsafe_code, reason = "an allocator has to implement an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};

/// Nothing is handed out twice, and nothing grows in its place: every block that was freed without being wiped stays to be
/// found, wherever the platform's allocator would have put the next one.
struct Hoarding;

// SAFETY: every block is the platform's and is never freed, which is allowed; `realloc` is that of the trait, which
// allocates, copies and frees.
unsafe impl GlobalAlloc for Hoarding {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Hoarding = Hoarding;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    secrets_residue::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
