//! Says where residue is not measured.

#![cfg(not(target_os = "linux"))]

#[test]
#[ignore = "only Linux lets a process read its own memory as a file"]
fn residue_is_measured_elsewhere() {}
