#!/usr/bin/env bash
# Tests the conformance kit as an author elsewhere meets it: from a crate outside this workspace, which depends by path on
# secrets-core and secrets-testkit only and runs the kit on a backend of its own. Nothing is left behind.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
crate=$(mktemp -d)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
clean_up() {
    # Its place is new each time, and so would what is built of it pile up.
    [ ! -e "$crate/Cargo.toml" ] || cargo clean --quiet --manifest-path "$crate/Cargo.toml" --package acme-secrets || true
    rm -rf "$crate"
}
trap clean_up EXIT

mkdir "$crate/src"
# The example is such a backend, in one file.
cp "$root/secrets-testkit/examples/custom_backend.rs" "$crate/src/main.rs"
# The versions this workspace was tested with, some of which are built already.
cp "$root/Cargo.lock" "$crate/Cargo.lock"
cat >"$crate/Cargo.toml" <<TOML
[package]
name = "acme-secrets"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
async-trait = "0.1"
secrets-core = { path = "$root/secrets-core" }
tokio = { version = "1", default-features = false, features = ["rt"] }

[dev-dependencies]
secrets-testkit = { path = "$root/secrets-testkit" }
TOML

log=$crate/log
cargo test --manifest-path "$crate/Cargo.toml" | tee "$log"
# One test that ran for each law the backend can keep: a kit that makes no tests must not pass.
for test in v1_bytes_come_back_identical n5_a_prefix_is_whole_segments e6_get_many_answers_each_in_order \
    s1_logs_show_no_value without_is_what_the_backend_lacks; do
    grep -q "^test tests::$test \.\.\. ok$" "$log" || {
        echo "the test $test did not run" >&2
        exit 1
    }
done
grep -q '^test tests::r1_versions_address_distinct_things \.\.\. ignored, ' "$log" || {
    echo "what the backend lacks is not shown as ignored, with the reason" >&2
    exit 1
}
cargo run --quiet --manifest-path "$crate/Cargo.toml"
