//! Keys that the kubelet binds one by one (`subPath`): such a file stays what it was when the container began.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// The files that are mounts of their own, so many directories beneath `root`.
pub(super) fn bound(root: &Path, depth: usize) -> Vec<PathBuf> {
    let (Ok(mounts), Ok(root)) = (std::fs::read("/proc/self/mountinfo"), root.canonicalize()) else {
        return Vec::new();
    };
    let mut bound = among(&mounts, &root, depth);
    bound.retain(|at| at.is_file());
    bound
}

/// The fifth word of each line is where something is mounted: <https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html>.
fn among(mounts: &[u8], root: &Path, depth: usize) -> Vec<PathBuf> {
    let lines = mounts.split(|byte| *byte == b'\n');
    let at = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let mut found: Vec<_> = at
        .map(|at| PathBuf::from(OsString::from_vec(unescaped(at))))
        .filter(|at| {
            at.strip_prefix(root)
                .is_ok_and(|below| below.components().count() == depth)
        })
        .collect();
    // One may be mounted over another.
    found.sort_unstable();
    found.dedup();
    found
}

/// White space and backslashes stand as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        let code = others.get(..3).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match code {
            Some(code) if *first == b'\\' => {
                bytes.push(code);
                rest = &others[3..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in a pod: a volume, a key by `subPath`, another with a space in its name, and what is not beneath the root.
    const MOUNTS: &str = "\
1289 1201 0:392 / / rw,relatime master:456 - overlay overlay rw,lowerdir=/a
1301 1289 0:120 / /etc/secrets/tls ro,relatime - tmpfs tmpfs rw,size=65536k
1302 1289 259:1 /var/lib/kubelet/pods/0/volumes/kubernetes.io~secret/smtp/..2026/password /etc/secrets/smtp/password ro,relatime - tmpfs tmpfs rw
1303 1289 259:1 /x /etc/secrets/smtp/a\\040key\\134 ro - tmpfs tmpfs rw
1304 1302 259:1 /y /etc/secrets/smtp/password ro - tmpfs tmpfs rw
1305 1289 259:1 /z /etc/secrets2/smtp/password ro - tmpfs tmpfs rw
1306 1289 259:1 /z /etc/hosts rw - ext4 /dev/root rw
short line
";

    #[test]
    fn f2_a_key_that_is_a_mount_of_its_own_is_found() {
        let found = |root: &str, depth| among(MOUNTS.as_bytes(), Path::new(root), depth);
        let smtp = ["/etc/secrets/smtp/a key\\", "/etc/secrets/smtp/password"].map(PathBuf::from);
        assert_eq!(found("/etc/secrets", 2), smtp);
        assert_eq!(found("/etc/secrets/smtp", 1), smtp);
        assert_eq!(found("/etc/secrets", 1), [PathBuf::from("/etc/secrets/tls")]);
        assert!(found("/etc/secrets/tls", 1).is_empty());
        assert!(found("/run", 2).is_empty());
    }

    #[test]
    fn f2_where_nothing_is_bound_nothing_is_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("smtp")).unwrap();
        std::fs::write(root.path().join("smtp/password"), "x").unwrap();
        assert!(bound(root.path(), 2).is_empty());
        assert!(bound(&root.path().join("absent"), 2).is_empty());
    }
}
