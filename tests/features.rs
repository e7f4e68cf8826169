//! What a build says about the schemes it has and those it does not (law L4); meant to be run with each feature alone.

use secrets::{Error, ErrorKind, open};

fn refused(uri: &str) -> Error {
    match open(uri) {
        Ok(_) => panic!("{uri:?} was taken"),
        Err(error) => error,
    }
}

#[test]
fn l4_an_unknown_scheme_lists_the_known_ones() {
    for uri in ["postgres://host/db", "envs:", "http://127.0.0.1/"] {
        let error = refused(uri);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{uri}");
        for scheme in ["`env:`", "`file:`"] {
            assert!(error.message().contains(scheme), "{error}");
        }
    }
}

#[test]
fn l4_a_scheme_that_is_switched_off_names_its_feature() {
    for (uri, on) in [
        ("env:", cfg!(feature = "env")),
        ("file:///x", cfg!(feature = "file")),
    ] {
        match open(uri) {
            Ok(_) => assert!(on, "{uri} is switched off and was taken"),
            Err(error) => {
                assert!(!on, "{error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                let feature = format!("feature `{}`", uri.split(':').next().unwrap());
                assert!(error.message().contains(&feature), "{error}");
            }
        }
    }
}

#[cfg(all(feature = "file", not(feature = "file-watch")))]
#[test]
fn a_parameter_that_is_switched_off_names_its_feature() {
    let error = refused("file:///x?poll_interval=1h");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("feature `file-watch`"), "{error}");
}
