//! MQTT 5 statement by statement: `docs/MQTT-CONFORMANCE.md` has each, and what it names as holding it is there; and the Eclipse suite's cases are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The sections of MQTT 5 that have normative statements, and the first and the last of each (appendix B).
const SECTIONS: [(&str, u32, u32); 56] = [
    ("1.5.4", 1, 3),
    ("1.5.5", 1, 1),
    ("1.5.7", 1, 1),
    ("2.1.3", 1, 1),
    ("2.2.1", 2, 6),
    ("2.2.2", 1, 1),
    ("3.1.0", 1, 2),
    ("3.1.2", 1, 30),
    ("3.1.3", 1, 12),
    ("3.1.4", 1, 6),
    ("3.2.0", 1, 2),
    ("3.2.2", 1, 22),
    ("3.3.1", 1, 13),
    ("3.3.2", 1, 20),
    ("3.3.4", 1, 10),
    ("3.4.2", 1, 3),
    ("3.5.2", 1, 3),
    ("3.6.1", 1, 1),
    ("3.6.2", 1, 3),
    ("3.7.2", 1, 3),
    ("3.8.1", 1, 1),
    ("3.8.3", 1, 5),
    ("3.8.4", 1, 8),
    ("3.9.2", 1, 2),
    ("3.9.3", 1, 2),
    ("3.10.1", 1, 1),
    ("3.10.3", 1, 2),
    ("3.10.4", 1, 6),
    ("3.11.2", 1, 2),
    ("3.11.3", 1, 2),
    ("3.12.4", 1, 1),
    ("3.14.0", 1, 1),
    ("3.14.1", 1, 1),
    ("3.14.2", 1, 4),
    ("3.14.4", 1, 3),
    ("3.15.1", 1, 1),
    ("3.15.2", 1, 3),
    ("4.1.0", 1, 2),
    ("4.2", 1, 1),
    ("4.3.1", 1, 1),
    ("4.3.2", 1, 5),
    ("4.3.3", 1, 13),
    ("4.4.0", 1, 2),
    ("4.5.0", 1, 2),
    ("4.6.0", 1, 6),
    ("4.7.0", 1, 1),
    ("4.7.1", 1, 2),
    ("4.7.2", 1, 1),
    ("4.7.3", 1, 4),
    ("4.8.2", 1, 6),
    ("4.9.0", 1, 3),
    ("4.12.0", 1, 7),
    ("4.12.1", 1, 2),
    ("4.13.1", 1, 1),
    ("4.13.2", 1, 1),
    ("6.0.0", 1, 4),
];

/// The Eclipse suite's cases, of `client_test.py` and `client_test5.py`.
const ECLIPSE: [(&str, &[&str]); 2] = [
    (
        "3.1.1",
        &[
            "test_basic",
            "test_retained_messages",
            "test_will_message",
            "test_zero_length_clientid",
            "test_offline_message_queueing",
            "test_overlapping_subscriptions",
            "test_keepalive",
            "test_redelivery_on_reconnect",
            "test_dollar_topics",
            "test_unsubscribe",
            "test_subscribe_failure",
        ],
    ),
    (
        "5",
        &[
            "test_basic",
            "test_retained_message",
            "test_will_message",
            "test_zero_length_clientid",
            "test_offline_message_queueing",
            "test_overlapping_subscriptions",
            "test_keepalive",
            "test_redelivery_on_reconnect",
            "test_subscribe_failure",
            "test_dollar_topics",
            "test_unsubscribe",
            "test_session_expiry",
            "test_user_properties",
            "test_payload_format",
            "test_publication_expiry",
            "test_subscribe_options",
            "test_assigned_clientid",
            "test_subscribe_identifiers",
            "test_request_response",
            "test_client_topic_alias",
            "test_server_topic_alias",
            "test_maximum_packet_size",
            "test_server_keep_alive",
            "test_flow_control1",
            "test_flow_control2",
            "test_will_delay",
        ],
    ),
];

fn read(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(whole).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn titles(file: &str) -> Vec<String> {
    let text = read(&format!("tests/fixtures/mqtt/{file}"));
    text.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

/// Whether what a row names is there: a file between backticks, and behind it the title of a transcript or the name of a test.
fn is_there(named: &str) -> bool {
    let Some((_, rest)) = named.split_once('`') else {
        return named.starts_with("the client's") || named.starts_with("not here: ");
    };
    let (file, name) = rest.split_once('`').expect("a file stands between two backticks");
    let name = name.trim().trim_end_matches(" (none is sent)");
    if file.ends_with(".txt") {
        return titles(file).iter().any(|title| title == name);
    }
    let text = read(file);
    !name.is_empty()
        && ["fn ", "func ", "def "].iter().any(|of| text.contains(&format!("{of}{name}(")))
}

#[test]
fn every_statement_of_the_standard_is_held_by_something_that_is_there() {
    let page = read("docs/MQTT-CONFORMANCE.md");
    let mut told = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| MQTT-")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [statement, _, holders] = cells[..] else { panic!("three cells: {row}") };
        assert!(told.insert(statement.to_owned()), "{statement} stands there twice");
        for named in holders.split("<br>") {
            assert!(is_there(named), "{statement} is held by what is not there: {named}");
        }
    }
    let all = SECTIONS.iter().flat_map(|(section, first, last)| {
        (*first..=*last).map(move |number| format!("MQTT-{section}-{number}"))
    });
    assert_eq!(told, all.collect(), "the statements of appendix B");
}

#[test]
fn every_case_of_the_eclipse_suite_is_a_transcript() {
    let titles = titles("eclipse.txt");
    for (version, cases) in ECLIPSE {
        for case in cases {
            let of = format!("Eclipse {version}, {case}");
            let is_it = |title: &String| {
                title.strip_prefix(&of).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            };
            assert!(titles.iter().any(is_it), "{of}");
        }
    }
}
