//! The macro that makes tests of the cases.

use crate::case::Requirement;
use crate::{Failure, Harness};

/// Tests a backend against the contract: one `#[test]` for each case, named after its law.
///
/// The first argument is the [`Harness`]; it is evaluated once for each case. `without` lists what the backend does not
/// have, out of `bytes`, `empty`, `faults`, `list`, `versions` and `watch`: the cases that need it are ignored, visibly
/// and with the reason, and those that prove that it is refused take their place. One more test,
/// `without_is_what_the_backend_lacks`, holds that list against the backend's capabilities and the harness's facts.
///
/// Use it once per module.
///
/// ```
/// mod memory {
///     use secrets_testkit::MemoryHarness;
///
///     secrets_testkit::conformance!(MemoryHarness::default());
/// }
///
/// mod memory_without_versions {
///     use secrets_testkit::{MemoryBackend, MemoryHarness};
///
///     secrets_testkit::conformance!(
///         MemoryHarness::of(MemoryBackend::new().with_versions(false).with_list(false)),
///         without = [versions, list],
///     );
/// }
/// ```
///
/// A word that is none of those does not compile:
///
/// ```compile_fail
/// use secrets_testkit::MemoryHarness;
///
/// secrets_testkit::conformance!(MemoryHarness::default(), without = [lists]);
/// ```
#[macro_export]
macro_rules! conformance {
    ($harness:expr $(,)?) => {
        $crate::conformance!($harness, without = []);
    };
    ($harness:expr, without = [$($word:ident),* $(,)?] $(,)?) => {
        $($crate::__known_word!($word);)*

        #[test]
        fn without_is_what_the_backend_lacks() {
            $crate::__check_without(&$harness, &[$(stringify!($word)),*]);
        }

        $crate::__each_case!(__case_tests (($harness) [$($word)*]));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __known_word {
    (bytes) => {};
    (empty) => {};
    (faults) => {};
    (list) => {};
    (versions) => {};
    (watch) => {};
    ($word:ident) => {
        compile_error!(concat!(
            "`without` knows no `",
            stringify!($word),
            "`; it takes bytes, empty, faults, list, versions and watch"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __case_tests {
    (($harness:tt $without:tt) $($name:ident $law:literal $requirement:ident $word:ident $module:ident;)*) => {
        $($crate::__case_test!($word $without $name $harness);)*
    };
}

/// `word [what is left of without] name (harness)`: a test, ignored if the word is in the list. A `no_` word makes one only if
/// its opposite is in the list.
#[doc(hidden)]
#[macro_export]
macro_rules! __case_test {
    (bytes [bytes $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the store takes text only: `without = [bytes]`", $name $harness);
    };
    (empty [empty $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the store has no empty values: `without = [empty]`", $name $harness);
    };
    (faults [faults $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the harness injects no faults: `without = [faults]`", $name $harness);
    };
    (list [list $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the backend does not list: `without = [list]`", $name $harness);
    };
    (versions [versions $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the backend has no versions: `without = [versions]`", $name $harness);
    };
    (watch [watch $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@ignored "the backend does not watch: `without = [watch]`", $name $harness);
    };
    (no_list [list $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@run $name $harness);
    };
    (no_versions [versions $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@run $name $harness);
    };
    (no_watch [watch $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!(@run $name $harness);
    };
    (no_list [] $name:ident $harness:tt) => {};
    (no_versions [] $name:ident $harness:tt) => {};
    (no_watch [] $name:ident $harness:tt) => {};
    ($word:ident [$other:ident $($rest:ident)*] $name:ident $harness:tt) => {
        $crate::__case_test!($word [$($rest)*] $name $harness);
    };
    ($word:ident [] $name:ident $harness:tt) => {
        $crate::__case_test!(@run $name $harness);
    };
    (@run $name:ident ($harness:expr)) => {
        #[test]
        fn $name() {
            $crate::__run(stringify!($name), &$harness);
        }
    };
    (@ignored $reason:literal, $name:ident ($harness:expr)) => {
        #[test]
        #[ignore = $reason]
        fn $name() {
            $crate::__run(stringify!($name), &$harness);
        }
    };
}

/// Runs one case, and panics with its failure.
#[doc(hidden)]
pub fn __run(name: &str, harness: &dyn Harness) {
    let cases = crate::cases();
    let case = cases.iter().find(|case| case.name() == name);
    let case = case.expect("the tests are made from the list of cases");
    if let Err(failure) = case.run_blocking(harness) {
        panic!("{failure}");
    }
}

/// Panics when `without` is not what the backend lacks.
#[doc(hidden)]
pub fn __check_without(harness: &dyn Harness, without: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    if let Err(failure) = runtime.block_on(check_without(harness, without)) {
        panic!("{}", failure.reason());
    }
}

/// Whether `without` names what the backend lacks, and nothing else.
pub(crate) async fn check_without(harness: &dyn Harness, without: &[&str]) -> Result<(), Failure> {
    let backend = harness.backend().await;
    let backend =
        backend.map_err(|error| Failure::new(format!("the harness could not make the backend: {error}")))?;
    let (capabilities, facts) = (backend.capabilities(), harness.facts());
    let mut wrong = Vec::new();
    for (word, requirement) in [
        ("bytes", Requirement::Bytes),
        ("empty", Requirement::Empty),
        ("faults", Requirement::Faults),
        ("list", Requirement::List),
        ("versions", Requirement::Versions),
        ("watch", Requirement::Watch),
    ] {
        match (
            requirement.is_met_by(capabilities, &facts),
            without.contains(&word),
        ) {
            (true, true) => wrong.push(format!(
                "`{word}` is in `without`, and the backend has it: remove it"
            )),
            (false, false) => wrong.push(format!("{}: add it", requirement.reason())),
            _ => {}
        }
    }
    if capabilities.versions && facts.versions.is_none() {
        wrong.push("the backend has versions: say in `Facts::with_versions` how they are addressed".into());
    }
    let ended = backend.shutdown().await;
    ended.map_err(|error| Failure::new(format!("`shutdown` failed: {error}")))?;
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(wrong.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryBackend, MemoryHarness};

    #[test]
    fn without_has_to_be_what_the_backend_lacks() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = MemoryHarness::default();
        let silent = MemoryHarness::of(MemoryBackend::new().with_list(false).with_watch(false));
        let check = |harness: &MemoryHarness, without: &[&str]| {
            let checked = runtime.block_on(check_without(harness, without));
            checked.map_err(|failure| failure.reason().to_owned())
        };
        assert_eq!(check(&whole, &[]), Ok(()));
        assert_eq!(check(&silent, &["list", "watch"]), Ok(()));
        assert_eq!(
            check(&whole, &["list"]).unwrap_err(),
            "`list` is in `without`, and the backend has it: remove it"
        );
        assert_eq!(
            check(&silent, &["watch"]).unwrap_err(),
            "the backend does not list: `without = [list]`: add it"
        );
    }
}
