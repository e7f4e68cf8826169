//! Drives one target of secrets-fuzz with libFuzzer: `tools/fuzz` builds and calls this.
//!
//! `FUZZ_TARGET` is the target. Where `FUZZ_PREPARE` is a folder, seeds and dictionary are written there, and that is all.

#![no_main]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, exit};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use secrets_fuzz::{TARGETS, Target, dictionary, seeds, target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fn prepare(target: &'static Target) {
    let Some(folder) = std::env::var_os("FUZZ_PREPARE") else {
        return;
    };
    let folder = Path::new(&folder);
    let corpus = folder.join("seeds");
    let _ = fs::remove_dir_all(&corpus);
    fs::create_dir_all(&corpus).expect("a folder for the seeds");
    for (index, seed) in seeds(target.name).iter().enumerate() {
        fs::write(corpus.join(index.to_string()), seed).expect("room for the seeds");
    }
    fs::write(folder.join("dictionary"), dictionary(target.name)).expect("room for the dictionary");
    exit(0);
}

fn start() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = target(&name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        exit(64);
    };
    prepare(target);
    if target
        .variable
        .is_some_and(|variable| std::env::var_os(variable).is_none())
    {
        // An environment can only be given to a new process.
        let program = std::env::current_exe().expect("this is a program");
        let arguments = std::env::args_os().skip(1);
        let error = Command::new(program)
            .args(arguments)
            .envs(target.environment())
            .exec();
        panic!("it could not be begun anew: {error}");
    }
    TARGET.set(target).expect("this is called once");
}

fuzz_target!(init: start(), |input: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(input);
    }
});
