//! The process looked at, with the allocator that wipes what is freed.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    secrets_residue::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
