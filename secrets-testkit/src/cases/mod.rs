//! The cases, by subject.

mod duties;
mod errors;
mod names;
mod secrecy;
mod values;
mod versions;

use crate::case::{Case, Requirement};

/// The one list of cases: each is handed to a macro as `name LAW Requirement word module;`, where `word` is the
/// requirement as `conformance!` writes it.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    ($callback:ident $arguments:tt) => {
        $crate::$callback! {
            $arguments
            v1_bytes_come_back_identical "V1" Any any values;
            v2_absent_is_not_found "V2" Any any values;
            v2_empty_is_not_absent "V2" Empty empty values;
            v3_white_space_survives "V3" Any any values;
            v4_text_of_bytes_is_invalid_data "V4" Bytes bytes values;
            v5_unicode_is_not_normalised "V5" Any any values;
            v6_large_values_come_back_whole "V6" Any any values;
            n1_hostile_names_reach_nothing_else "N1" Any any names;
            n1_long_names_are_not_cut "N1" Any any names;
            n3_a_name_is_exact_or_refused "N3" Any any names;
            n4_list_gives_canonical_names "N4" List list names;
            n5_a_prefix_is_whole_segments "N5" List list names;
            n5_without_list_it_is_unsupported "N5" NoList no_list names;
            r1_versions_address_distinct_things "R1" Versions versions versions;
            r1_what_is_no_version_is_never_latest "R1" Versions versions versions;
            r2_metadata_states_the_version_served "R2" Versions versions versions;
            r5_without_versions_one_is_unsupported "R5" NoVersions no_versions versions;
            e5_errors_name_backend_and_secret "E5" Any any errors;
            e5_errors_show_no_value "E5" Any any errors;
            e5_faults_are_told_apart_and_show_nothing "E5" Faults faults errors;
            e6_get_many_answers_each_in_order "E6" Any any errors;
            s1_debug_shows_no_value "S1" Any any secrecy;
            s1_logs_show_no_value "S1" Any any secrecy;
            d1_check_finds_a_store_that_works "D1" Any any duties;
            d2_fault_domains_are_few_and_stable "D2" Any any duties;
            d3_reads_at_once_keep_their_values "D3" Any any duties;
            d4_a_dropped_read_leaves_the_backend_usable "D4" Any any duties;
            d5_unchanged_is_only_what_is_current "D5" Any any duties;
            d6_a_change_is_read_at_once "D6" Any any duties;
            d7_a_watch_reports_changes "D7" Watch watch duties;
            d7_without_watch_there_is_none "D7" NoWatch no_watch duties;
        }
    };
}

/// Every case, in the order of the contract. Not each runs on every backend: see [`Case::requirement`].
pub fn cases() -> Vec<Case> {
    crate::__each_case!(__list_cases())
}

#[doc(hidden)]
#[macro_export]
macro_rules! __list_cases {
    (() $($name:ident $law:literal $requirement:ident $word:ident $module:ident;)*) => {
        vec![$(Case {
            name: stringify!($name),
            law: $law,
            requirement: Requirement::$requirement,
            run: |bench| Box::pin($module::$name(bench)),
        }),*]
    };
}
