#![cfg(unix)]

use std::fs::Metadata;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;

/// Everybody may read, everybody may write.
const OTHERS: u32 = 0o006;
const OTHERS_SEARCH: u32 = 0o001;

/// See [`OpenFile::exposed`](super::OpenFile::exposed).
pub(super) fn exposed(root: BorrowedFd<'_>, file: BorrowedFd<'_>, metadata: &Metadata) -> Option<u32> {
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS == 0 || others_cannot_enter(root) || mount(root, file, metadata).is_managed() {
        return None;
    }
    Some(mode)
}

#[allow(clippy::useless_conversion, reason = "modes have another type on each system")]
fn others_cannot_enter(root: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(root).is_ok_and(|stat| u32::from(stat.st_mode) & OTHERS_SEARCH == 0)
}

/// What is known about the mount a file lies on.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts")]
struct Mount {
    /// Of this very file.
    of_the_file: bool,
    /// On a memory file system mounted at the root or beneath it.
    in_memory: bool,
    read_only: bool,
    /// The one that also holds `/`.
    holds_slash: bool,
}

impl Mount {
    /// Somebody else presents the file here, and chose its mode.
    fn is_managed(self) -> bool {
        self.of_the_file || self.in_memory || (self.read_only && !self.holds_slash)
    }
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn mount(root: BorrowedFd<'_>, file: BorrowedFd<'_>, metadata: &Metadata) -> Mount {
    use rustix::fs::{AtFlags, StatVfsMountFlags, StatxAttributes, StatxFlags, fstatfs, fstatvfs, statx};

    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    const TMPFS_MAGIC: i64 = 0x0102_1994;

    // Whether this is where something is mounted; kernels before 5.8 do not tell.
    let is_mount = |fd: BorrowedFd<'_>| {
        let found = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::empty()).ok()?;
        let known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        known.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    };
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "its type differs by architecture"
    )]
    let in_memory = fstatfs(file)
        .is_ok_and(|found| matches!(found.f_type as i64 & 0xffff_ffff, TMPFS_MAGIC | RAMFS_MAGIC));
    #[allow(clippy::unnecessary_cast, reason = "its type differs by architecture")]
    let beneath_root = || rustix::fs::fstat(root).is_ok_and(|stat| stat.st_dev as u64 != metadata.dev());
    Mount {
        of_the_file: is_mount(file) == Some(true),
        in_memory: in_memory && (is_mount(root) != Some(false) || beneath_root()),
        read_only: fstatvfs(file).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY)),
        holds_slash: std::fs::metadata("/").is_ok_and(|slash| slash.dev() == metadata.dev()),
    }
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn mount(_root: BorrowedFd<'_>, _file: BorrowedFd<'_>, _metadata: &Metadata) -> Mount {
    Mount::default()
}

#[cfg(test)]
mod tests {
    use super::Mount;

    #[test]
    fn f6_mounts_that_somebody_else_makes_are_managed() {
        let plain = Mount::default();
        assert!(!plain.is_managed());
        assert!(
            Mount {
                of_the_file: true,
                ..plain
            }
            .is_managed()
        );
        assert!(
            Mount {
                in_memory: true,
                ..plain
            }
            .is_managed()
        );
        assert!(
            Mount {
                read_only: true,
                ..plain
            }
            .is_managed()
        );
        // A read-only root file system, with the secret baked into the image.
        assert!(
            !Mount {
                read_only: true,
                holds_slash: true,
                ..plain
            }
            .is_managed()
        );
        assert!(
            !Mount {
                holds_slash: true,
                ..plain
            }
            .is_managed()
        );
    }
}
