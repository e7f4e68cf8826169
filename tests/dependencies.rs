//! What an application compiles along with the facade.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The most external crates that the default features may bring, build dependencies and macros included.
const MOST: usize = 36;

/// A crate is in this list when its whole purpose is to talk to somebody else.
const NETWORK: &[&str] = &[
    "async-std",
    "aws-config",
    "azure_core",
    "curl",
    "h2",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "isahc",
    "kube",
    "mio",
    "quinn",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio-rustls",
    "tonic",
    "tower",
    "ureq",
    "url",
    "vaultrs",
    "webpki-roots",
];

/// A second set of TLS and cryptography. The first is rustls with aws-lc-rs.
const FOREIGN: &[&str] = &["native-tls", "openssl", "openssl-sys", "ring"];

/// Features that talk to a store over the network, and the crates that only they may bring.
const SDKS: &[(&str, &[&str])] = &[
    ("aws", &["aws-runtime", "aws-sdk-secretsmanager"]),
    ("aws-ssm", &["aws-runtime", "aws-sdk-ssm"]),
    ("azure", &["azure_core", "azure_security_keyvault_secrets"]),
    ("k8s-api", &["kube"]),
    ("k8s-openapi-earliest", &["kube"]),
    ("vault", &["vaultrs"]),
];

/// Features that bring an SDK, and the most external crates that they may need: normal dependencies, procedural macros and what
/// these are made of included.
const MOST_OF_SDK: &[(&str, usize)] = &[("aws", 125), ("aws-ssm", 125), ("azure", 140)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates, with versions, of what `cargo tree` prints with these arguments.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--locked",
            "--offline",
        ])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    tree.lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

/// The external crates that the facade brings with these arguments for cargo.
fn external(arguments: &[&str]) -> BTreeSet<String> {
    let mut crates = tree(&[&["--package", "secrets", "--edges", "normal,build"], arguments].concat());
    assert!(
        crates.contains(concat!("secrets-core v", env!("CARGO_PKG_VERSION"))),
        "{crates:?}"
    );
    crates.retain(|name| !name.starts_with("secrets"));
    crates
}

fn named<'a>(crates: &'a BTreeSet<String>, names: &[&str]) -> Vec<&'a str> {
    let name = |package: &'a String| package.split(' ').next().unwrap_or_default();
    crates
        .iter()
        .map(name)
        .filter(|name| names.contains(name))
        .collect()
}

#[test]
fn the_default_features_bring_at_most_36_crates_and_no_network() {
    let crates = external(&[]);
    let list = crates.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    assert!(crates.len() <= MOST, "{} crates: {list}", crates.len());
    assert_eq!(named(&crates, NETWORK), [""; 0], "{list}");
}

/// The features of the facade, without those that only stand for others.
fn features() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--locked",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let facade = packages
        .iter()
        .find(|package| package["name"] == "secrets")
        .unwrap();
    let features = facade["features"].as_object().unwrap().keys();
    features
        .filter(|feature| !["default", "full"].contains(&feature.as_str()))
        .cloned()
        .collect()
}

#[test]
fn each_feature_brings_its_own_sdk_and_no_other() {
    let features = features();
    assert!(features.contains(&"env".to_owned()), "{features:?}");
    for feature in &features {
        let crates = external(&["--no-default-features", "--features", feature]);
        let own = SDKS.iter().find(|(name, _)| name == feature).map(|(_, sdk)| *sdk);
        if let Some(own) = own {
            assert_ne!(named(&crates, own), [""; 0], "{feature} brings none of {own:?}");
        } else {
            assert_eq!(named(&crates, NETWORK), [""; 0], "{feature}");
        }
        let foreign = SDKS.iter().flat_map(|(_, sdk)| *sdk).copied();
        let foreign: Vec<_> = foreign
            .filter(|name| !own.unwrap_or_default().contains(name))
            .collect();
        assert_eq!(named(&crates, &foreign), [""; 0], "{feature}");
    }
}

/// The lock file says less: it has `ring` because a feature of rustls-webpki would pass something on to it, were it there.
#[test]
fn the_workspace_has_one_set_of_tls_and_cryptography() {
    let crates = tree(&["--workspace", "--all-features", "--edges", "normal,build,dev"]);
    assert!(
        crates.contains(concat!("secrets-testkit v", env!("CARGO_PKG_VERSION"))),
        "{crates:?}"
    );
    assert_eq!(named(&crates, FOREIGN), [""; 0]);
}

#[test]
fn an_sdk_brings_one_stack_and_not_too_many_crates() {
    for (feature, most) in MOST_OF_SDK {
        let mut crates = tree(&[
            "--package",
            "secrets",
            "--edges",
            "normal",
            "--no-default-features",
            "--features",
            feature,
        ]);
        crates.retain(|name| !name.starts_with("secrets"));
        let list = crates.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        assert!(
            crates.len() <= *most,
            "{feature}: {} crates: {list}",
            crates.len()
        );
        assert_eq!(
            named(&crates, &["hyper", "rustls"]),
            ["hyper", "rustls"],
            "{feature}: one of each"
        );
        assert_eq!(named(&crates, FOREIGN), [""; 0], "{feature}");
    }
}

#[test]
fn all_features_together_bring_one_stack() {
    let crates = external(&["--all-features"]);
    assert_eq!(
        named(&crates, &["aws-lc-rs", "hyper", "rustls"]),
        ["aws-lc-rs", "hyper", "rustls"],
        "one of each"
    );
    assert_eq!(named(&crates, FOREIGN), [""; 0]);
}
