//! Each target, bounded: its seeds, and so many inputs that are made of them.

use std::process::Command;

use secrets_fuzz::{TARGETS, bounded, target};

#[test]
fn e1_v8_any_answer_of_a_container_is_credentials_or_an_error() {
    alone(
        "e1_v8_any_answer_of_a_container_is_credentials_or_an_error",
        "aws-container",
        30,
    );
}

#[test]
fn e1_v8_any_answer_of_an_instance_is_credentials_or_an_error() {
    alone(
        "e1_v8_any_answer_of_an_instance_is_credentials_or_an_error",
        "aws-instance",
        20,
    );
}

#[test]
fn e1_v8_any_answer_of_an_issuer_is_a_token_or_an_error() {
    bounded("azure-logins", 400);
}

#[test]
fn e1_v8_any_answer_of_sts_is_credentials_or_an_error() {
    bounded("aws-roles", 400);
}

#[test]
fn e1_v8_any_answer_to_a_login_at_vault_is_a_token_or_an_error() {
    bounded("vault-logins", 500);
}

#[test]
fn e6_v8_any_answer_of_parameter_store_is_whole_values_or_errors() {
    bounded("aws-parameters", 400);
}

#[test]
fn e6_v8_any_answer_of_secrets_manager_is_whole_values_or_errors() {
    bounded("aws-secrets", 400);
}

#[test]
fn e6_v8_any_answer_of_the_api_server_is_whole_values_or_errors() {
    bounded("k8s", 400);
}

#[test]
fn j1_j4_j5_a_field_is_what_the_reference_parser_finds() {
    bounded("fields", 20_000);
}

#[test]
fn j5_l2_a_type_is_loaded_as_serde_loads_it_or_not_at_all() {
    bounded("typed", 10_000);
}

#[test]
fn l5_any_kubeconfig_is_a_backend_or_refused() {
    bounded("kubeconfig", 300);
}

#[test]
fn l5_any_name_is_kept_or_refused() {
    bounded("names", 20_000);
}

#[test]
fn l5_any_reference_reads_back_as_it_was_written() {
    bounded("references", 20_000);
}

#[test]
fn l5_any_uri_is_a_backend_or_refused() {
    bounded("uris", 2_000);
}

#[test]
fn n2_n3_any_name_asks_for_itself_or_is_refused() {
    bounded("mappings", 400);
}

#[test]
fn n4_n5_whatever_a_file_is_called_what_is_listed_is_read() {
    bounded("files", 1_000);
}

#[test]
fn n4_n5_whatever_a_mounted_key_is_called_what_is_listed_is_read() {
    bounded("mounts", 1_000);
}

#[test]
fn n4_n5_whatever_a_variable_is_called_what_is_listed_is_read() {
    bounded("env", 5_000);
}

#[test]
fn s4_v8_any_challenge_is_met_with_a_token_for_this_vault_or_refused() {
    bounded("azure-challenges", 100);
}

#[test]
fn t3_o5_whatever_time_a_store_names_is_lived_with() {
    bounded("times", 3_000);
}

#[test]
fn v8_any_answer_of_key_vault_is_a_whole_value_or_an_error() {
    bounded("azure", 300);
}

#[test]
fn v8_any_answer_of_vault_is_a_whole_value_or_an_error() {
    bounded("vault", 400);
}

#[test]
fn w4_w5_whatever_a_watch_brings_is_lived_with() {
    bounded("k8s-watch", 300);
}

#[test]
fn every_target_is_run() {
    let run = include_str!("bounded.rs");
    for target in TARGETS {
        assert!(
            run.contains(&format!("\"{}\",", target.name)),
            "{} is not",
            target.name
        );
    }
}

/// Runs a target in a process of its own, for the sake of its environment.
fn alone(test: &str, name: &str, cases: u32) {
    const WITHIN: &str = "SECRETS_FUZZ_WITHIN";
    if std::env::var_os(WITHIN).is_some() {
        return bounded(name, cases);
    }
    let target = target(name).expect("it is in the table");
    let output = Command::new(std::env::current_exe().expect("this is a program"))
        .args(["--exact", test, "--nocapture"])
        .envs(target.environment())
        .env(WITHIN, "1")
        .output()
        .expect("it can be run again");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
