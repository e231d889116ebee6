//! `docs/ERRORS.md`: every text that says what is wrong, made from the source; and a case for each.
//!
//! `UPDATE_ERRORS=1 cargo test --test error_texts` writes the page.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use regex::Regex;

use super::read;
use super::root;
use super::source::texts;

/// Texts that are said alike, and the source that says them.
struct Section {
    title: &'static str,
    says: &'static str,
    sources: &'static [&'static str],
}

const SECTIONS: [Section; 7] = [
    Section {
        title: "Requests",
        says: "The `message` of `{\"error\":{\"code\":…,\"message\":…}}` with a status of 400 and above; `code` and status are on the [page of the protocol](dialects/native.md#http). Posts of the Provisioning dialect say them in their own form.",
        sources: &[
            "src/wire/http/error.rs",
            "src/wire/upgrade.rs",
            "src/dialect/media.rs",
            "src/shard/session/endpoint.rs",
            "src/dialect/peat/doors.rs",
            "src/dialect/native/url.rs",
            "src/dialect/native/upload.rs",
            "src/shard/session/upload.rs",
            "src/shard/session/refusals.rs",
            "src/dialect/provisioning/post.rs",
            "src/shard/session/revoke.rs",
        ],
    },
    Section {
        title: "WebSocket frames",
        says: "The reason of a close frame with 1002, 1003, 1007, 1008, 1009 or 1011, in every dialect.",
        sources: &[
            "src/wire/decoder/violation.rs",
            "src/wire/deflate/inflate.rs",
            "src/shard/session/websocket.rs",
            "src/shard/lifecycle.rs",
            "src/shard/spending.rs",
        ],
    },
    Section {
        title: "Messages of the native protocol",
        says: "The `message` of an `error`, with the `field` that it is about; and of a URL that states a subscription, with status 400 or 403.",
        sources: &[
            "src/dialect/outcome.rs",
            "src/dialect/subscription.rs",
            "src/dialect/native/decode.rs",
            "src/dialect/native/members.rs",
            "src/dialect/native/options.rs",
            "src/event/projection.rs",
            "src/shard/subscribe.rs",
            "src/shard/want.rs",
        ],
    },
    Section {
        title: "Topics and payloads",
        says: "With code `bad_topic` or `bad_json`; a payload's fault ends with its place: `at byte 7`.",
        sources: &["src/event/topic.rs", "src/event/json.rs"],
    },
    Section {
        title: "Filters",
        says: "With code `bad_filter`, and the place at the end: `at byte 20, counted from 0`. What [should stand there](FILTERS.md#grammar) comes first where something else does: `an opening parenthesis is expected`.",
        sources: &[
            "src/matcher/filter/error.rs",
            "src/event/interest.rs",
            "src/matcher/filter/geo.rs",
            "src/matcher/filter/notation_text.rs",
            "src/matcher/filter/notation_json.rs",
        ],
    },
    Section {
        title: "Who may",
        says: "With 401, 403, 429 or 503 over HTTP, with code `forbidden` in a message, as the reason of 1008; `fanwire token inspect` says them, too.",
        sources: &[
            "src/auth/token.rs",
            "src/auth/claims.rs",
            "src/auth/mapping.rs",
            "src/auth/admission.rs",
            "src/auth/revocation.rs",
            "src/shard/access.rs",
            "src/shard/passed_on.rs",
            "src/shard/session/identity.rs",
        ],
    },
    Section {
        title: "At the start",
        says: "On standard error, with the key, the file and the line before it; exit code 2, or 1 where what is asked for cannot be had here. What is wrong with a fetched key set is in the log.",
        sources: &[
            "src/config/error.rs",
            "src/config/parse.rs",
            "src/config/takes.rs",
            "src/server/error.rs",
            "src/server/access.rs",
            "src/server/grants.rs",
            "src/server/keys.rs",
            "src/auth/admin.rs",
            "src/auth/algorithm.rs",
            "src/auth/key.rs",
            "src/auth/key_set.rs",
            "src/auth/jwks.rs",
            "src/auth/origin.rs",
            "src/auth/networks.rs",
            "src/auth/verifier.rs",
            "src/admin/jwks/fetch.rs",
        ],
    },
];

/// Sentences in these files that are no error's.
const OTHERS: [&str; 14] = [
    "`true`, `false`",
    "… to … …",
    "HTTP/1.1 101 Switching Protocols",
    "Authorization, Cache-Control,",
    "application/",
    "PRIVATE KEY-----",
    "PUBLIC KEY-----",
    "an object or a function",
    "a client said more than it may in a second",
    "a client did not say in time who it is",
    "a subscriber fell behind",
    "a token expired on an open connection",
    "the filters of a client took more than they may",
    "protocol violation: ",
];

/// Texts that no test can bring about, and why.
const UNTRIED: [(&str, &str); 14] = [
    ("a WebSocket is opened with GET", "another method means another door"),
    ("a deflated message is too large once inflated", "it is said as the limit of a message"),
    ("cannot set up a shard: ", "a kernel that refuses"),
    ("cannot start a thread: ", "a kernel that refuses"),
    ("cannot set up descriptors: ", "a kernel that refuses"),
    (
        "the kernel does not allow io_uring: ",
        "a kernel that refuses, where tests leave that driver out",
    ),
    ("there are no random bytes", "a kernel that refuses"),
    ("this machine has no certificate authorities", "a machine without any"),
    ("regular expression takes more than", "its size, which is counted before, bounds it"),
    ("path names no field", "every notation names one"),
    ("there is no such algorithm", "the file is checked before"),
    ("… revocations are remembered", "as many tokens revoked one by one"),
    ("…: too many handshakes wait to be counted", "cores that take nothing in"),
    ("other cores have not taken in what they were told before", "cores that take nothing in"),
];

const BEGIN: &str = "\
<!-- Made from the source by `UPDATE_ERRORS=1 cargo test --test error_texts`. Do not edit. -->

# Every error's text

What the server says when something is wrong, for whoever has a text and looks for its place: `…` stands for what was wrong, or for the limit. The texts of the other dialects are
on their pages ([peat-node](dialects/peat.md), [HyperBEAM](dialects/hyperbeam.md), [Provisioning](dialects/provisioning.md)), close codes on [each](dialects/native.md#close-codes) of them, and what
tokens and limits are about in [SECURITY](SECURITY.md). A test holds that this page has every text, and that each is produced by a case.
";

fn is_other(text: &str) -> bool {
    OTHERS.iter().any(|other| text.starts_with(other))
}

/// The texts of a section, each once.
fn texts_of(section: &Section) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for source in section.sources {
        let said = texts(&read(&root().join(source)));
        assert!(!said.is_empty(), "{source} says nothing: where have its texts gone?");
        for text in said {
            if !is_other(&text) && !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

fn page() -> String {
    let mut page = BEGIN.to_owned();
    for section in &SECTIONS {
        page.push_str(&format!("\n## {}\n\n{}\n\n", section.title, section.says));
        for text in texts_of(section) {
            let ticks = if text.contains('`') { "`` " } else { "`" };
            let end: String = ticks.chars().rev().collect();
            page.push_str(&format!("- {ticks}{text}{end}\n"));
        }
    }
    page
}

fn rust_and_transcripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() && !path.ends_with("node_modules") {
            rust_and_transcripts(&path, found);
        } else if path
            .extension()
            .is_some_and(|ending| ending == "rs" || ending == "txt" || ending == "mjs")
        {
            found.push(path);
        }
    }
}

/// What tests expect, in one text: of the source only what stands in its tests.
fn cases() -> String {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "loadtest/tests"] {
        rust_and_transcripts(&root().join(folder), &mut paths);
    }
    let mut cases = String::new();
    for path in paths {
        let text = read(&path);
        let is_test = !path.starts_with(root().join("src")) || path.ends_with("tests.rs");
        // What lists texts here is no case of one.
        if path.starts_with(root().join("tests/error_texts")) {
            continue;
        }
        let tests = match is_test {
            true => &*text,
            false => text.split_once("#[cfg(test)]\nmod tests").map_or("", |(_, tests)| tests),
        };
        cases.push_str(&tests.replace("\\\"", "\""));
        cases.push('\n');
    }
    cases
}

#[test]
fn the_page_has_every_text() {
    let path = root().join("docs/ERRORS.md");
    if std::env::var_os("UPDATE_ERRORS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/ERRORS.md: run UPDATE_ERRORS=1 cargo test --test error_texts");
}

#[test]
fn every_text_of_the_page_has_its_case() {
    let cases = cases();
    let mut missing = Vec::new();
    for section in &SECTIONS {
        for text in texts_of(section) {
            let parts: Vec<String> = text.split('…').map(regex::escape).collect();
            let pattern = Regex::new(&parts.join(".*")).expect("it is escaped");
            let is_untried = UNTRIED.iter().any(|(untried, _)| text.starts_with(untried));
            if pattern.is_match(&cases) == is_untried {
                missing.push(format!("{}: {text}", section.title));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no case says, or it is listed as untried:\n{}",
        missing.join("\n")
    );
}
