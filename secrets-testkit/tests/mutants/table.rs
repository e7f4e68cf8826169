//! The mutants: what each breaks, which law that is, and every case that fails on it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use secrets_core::{
    BackendEvent, BackendEvents, Cause, Error, ErrorKind, Metadata, Result, Secret, SecretBackend,
    SecretName, WatchedNames,
};
use secrets_testkit::{MemoryBackend, MemoryHarness};

use crate::CREDENTIAL;
use crate::broken::Defect;

pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) law: &'static str,
    pub(crate) defect: Defect,
    pub(crate) harness: fn(MemoryHarness) -> MemoryHarness,
    pub(crate) fails: &'static [&'static str],
}

const fn mutant(
    name: &'static str,
    law: &'static str,
    defect: Defect,
    fails: &'static [&'static str],
) -> Mutant {
    Mutant {
        name,
        law,
        defect,
        harness: |harness| harness,
        fails,
    }
}

impl Mutant {
    const fn over(mut self, harness: fn(MemoryHarness) -> MemoryHarness) -> Self {
        self.harness = harness;
        self
    }
}

pub(crate) const MUTANTS: &[Mutant] = &[
    // Values.
    mutant(
        "cuts at NUL",
        "V1",
        Defect::Value(|value| Some(value.split(|&byte| byte == 0).next().unwrap_or_default().to_vec())),
        &["v1_bytes_come_back_identical"],
    ),
    mutant(
        "reads numbers",
        "V1",
        Defect::Value(|value| {
            let number = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok());
            Some(number.map_or(value.to_vec(), |number| number.to_string().into_bytes()))
        }),
        &["v1_bytes_come_back_identical"],
    ),
    mutant(
        "strips quotes",
        "V1",
        Defect::Value(|value| Some(value.strip_prefix(b"\"").unwrap_or(value).to_vec())),
        &["v1_bytes_come_back_identical"],
    ),
    mutant(
        "absent is empty",
        "V2",
        Defect::Error(|error, _, _| {
            if error.kind() == ErrorKind::NotFound {
                return Ok(Secret::copy_from(b"").into());
            }
            Err(error)
        }),
        &[
            "d4_a_dropped_read_leaves_the_backend_usable",
            "d5_unchanged_is_only_what_is_current",
            "d6_a_change_is_read_at_once",
            "e5_errors_name_backend_and_secret",
            "e5_errors_show_no_value",
            "e6_get_many_answers_each_in_order",
            "n1_hostile_names_reach_nothing_else",
            "n1_long_names_are_not_cut",
            "n3_a_name_is_exact_or_refused",
            "n4_list_gives_canonical_names",
            "r1_what_is_no_version_is_never_latest",
            "v2_absent_is_not_found",
            "d7_a_watch_reports_changes",
        ],
    ),
    mutant(
        "empty is absent",
        "V2",
        Defect::Value(|value| (!value.is_empty()).then(|| value.to_vec())),
        &["v2_empty_is_not_absent"],
    ),
    mutant(
        "a parent is malformed",
        "V2",
        Defect::Error(|error, request, names| {
            if names.iter().any(|name| name.strip_prefix(request.name).is_some()) {
                return Err(Error::new(ErrorKind::InvalidData, "it is a directory"));
            }
            Err(error)
        }),
        &["v2_absent_is_not_found"],
    ),
    mutant(
        "panics when absent",
        "V2",
        Defect::Error(|error, request, _| {
            assert!(
                error.kind() != ErrorKind::NotFound,
                "there is no {}",
                request.name
            );
            Err(error)
        }),
        &[
            "d2_fault_domains_are_few_and_stable",
            "d4_a_dropped_read_leaves_the_backend_usable",
            "d5_unchanged_is_only_what_is_current",
            "d6_a_change_is_read_at_once",
            "e5_errors_name_backend_and_secret",
            "e5_errors_show_no_value",
            "e6_get_many_answers_each_in_order",
            "n1_hostile_names_reach_nothing_else",
            "n1_long_names_are_not_cut",
            "n3_a_name_is_exact_or_refused",
            "n4_list_gives_canonical_names",
            "r1_what_is_no_version_is_never_latest",
            "s1_debug_shows_no_value",
            "s1_logs_show_no_value",
            "v2_absent_is_not_found",
            "d7_a_watch_reports_changes",
        ],
    ),
    mutant(
        "trims",
        "V3",
        Defect::Value(|value| Some(value.trim_ascii().to_vec())),
        &["v3_white_space_survives", "v6_large_values_come_back_whole"],
    ),
    mutant(
        "trims the end as text",
        "V3",
        Defect::Value(|value| {
            Some(
                std::str::from_utf8(value).map_or(value.to_vec(), |text| text.trim_end().as_bytes().to_vec()),
            )
        }),
        &["v3_white_space_survives", "v6_large_values_come_back_whole"],
    ),
    mutant(
        "trims the final line break",
        "V3",
        Defect::Value(|value| Some(value.strip_suffix(b"\n").unwrap_or(value).to_vec())),
        &["v3_white_space_survives", "v6_large_values_come_back_whole"],
    ),
    mutant(
        "turns CRLF into LF",
        "V3",
        Defect::Value(|value| Some(text(value, |text| text.replace("\r\n", "\n")))),
        &["v3_white_space_survives"],
    ),
    mutant(
        "replaces what is no text",
        "V4",
        Defect::Value(|value| Some(String::from_utf8_lossy(value).into_owned().into_bytes())),
        &["v1_bytes_come_back_identical", "v4_text_of_bytes_is_invalid_data"],
    ),
    mutant(
        "composes values",
        "V5",
        Defect::Value(|value| Some(text(value, |text| text.replace("e\u{301}", "\u{e9}")))),
        &["v5_unicode_is_not_normalised"],
    ),
    mutant(
        "strips the byte order mark",
        "V5",
        Defect::Value(|value| Some(text(value, |text| text.trim_start_matches('\u{feff}').to_owned()))),
        &["v5_unicode_is_not_normalised"],
    ),
    mutant(
        "cuts at 1 KiB",
        "V6",
        Defect::Value(|value| Some(value[..value.len().min(1024)].to_vec())),
        &["v6_large_values_come_back_whole"],
    ),
    mutant(
        "loses a byte between chunks",
        "V6",
        Defect::Value(|value| {
            let mut value = value.to_vec();
            if value.len() > 4096 {
                value.remove(4096);
            }
            Some(value)
        }),
        &["v6_large_values_come_back_whole"],
    ),
    // Names.
    mutant(
        "resolves dots after trimming",
        "N1",
        Defect::Name(|name| renamed(&resolved(name.as_str()))),
        &[
            "n1_hostile_names_reach_nothing_else",
            "n3_a_name_is_exact_or_refused",
        ],
    ),
    mutant(
        "folds compatibility forms",
        "N1",
        Defect::Name(|name| {
            let folded = name
                .as_str()
                .replace('\u{ff0e}', ".")
                .replace(['\u{2215}', '\u{ff0f}'], "/");
            renamed(&resolved(&folded))
        }),
        &[
            "n1_hostile_names_reach_nothing_else",
            "n3_a_name_is_exact_or_refused",
        ],
    ),
    mutant(
        "cuts long names",
        "N1",
        Defect::Name(|name| {
            let cut = name
                .as_str()
                .char_indices()
                .take_while(|(at, _)| *at < 128)
                .map(|(_, c)| c);
            renamed(cut.collect::<String>().trim_end_matches('/'))
        }),
        &["n1_long_names_are_not_cut"],
    ),
    mutant(
        "fails on long names",
        "N1",
        Defect::Name(|name| {
            if name.as_str().len() > 255 {
                return Err(Error::new(ErrorKind::Internal, "ENAMETOOLONG"));
            }
            Ok(name.clone())
        }),
        &["n1_long_names_are_not_cut"],
    ),
    mutant(
        "ignores case",
        "N3",
        Defect::Name(|name| renamed(&name.as_str().to_lowercase())),
        &["n3_a_name_is_exact_or_refused", "n4_list_gives_canonical_names"],
    ),
    mutant(
        "replaces what it cannot express",
        "N3",
        Defect::Name(|name| {
            renamed(
                &name
                    .as_str()
                    .replace(|c: char| !c.is_ascii_alphanumeric() && c != '/', "_"),
            )
        }),
        &["n3_a_name_is_exact_or_refused", "n4_list_gives_canonical_names"],
    ),
    mutant(
        "reads plus as a space",
        "N3",
        Defect::Name(|name| renamed(&name.as_str().replace('+', " "))),
        &["n3_a_name_is_exact_or_refused"],
    ),
    mutant(
        "composes names",
        "N3",
        Defect::Name(|name| renamed(&name.as_str().replace("e\u{301}", "\u{e9}"))),
        &["n3_a_name_is_exact_or_refused"],
    ),
    mutant(
        "does not say what is wrong with a name",
        "N3",
        Defect::Name(|name| {
            if name.as_str().contains('*') {
                return Err(Error::new(ErrorKind::InvalidName, "this name cannot be used"));
            }
            Ok(name.clone())
        }),
        &["n3_a_name_is_exact_or_refused"],
    ),
    mutant(
        "refuses after asking",
        "N3",
        Defect::RefusesLate(|name| name.as_str().contains('*')),
        &[
            "n1_hostile_names_reach_nothing_else",
            "n3_a_name_is_exact_or_refused",
        ],
    ),
    mutant(
        "takes the inexpressible",
        "N3",
        Defect::Capabilities(|can| can),
        &["n3_a_name_is_exact_or_refused"],
    )
    .over(|harness| harness.with_facts(|facts| facts.with_inexpressible([name("a*b")]))),
    mutant(
        "lists stored names",
        "N4",
        Defect::List(|names, prefix| {
            let below = below(names, prefix);
            Ok(below
                .iter()
                .map(|name| self::name(&name.as_str().to_lowercase()))
                .collect())
        }),
        &["n4_list_gives_canonical_names"],
    ),
    mutant(
        "lists what is deleted",
        "N4",
        Defect::ListsDeleted,
        &["n4_list_gives_canonical_names"],
    ),
    mutant(
        "lists twice",
        "N5",
        Defect::List(|names, prefix| {
            let below = below(names, prefix);
            Ok([below.clone(), below].concat())
        }),
        &["n4_list_gives_canonical_names", "n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "compares prefixes as text",
        "N5",
        Defect::List(|names, prefix| {
            let text = prefix.map_or("", SecretName::as_str);
            Ok(names
                .into_iter()
                .filter(|name| name.as_str().starts_with(text))
                .collect())
        }),
        &["n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "ignores the prefix",
        "N5",
        Defect::List(|names, _| Ok(names)),
        &["n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "leaves the prefix itself out",
        "N5",
        Defect::List(|names, prefix| {
            Ok(below(names, prefix)
                .into_iter()
                .filter(|name| Some(name) != prefix)
                .collect())
        }),
        &["n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "lists one level",
        "N5",
        Defect::List(|names, prefix| {
            let depth = prefix.map_or(0, |prefix| prefix.segments().count());
            Ok(below(names, prefix)
                .into_iter()
                .filter(|name| name.segments().count() <= depth + 1)
                .collect())
        }),
        &["n4_list_gives_canonical_names", "n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "an empty list is not found",
        "N5",
        Defect::List(|names, prefix| {
            let below = below(names, prefix);
            if below.is_empty() {
                return Err(Error::new(ErrorKind::NotFound, "nothing is there").with_backend("memory"));
            }
            Ok(below)
        }),
        &["n5_a_prefix_is_whole_segments"],
    ),
    mutant(
        "lists without saying so",
        "N5",
        Defect::Capabilities(|can| can.with_list(false)),
        &["n5_without_list_it_is_unsupported"],
    ),
    // Versions.
    mutant(
        "ignores the version",
        "R1",
        Defect::Version(|_| None),
        &[
            "d5_unchanged_is_only_what_is_current",
            "e5_errors_name_backend_and_secret",
            "r1_versions_address_distinct_things",
            "r1_what_is_no_version_is_never_latest",
            "r2_metadata_states_the_version_served",
        ],
    ),
    mutant(
        "serves latest for an absent version",
        "R1",
        Defect::Version(|version| (version.as_str() != "999999").then(|| version.clone())),
        &[
            "e5_errors_name_backend_and_secret",
            "r1_what_is_no_version_is_never_latest",
        ],
    ),
    mutant(
        "serves latest for every stage",
        "R1",
        Defect::Version(|version| (!version.as_str().starts_with("stage:")).then(|| version.clone())),
        &[
            "r1_versions_address_distinct_things",
            "r1_what_is_no_version_is_never_latest",
            "r2_metadata_states_the_version_served",
        ],
    ),
    mutant(
        "calls an absent version an absent secret",
        "R1",
        Defect::Error(|error, request, _| {
            Err(rekinded(
                error,
                request.name,
                ErrorKind::VersionNotFound,
                ErrorKind::NotFound,
            ))
        }),
        &["r1_what_is_no_version_is_never_latest"],
    ),
    mutant(
        "calls a malformed version an absent one",
        "R1",
        Defect::Error(|error, request, _| {
            Err(rekinded(
                error,
                request.name,
                ErrorKind::InvalidName,
                ErrorKind::VersionNotFound,
            ))
        }),
        &["r1_what_is_no_version_is_never_latest"],
    ),
    mutant(
        "states no version",
        "R2",
        Defect::Metadata(|_, _, _| Metadata::new()),
        &["r2_metadata_states_the_version_served"],
    ),
    mutant(
        "states the version asked for",
        "R2",
        Defect::Metadata(|metadata, request, _| match request.version {
            Some(version) => metadata.with_version(version.clone()),
            None => metadata,
        }),
        &["r2_metadata_states_the_version_served"],
    ),
    mutant(
        "serves latest where there are no versions",
        "R5",
        Defect::Version(|_| None),
        &[
            "e5_errors_name_backend_and_secret",
            "r5_without_versions_one_is_unsupported",
        ],
    )
    .over(|_| MemoryHarness::of(MemoryBackend::new().with_versions(false))),
    mutant(
        "calls a version absent where there are none",
        "R5",
        Defect::Error(|error, request, _| {
            Err(rekinded(
                error,
                request.name,
                ErrorKind::Unsupported,
                ErrorKind::VersionNotFound,
            ))
        }),
        &["r5_without_versions_one_is_unsupported"],
    )
    .over(|_| MemoryHarness::of(MemoryBackend::new().with_versions(false))),
    // Errors.
    mutant(
        "does not name the secret",
        "E5",
        Defect::Error(|error, _, _| Err(Error::new(error.kind(), "failed").with_backend("memory"))),
        &[
            "e5_errors_name_backend_and_secret",
            "e5_faults_are_told_apart_and_show_nothing",
            "e6_get_many_answers_each_in_order",
        ],
    ),
    mutant(
        "does not name the backend",
        "E5",
        Defect::Error(|error, request, _| Err(Error::new(error.kind(), "failed").with_secret(request.name))),
        &[
            "e5_errors_name_backend_and_secret",
            "e5_faults_are_told_apart_and_show_nothing",
            "e6_get_many_answers_each_in_order",
        ],
    ),
    mutant(
        "names the secret as it is stored",
        "E5",
        Defect::Error(|error, request, _| {
            Err(error.with_secret(&name(&format!(
                "stored/{}",
                request.name.segments().next_back().unwrap()
            ))))
        }),
        &[
            "e5_errors_name_backend_and_secret",
            "e5_faults_are_told_apart_and_show_nothing",
            "e6_get_many_answers_each_in_order",
        ],
    ),
    mutant(
        "quotes a value in an error",
        "E5",
        Defect::ErrorText(|error, value| {
            let secret = error.secret().unwrap().clone();
            let message = format!("cannot parse `{}`", String::from_utf8_lossy(value));
            Error::new(error.kind(), message)
                .with_backend("memory")
                .with_secret(&secret)
        }),
        &[
            "e5_errors_show_no_value",
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
            "s1_logs_show_no_value",
        ],
    ),
    mutant(
        "keeps the response as the cause",
        "E5",
        Defect::ErrorText(|error, value| {
            error.with_cause(Cause::new().with_code(&String::from_utf8_lossy(value)))
        }),
        &[
            "e5_errors_show_no_value",
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
            "s1_logs_show_no_value",
        ],
    ),
    mutant(
        "shows its credential in an error",
        "E5",
        Defect::ErrorText(|error, _| {
            error.with_cause(Cause::new().with_request_id(&format!("https://store/?token={CREDENTIAL}")))
        }),
        &[
            "e5_errors_show_no_value",
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
            "s1_logs_show_no_value",
        ],
    )
    .over(with_credential),
    mutant(
        "hides a denial",
        "E5",
        Defect::Error(|error, request, _| {
            Err(rekinded(
                error,
                request.name,
                ErrorKind::PermissionDenied,
                ErrorKind::NotFound,
            ))
        }),
        &["e5_faults_are_told_apart_and_show_nothing"],
    ),
    mutant(
        "calls throttling an outage",
        "E5",
        Defect::Error(|error, request, _| {
            Err(rekinded(
                error,
                request.name,
                ErrorKind::RateLimited,
                ErrorKind::Unavailable,
            ))
        }),
        &["e5_faults_are_told_apart_and_show_nothing"],
    ),
    mutant(
        "answers backwards",
        "E6",
        Defect::Many(|_, mut answers| {
            answers.reverse();
            answers
        }),
        &[
            "e5_errors_name_backend_and_secret",
            "e6_get_many_answers_each_in_order",
        ],
    ),
    mutant(
        "answers in the order of names",
        "E6",
        Defect::Many(|requests, answers| {
            let mut pairs: Vec<_> = requests.iter().map(|request| request.name).zip(answers).collect();
            pairs.sort_by_key(|(name, _)| *name);
            pairs.into_iter().map(|(_, answer)| answer).collect()
        }),
        &["e6_get_many_answers_each_in_order"],
    ),
    mutant(
        "answers a name once",
        "E6",
        Defect::Many(|requests, answers| {
            let pairs = requests.iter().zip(answers).enumerate();
            pairs
                .filter(|(at, (request, _))| !requests[..*at].iter().any(|other| other.name == request.name))
                .map(|(_, (_, answer))| answer)
                .collect()
        }),
        &["e6_get_many_answers_each_in_order"],
    ),
    mutant(
        "leaves failures out",
        "E6",
        Defect::Many(|_, mut answers| {
            answers.retain(Result::is_ok);
            answers
        }),
        &[
            "e5_errors_name_backend_and_secret",
            "e6_get_many_answers_each_in_order",
        ],
    ),
    mutant(
        "one failure fails all",
        "E6",
        Defect::Many(
            |requests, answers| match answers.iter().find_map(|answer| answer.as_ref().err()) {
                Some(error) => requests
                    .iter()
                    .map(|request| Err(error.clone().with_secret(request.name)))
                    .collect(),
                None => answers,
            },
        ),
        &["e6_get_many_answers_each_in_order"],
    ),
    // Secrecy.
    mutant(
        "prints the last value",
        "S1",
        Defect::Debug(|value| String::from_utf8_lossy(value).into_owned()),
        &[
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
        ],
    ),
    mutant(
        "prints the last value as bytes",
        "S1",
        Defect::Debug(|value| format!("{value:#?}")),
        &[
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
        ],
    ),
    mutant(
        "prints the beginning of the last value",
        "S1",
        Defect::Debug(|value| String::from_utf8_lossy(&value[..value.len().min(10)]).into_owned()),
        &[
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
        ],
    ),
    mutant(
        "prints its credential",
        "S1",
        Defect::Debug(|_| format!("Memory {{ token: {CREDENTIAL:?} }}")),
        &[
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
        ],
    )
    .over(with_credential),
    mutant(
        "keeps the value in an attribute",
        "S1",
        Defect::Metadata(|metadata, _, value| {
            metadata.with_attribute("body", String::from_utf8_lossy(value))
        }),
        &[
            "e5_errors_show_no_value",
            "e5_faults_are_told_apart_and_show_nothing",
            "s1_debug_shows_no_value",
            "s1_logs_show_no_value",
        ],
    ),
    mutant(
        "traces values",
        "S1",
        Defect::Log(|value| {
            tracing::trace!(body = %String::from_utf8_lossy(value), "received");
        }),
        &["s1_logs_show_no_value"],
    ),
    mutant(
        "traces values as bytes",
        "S1",
        Defect::Log(|value| tracing::debug!(?value, "received")),
        &["s1_logs_show_no_value"],
    ),
    mutant(
        "traces values in a span",
        "S1",
        Defect::Log(|value| {
            let _span = tracing::trace_span!("parse", body = %String::from_utf8_lossy(value)).entered();
        }),
        &["s1_logs_show_no_value"],
    ),
    mutant(
        "logs values",
        "S1",
        Defect::Log(|value| log::trace!("received {}", String::from_utf8_lossy(value))),
        &["s1_logs_show_no_value"],
    ),
    mutant(
        "traces its credential",
        "S1",
        Defect::Log(|_| tracing::trace!(token = CREDENTIAL, "sending")),
        &["s1_logs_show_no_value"],
    )
    .over(with_credential),
    // Duties.
    mutant(
        "checks nothing",
        "D1",
        Defect::Check(|_| Ok(())),
        &["d1_check_finds_a_store_that_works"],
    ),
    mutant(
        "fails its check",
        "D1",
        Defect::Check(
            |_| Err(Error::new(ErrorKind::PermissionDenied, "may not list").with_backend("memory")),
        ),
        &["d1_check_finds_a_store_that_works"],
    ),
    mutant(
        "has a fault domain for each name",
        "D2",
        Defect::Domain(|asked| (asked - 1) % 300),
        &["d2_fault_domains_are_few_and_stable"],
    ),
    mutant(
        "changes fault domains",
        "D2",
        Defect::Domain(|asked| asked % 7),
        &["d2_fault_domains_are_few_and_stable"],
    ),
    mutant(
        "shares a buffer between reads",
        "D3",
        Defect::SharesBuffer,
        &["d3_reads_at_once_keep_their_values"],
    ),
    mutant(
        "leaks places of dropped reads",
        "D4",
        Defect::LeaksPlaces,
        &["d4_a_dropped_read_leaves_the_backend_usable"],
    ),
    mutant(
        "calls everything known unchanged",
        "D5",
        Defect::Unchanged(|request, _| request.known.is_some()),
        &["d5_unchanged_is_only_what_is_current"],
    ),
    mutant(
        "forgets the pin when it compares",
        "D5",
        Defect::Unchanged(|request, _| {
            request.known.is_some_and(|known| known.version().is_some()) && request.version.is_some()
        }),
        &["d5_unchanged_is_only_what_is_current"],
    ),
    mutant(
        "keeps what it read",
        "D6",
        Defect::Cached,
        &[
            "d5_unchanged_is_only_what_is_current",
            "d6_a_change_is_read_at_once",
            "e5_errors_show_no_value",
            "e5_faults_are_told_apart_and_show_nothing",
            "r1_versions_address_distinct_things",
            "v2_absent_is_not_found",
            "v2_empty_is_not_absent",
            "d7_a_watch_reports_changes",
        ],
    ),
    mutant(
        "watches and says nothing",
        "D7",
        Defect::Watch(|_, _| Some(Box::pin(Silent))),
        &["d7_a_watch_reports_changes"],
    )
    .over(|harness| harness.with_facts(|facts| facts.with_patience(Duration::from_secs(2)))),
    mutant(
        "gives no stream",
        "D7",
        Defect::Watch(|_, _| None),
        &["d7_a_watch_reports_changes"],
    ),
    mutant(
        "ends its watch at once",
        "D7",
        Defect::Watch(|_, names| MemoryBackend::new().watch(names)),
        &["d7_a_watch_reports_changes"],
    ),
    mutant(
        "subscribes late",
        "D7",
        Defect::Watch(|memory, _| Some(Box::pin(Late { memory, events: None }))),
        &["d7_a_watch_reports_changes"],
    )
    .over(|harness| harness.with_facts(|facts| facts.with_patience(Duration::from_secs(2)))),
    mutant(
        "watches without saying so",
        "D7",
        Defect::Capabilities(|can| can.with_watch(false)),
        &["d7_without_watch_there_is_none"],
    ),
];

fn with_credential(harness: MemoryHarness) -> MemoryHarness {
    harness.with_facts(|facts| facts.with_credential(CREDENTIAL))
}

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

/// A name that a careless backend made, which the store takes as it is.
fn renamed(text: &str) -> Result<SecretName> {
    SecretName::new(text).map_err(|_| Error::new(ErrorKind::NotFound, "nothing is there"))
}

/// Segments trimmed, and then those that are dots resolved.
fn resolved(name: &str) -> String {
    let mut segments = Vec::new();
    for segment in name.split('/').map(str::trim) {
        match segment {
            "." | "" => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    segments.join("/")
}

fn text(value: &[u8], change: fn(&str) -> String) -> Vec<u8> {
    std::str::from_utf8(value).map_or(value.to_vec(), |text| change(text).into_bytes())
}

fn below(names: Vec<SecretName>, prefix: Option<&SecretName>) -> Vec<SecretName> {
    names
        .into_iter()
        .filter(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)))
        .collect()
}

fn rekinded(error: Error, secret: &SecretName, from: ErrorKind, to: ErrorKind) -> Error {
    if error.kind() != from {
        return error;
    }
    Error::new(to, error.message().to_owned())
        .with_backend("memory")
        .with_secret(secret)
}

struct Silent;

impl Stream for Silent {
    type Item = BackendEvent;

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        Poll::Pending
    }
}

/// Subscribes when it is first polled, not when it is made.
struct Late {
    memory: MemoryBackend,
    events: Option<BackendEvents>,
}

impl Stream for Late {
    type Item = BackendEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BackendEvent>> {
        if self.events.is_none() {
            self.events = self.memory.watch(WatchedNames::channel().1);
        }
        let event = ready!(self.events.as_mut().unwrap().as_mut().poll_next(cx));
        Poll::Ready(event)
    }
}
