//! Typed loading: `load_as` and `load_all`.

#[cfg(feature = "serde")]
mod document;
#[cfg(feature = "serde")]
mod fields;
#[cfg(feature = "serde")]
mod missing;
#[cfg(feature = "serde")]
mod probing;
#[cfg(feature = "serde")]
mod support;
#[cfg(feature = "serde")]
mod unsupported;
#[cfg(feature = "serde")]
mod values;

#[cfg(not(feature = "serde"))]
#[test]
#[ignore = "typed loading needs the feature `serde`"]
fn typed_loading() {
    panic!("run these tests with `--features serde`");
}
