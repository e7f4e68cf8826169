//! Each law holds with `openat2` and without.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat, renameat_with};
use tempfile::TempDir;

use super::{Content, EntryKind, Problem, Root};

fn both(path: impl AsRef<Path>) -> [Root; 2] {
    let path = path.as_ref();
    [Root::open(path).unwrap(), Root::open(path).unwrap().walking()]
}

fn read(root: &Root, path: impl AsRef<Path>) -> Result<Vec<u8>, Problem> {
    root.read(path, 100)
        .map(|content: Content| content.bytes().to_vec())
}

#[test]
fn f3_links_inside_are_followed_and_no_others() {
    let outer = TempDir::new().unwrap();
    let at = |path: &str| outer.path().join(path);
    fs::create_dir_all(at("root/a/b")).unwrap();
    fs::write(at("outside"), "outside").unwrap();
    fs::write(at("root/file"), "inside").unwrap();
    for (link, target) in [
        ("root/direct", "file"),
        ("root/a/up", "../file"),
        ("root/a/b/up", "../../file"),
        ("root/a/round", "b/../../a/./up"),
        ("root/chain", "a/round"),
        ("root/here", "."),
        ("root/a/out", "../../outside"),
        ("root/far", "../root/file"),
        ("root/loop", "loop"),
        ("root/dangling", "nowhere"),
        ("root/slash", "file/"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    symlink(at("root/file"), at("root/absolute")).unwrap();
    for root in both(at("root")) {
        for inside in [
            "file",
            "direct",
            "a/up",
            "a/b/up",
            "a/round",
            "chain",
            "here/here/a/up",
            "a/../file",
            "./file",
        ] {
            assert_eq!(
                read(&root, inside).as_deref(),
                Ok(b"inside".as_slice()),
                "{inside}"
            );
            assert_eq!(root.kind(inside), Ok(EntryKind::File), "{inside}");
        }
        for (path, problem) in [
            ("a/out", Problem::Escapes),
            ("far", Problem::Escapes),
            ("absolute", Problem::Escapes),
            ("../outside", Problem::Escapes),
            ("a/../../outside", Problem::Escapes),
            ("/etc/hostname", Problem::Escapes),
            ("loop", Problem::TooManyLinks),
            ("dangling", Problem::Missing),
            ("slash", Problem::NotADirectory),
            ("file/x", Problem::NotADirectory),
            ("a", Problem::Directory),
            ("", Problem::Directory),
        ] {
            assert_eq!(read(&root, path), Err(problem), "{path}");
        }
        // A directory opened beneath is a root of its own.
        let a = root.open_dir("a").unwrap();
        assert_eq!(read(&a, "up"), Err(Problem::Escapes));
        assert_eq!(root.open_dir("file").unwrap_err(), Problem::NotADirectory);
    }
}

#[test]
fn f3_no_race_lets_a_link_lead_out() {
    const ENOUGH: usize = 200;

    let outer = TempDir::new().unwrap();
    let at = |path: &str| outer.path().join(path);
    fs::create_dir_all(at("outside")).unwrap();
    fs::create_dir_all(at("root/door")).unwrap();
    fs::write(at("outside/secret"), "outside").unwrap();
    fs::write(at("root/door/secret"), "inside").unwrap();
    symlink("../outside", at("root/trap")).unwrap();
    for root in both(at("root")) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    renameat_with(CWD, at("root/door"), CWD, at("root/trap"), RenameFlags::EXCHANGE).unwrap();
                }
            });
            let (mut inside, mut refused) = (0, 0);
            for _ in 0..5_000_000 {
                match read(&root, "door/secret") {
                    Ok(content) if content == b"inside" => inside += 1,
                    Err(Problem::Escapes) => refused += 1,
                    other => {
                        done.store(true, Ordering::Relaxed);
                        panic!("neither inside nor refused: {other:?}");
                    }
                }
                if inside >= ENOUGH && refused >= ENOUGH {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(
                inside >= ENOUGH && refused >= ENOUGH,
                "{inside} inside, {refused} refused"
            );
        });
    }
}

/// The narrowest race there is, won each time.
#[test]
fn f3_what_becomes_a_link_after_it_was_looked_at_is_not_followed_blindly() {
    let outer = TempDir::new().unwrap();
    let path = outer.path().to_owned();
    let at = move |relative: &str| path.join(relative);
    fs::create_dir_all(at("root/door")).unwrap();
    fs::create_dir_all(at("root/inside")).unwrap();
    fs::create_dir_all(at("outside")).unwrap();
    fs::write(at("outside/file"), "outside").unwrap();
    fs::write(at("root/inside/file"), "inside").unwrap();
    let root = Root::open(at("root")).unwrap().walking();
    let becomes = |entry: &'static str, target: &'static str| {
        let at = at.clone();
        super::unix::between::set(move || {
            fs::rename(at("root").join(entry), at("was")).unwrap();
            symlink(target, at("root").join(entry)).unwrap();
        });
    };
    let reset = || {
        let _ = fs::remove_file(at("root/door")).or_else(|_| fs::remove_dir_all(at("root/door")));
        let _ = fs::remove_file(at("was")).or_else(|_| fs::remove_dir_all(at("was")));
    };
    for (target, expected) in [
        ("../outside", Err(Problem::Escapes)),
        ("inside", Ok(b"inside".to_vec())),
    ] {
        reset();
        fs::create_dir(at("root/door")).unwrap();
        fs::write(at("root/door/file"), "before").unwrap();
        becomes("door", target);
        let way = read(&root, "door/file");
        assert_eq!(way, expected, "a directory on the way to {target}");
        reset();
        fs::create_dir(at("root/door")).unwrap();
        becomes("door", target);
        let opened = root.open_dir("door").and_then(|dir| read(&dir, "file"));
        assert_eq!(opened, expected, "a directory, now {target}");
    }
    for (target, expected) in [
        ("../outside/file", Err(Problem::Escapes)),
        ("inside/file", Ok(b"inside".to_vec())),
    ] {
        reset();
        fs::write(at("root/door"), "before").unwrap();
        becomes("door", target);
        assert_eq!(read(&root, "door"), expected, "a file, now {target}");
        reset();
        fs::write(at("root/door"), "before").unwrap();
        becomes("door", target);
        assert_eq!(
            root.kind("door"),
            expected.map(|_| EntryKind::File),
            "the kind of {target}"
        );
    }
}

#[test]
fn f1_all_keys_read_through_one_opened_directory_are_of_one_version() {
    let volume = TempDir::new().unwrap();
    let at = |path: &str| volume.path().join(path);
    for version in ["..1", "..2"] {
        fs::create_dir(at(version)).unwrap();
        for key in ["user", "password"] {
            fs::write(at(version).join(key), version).unwrap();
        }
    }
    symlink("..1", at("..data")).unwrap();
    for root in both(volume.path()) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for version in ["..2", "..1"].into_iter().cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    symlink(version, at("..new")).unwrap();
                    renameat(CWD, at("..new"), CWD, at("..data")).unwrap();
                }
            });
            let mut seen = std::collections::BTreeSet::new();
            for round in 0..1_000_000 {
                let data = root.open_dir("..data").unwrap();
                let files = data.files("", false).unwrap();
                assert_eq!(files.len(), 2);
                let versions: Vec<_> = files.iter().map(|file| read(&data, file).unwrap()).collect();
                if versions[0] != versions[1] {
                    done.store(true, Ordering::Relaxed);
                    panic!("torn: {versions:?}");
                }
                seen.insert(versions[0].clone());
                if round > 500 && seen.len() == 2 {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert_eq!(seen.len(), 2);
        });
    }
}

#[test]
fn f4_what_is_no_file_is_refused_without_waiting() {
    let tree = TempDir::new().unwrap();
    let at = |path: &str| tree.path().join(path);
    rustix::fs::mkfifoat(CWD, at("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    for root in both(tree.path()) {
        assert_eq!(read(&root, "fifo"), Err(Problem::NotAFile));
        assert_eq!(read(&root, "socket"), Err(Problem::NotAFile));
        assert_eq!(read(&root, "directory"), Err(Problem::Directory));
        assert_eq!(root.kind("fifo"), Ok(EntryKind::Other));
        assert!(root.files("", true).unwrap().is_empty());
    }
    for devices in both("/dev") {
        assert_eq!(read(&devices, "null"), Err(Problem::NotAFile));
        assert_eq!(read(&devices, "zero"), Err(Problem::NotAFile));
    }
}

#[test]
fn listings_follow_links_to_directories_and_end() {
    let tree = TempDir::new().unwrap();
    let at = |path: &str| tree.path().join(path);
    fs::create_dir_all(at("..data/smtp")).unwrap();
    fs::create_dir_all(at(".git")).unwrap();
    fs::write(at("..data/smtp/password"), "").unwrap();
    fs::write(at("..data/key"), "").unwrap();
    fs::write(at(".git/config"), "").unwrap();
    for (link, target) in [
        ("smtp", "..data/smtp"),
        ("key", "..data/key"),
        ("..data/smtp/back", "../.."),
        ("..data/smtp/self", "."),
        ("dangling", "nowhere"),
        ("out", ".."),
    ] {
        symlink(target, at(link)).unwrap();
    }
    for root in both(tree.path()) {
        let mut files = root.files("", true).unwrap();
        files.sort();
        assert_eq!(files, ["key", "smtp/password"].map(PathBuf::from));
        assert_eq!(root.files("smtp", true).unwrap(), [Path::new("smtp/password")]);
        assert_eq!(root.files("", false).unwrap(), [Path::new("key")]);
        assert!(root.files("smtp/self", true).unwrap().is_empty());
        assert!(root.files("smtp/back/smtp", true).unwrap().is_empty());
        assert_eq!(root.files("nowhere", true), Err(Problem::Missing));
        assert_eq!(root.files("key", true), Err(Problem::NotADirectory));
        let mut entries = root.entries("").unwrap();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.to_str().unwrap(), entry.kind))
            .collect();
        assert_eq!(
            found,
            [
                ("..data", EntryKind::Directory),
                (".git", EntryKind::Directory),
                ("dangling", EntryKind::Other),
                ("key", EntryKind::File),
                ("out", EntryKind::Other),
                ("smtp", EntryKind::Directory),
            ]
        );
    }
}

#[test]
fn a_root_may_be_reached_by_a_link_and_must_be_a_directory() {
    let tree = TempDir::new().unwrap();
    let at = |path: &str| tree.path().join(path);
    fs::create_dir(at("real")).unwrap();
    fs::write(at("real/file"), "x").unwrap();
    symlink(at("real"), at("link")).unwrap();
    for root in both(at("link")) {
        assert_eq!(read(&root, "file").as_deref(), Ok(b"x".as_slice()));
    }
    assert_eq!(Root::open(at("absent")).unwrap_err(), Problem::Missing);
    assert_eq!(Root::open(at("real/file")).unwrap_err(), Problem::NotADirectory);
}

#[test]
fn s1_what_was_read_is_not_in_debug() {
    let tree = TempDir::new().unwrap();
    fs::write(tree.path().join("file"), "canary-5e1f").unwrap();
    for root in both(tree.path()) {
        let content = root.read("file", 100).unwrap();
        assert_eq!(content.bytes(), b"canary-5e1f");
        let bytes = format!("{:?}", content.bytes());
        let debug = format!("{content:?} {root:?} {:?}", root.open_file("file").unwrap());
        assert!(!debug.contains("canary") && !debug.contains(&bytes), "{debug}");
    }
}

#[test]
fn f6_who_else_can_read_a_file_in_a_plain_directory() {
    let tree = TempDir::new().unwrap();
    let at = |path: &str| tree.path().join(path);
    let chmod = |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    fs::write(at("file"), "").unwrap();
    for (root_mode, mode, exposed) in [
        (0o755, 0o600, None),
        (0o755, 0o640, None),
        (0o755, 0o644, Some(0o644)),
        (0o755, 0o602, Some(0o602)),
        (0o711, 0o666, Some(0o666)),
        (0o700, 0o666, None),
        (0o750, 0o644, None),
    ] {
        chmod(at("file"), mode);
        chmod(at(""), root_mode);
        for root in both(tree.path()) {
            assert_eq!(
                root.open_file("file").unwrap().exposed(),
                exposed,
                "{root_mode:o} {mode:o}"
            );
        }
    }
}

/// What a tree is made of: where, and what.
#[derive(Clone, Debug)]
enum Node {
    Directory,
    File,
    Link(String),
}

fn node() -> impl Strategy<Value = Node> {
    let link = "(/|[.]{1,2}/|[a-c]/){0,3}([a-c]|[.]{1,2})/?".prop_map(Node::Link);
    prop_oneof![1 => Just(Node::Directory), 1 => Just(Node::File), 2 => link]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn f3_walking_finds_what_the_kernel_finds(
        nodes in prop::collection::vec(("[a-c](/[a-c]){0,2}", node()), 1..14),
        paths in prop::collection::vec("([a-c]|[.]{1,2})(/([a-c]|[.]{1,2})){0,4}/?", 20),
    ) {
        let tree = TempDir::new().unwrap();
        for (path, node) in &nodes {
            let path = tree.path().join(path);
            // Whatever cannot be made, beneath a file or a dangling link, is left out.
            let _ = match node {
                Node::Directory => fs::create_dir_all(path),
                Node::File => fs::File::create_new(&path).and_then(|_| fs::write(&path, path.as_os_str().as_encoded_bytes())),
                Node::Link(target) => symlink(target, path),
            };
        }
        let [kernel, walking] = both(tree.path());
        for path in &paths {
            prop_assert_eq!(read(&kernel, path), read(&walking, path), "read {}", path);
            prop_assert_eq!(kernel.kind(path), walking.kind(path), "kind {}", path);
            let opened = |root: &Root| root.open_dir(path).map(|dir| dir.kind(".").unwrap());
            prop_assert_eq!(opened(&kernel), opened(&walking), "open {}", path);
        }
        let listed = |root: &Root| {
            let mut files = root.files("", true).unwrap();
            files.sort();
            files
        };
        let files = listed(&kernel);
        prop_assert_eq!(&files, &listed(&walking));
        for file in &files {
            prop_assert!(read(&kernel, file).is_ok());
        }
        for below in ["a", "b", "c/a"] {
            if kernel.kind(below) == Ok(EntryKind::Directory) {
                let mut found = kernel.files(below, true).unwrap();
                found.sort();
                let expected: Vec<_> = files.iter().filter(|file| file.starts_with(below)).cloned().collect();
                prop_assert_eq!(found, expected, "below {}", below);
            }
        }
    }
}

#[test]
fn f1_a_link_is_seen_to_lead_elsewhere_after_the_swap() {
    let outer = TempDir::new().unwrap();
    let at = |path: &str| outer.path().join(path);
    fs::create_dir_all(at("..1")).unwrap();
    fs::create_dir_all(at("..2")).unwrap();
    symlink("..1", at("..data")).unwrap();
    for volume in both(outer.path()) {
        let data = volume.open_dir("..data").unwrap();
        assert_eq!(volume.leads_to("..data", &data), Ok(true));
        assert_eq!(volume.leads_to("..2", &data), Ok(false));
        assert_eq!(volume.leads_to("absent", &data), Err(Problem::Missing));
    }
    for volume in both(outer.path()) {
        let data = volume.open_dir("..data").unwrap();
        symlink("..2", at("new")).unwrap();
        fs::rename(at("new"), at("..data")).unwrap();
        fs::remove_dir_all(at("..1")).unwrap();
        // A new directory in the place of the deleted one is another one.
        fs::create_dir(at("..1")).unwrap();
        assert_eq!(volume.leads_to("..data", &data), Ok(false));
        assert_eq!(volume.leads_to("..1", &data), Ok(false));
        fs::remove_file(at("..data")).unwrap();
        symlink("..1", at("..data")).unwrap();
    }
}
