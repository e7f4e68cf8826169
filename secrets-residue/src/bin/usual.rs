//! The process looked at, with the platform's allocator.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    secrets_residue::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
