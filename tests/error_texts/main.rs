//! Every error text that a dialect's page quotes is one that a case produces, and every one that the code can say stands on the page.
//!
//! A page quotes its texts in tables whose first column says so, in code: `…`, `x` and `n` in it stand for whatever was wrong. A case is a line of a
//! transcript, of a foreign client's test, or of the dialect's own tests. What is said in no dialect of its own is on a page that is made from the source.

#![cfg(test)]

mod page;
mod source;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use fanwire::dialect::hyperbeam::TopicsFault;
use fanwire::dialect::peat;
use fanwire::dialect::peat::connect::CallError;
use fanwire::dialect::provisioning;
use fanwire::dialect::provisioning::FilterFault;
use fanwire::dialect::provisioning::PostedError;
use fanwire::matcher::FilterProblem;
use regex::Regex;

/// A dialect, its page, and where its cases are besides its transcripts.
struct Subject {
    name: &'static str,
    /// What the head of a table begins with that quotes error texts; or a line that quotes them outside of one.
    quotes: &'static [&'static str],
    /// Code in such a row that is no error text.
    others: &'static [&'static str],
    /// Texts that stand in the source between these two and are said to a client.
    literals: &'static str,
}

const SUBJECTS: [Subject; 3] = [
    Subject {
        name: "hyperbeam",
        quotes: &["| M | when |"],
        others: &["type", "topics", "400 {", "Error"],
        literals: r#"Err\("([^"]+)"\)|\|_\| "([^"]+)""#,
    },
    Subject {
        name: "provisioning",
        quotes: &[
            "| `{\"type\":\"error\",\"error\":…}` | when |",
            "| answer | when |",
            "Other parameters are passed over.",
        ],
        others: &[
            "auth",
            "since",
            "batch_size",
            "/logs",
            "/metrics",
            "accepted",
            "Retry-After",
            "400 {",
            "200 {",
            "401",
            "403",
            "413",
            "415",
            "429",
            "503",
            "\"limit\":50",
            "\"accepted\":N",
            "full",
            "too_many_topics",
            "shutting_down",
        ],
        literals: r#"Err\("([^"]+)"\.|\|_\| "([^"]+)"|\(400, "([^"]+)""#,
    },
    Subject {
        name: "peat",
        quotes: &["| status | body | why |", "| message | when |", "| answer | when |"],
        others: &[
            "200",
            "401",
            "403",
            "405",
            "413",
            "415",
            "429",
            "505",
            "Accept-Post",
            "Allow",
            "unauthenticated",
            "unimplemented",
            "unavailable",
            "permission_denied",
        ],
        literals: r#"Err\("([^"]+)"\)"#,
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is part of the repository");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// The code that a line of Markdown quotes.
fn code_of(line: &str) -> Vec<String> {
    let quoted = Regex::new(r"``\s?(.+?)\s?``|`([^`]+)`").unwrap();
    let texts =
        quoted.captures_iter(line).filter_map(|found| found.get(1).or_else(|| found.get(2)));
    texts.map(|text| text.as_str().to_owned()).collect()
}

/// The error texts that a page quotes, as patterns.
fn quoted(subject: &Subject) -> Vec<(String, Regex)> {
    let page = read(&root().join(format!("docs/dialects/{}.md", subject.name)));
    let message = Regex::new(r#""message":"(.+)"\}$"#).unwrap();
    let mut texts = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        if subject.quotes.iter().any(|start| line.starts_with(start)) {
            is_inside = true;
            if line.starts_with('|') {
                continue;
            }
        } else if line.is_empty() {
            is_inside = false;
        }
        if !is_inside || line.starts_with("| ---") {
            continue;
        }
        for text in code_of(line) {
            // A whole answer holds the text.
            let text =
                message.captures(&text).map_or_else(|| text.clone(), |found| found[1].to_owned());
            let is_other = subject
                .others
                .iter()
                .any(|other| text == *other || (other.ends_with('{') && text.starts_with(other)));
            if !is_other && text != "M" && text.len() > 2 && !text.starts_with('{') {
                texts.push(text);
            }
        }
    }
    let pattern = |text: String| {
        // What stands for anything: an ellipsis, and the names that pages give to what was wrong.
        let any = Regex::new(r"…|\bx\b|\bX\b|\bn\b|\bne\b|\b1\b").unwrap();
        let parts: Vec<String> = any.split(&text).map(regex::escape).collect();
        let pattern = Regex::new(&parts.join(".*")).expect("it is escaped");
        (text, pattern)
    };
    texts.into_iter().map(pattern).collect()
}

/// Every line that shows what a client is told.
fn cases(subject: &Subject) -> Vec<String> {
    let mut paths = files(&format!("tests/fixtures/{}", subject.name));
    paths.extend(files("tests/fixtures/http"));
    paths.extend(files("tests/fixtures/access"));
    paths.extend(files("tests/clients/dialects"));
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt" || ending == "mjs"));
    let mut lines: Vec<String> = Vec::new();
    for path in paths {
        lines.extend(read(&path).lines().map(|line| line.replace("\\\"", "\"")));
    }
    for path in files(&format!("src/dialect/{}", subject.name)) {
        let text = read(&path);
        let tests = text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests);
        lines.extend(tests.lines().map(|line| line.replace("\\\"", "\"")));
    }
    lines
}

/// What the code can say: each variant of each error, and what is said without one.
fn said(subject: &Subject) -> Vec<String> {
    let mut said: Vec<String> = match subject.name {
        "hyperbeam" => hyperbeam_faults().iter().map(ToString::to_string).collect(),
        "provisioning" => provisioning_faults(),
        _ => peat_faults(),
    };
    let mut sources = files(&format!("src/dialect/{}", subject.name));
    if subject.name == "provisioning" {
        sources.push(root().join("src/dialect/provisioning/post.rs"));
    }
    let literal = Regex::new(subject.literals).unwrap();
    for path in sources {
        let text = read(&path);
        let code = text.split_once("#[cfg(test)]").map_or(&*text, |(code, _)| code);
        for found in literal.captures_iter(code) {
            said.extend(found.iter().skip(1).flatten().map(|text| text.as_str().to_owned()));
        }
    }
    said
}

fn hyperbeam_faults() -> [TopicsFault; 5] {
    use TopicsFault as F;
    let all = [F::TooMany, F::TooLong, F::TooLongForTopic, F::TooManyFiltered, F::BadRegex];
    // A new variant does not compile until it stands above.
    for fault in all {
        match fault {
            F::TooMany | F::TooLong | F::TooLongForTopic | F::TooManyFiltered | F::BadRegex => {}
        }
    }
    all
}

fn provisioning_faults() -> Vec<String> {
    use FilterFault as F;
    use PostedError as P;
    use provisioning::RequestError as R;
    let text = || Box::<str>::from("x");
    let filters = [
        F::NotAnObject,
        F::NotAScalar { member: text() },
        F::TooMany,
        F::ListTooLong { member: text() },
        F::NameTooLong,
        F::BadSince { text: text() },
        F::SearchTooLong,
        F::TooLarge { problem: Box::new(FilterProblem::TooCostly { cost: 70_000 }) },
    ];
    let index = 0;
    let posted = [
        P::NotJson { reason: text() },
        P::NotAnObject { index },
        P::TypeMissing { index },
        P::DataMissing { index },
        P::KeyNotText { index },
        P::KeyTooLong { index },
        P::TooLarge { index },
        P::EventsNotAList,
        P::TooMany,
        P::Empty,
    ];
    let requests = [
        R::NotANumber { name: "batch_size", text: text() },
        R::NotANumber { name: "tail", text: text() },
        R::NotABool { text: text() },
        R::TooManyTypes,
    ];
    for fault in &filters {
        match fault {
            F::NotAnObject | F::NotAScalar { .. } | F::TooMany | F::ListTooLong { .. } => {}
            F::NameTooLong | F::BadSince { .. } | F::SearchTooLong | F::TooLarge { .. } => {}
        }
    }
    for fault in &posted {
        match fault {
            P::NotJson { .. } | P::NotAnObject { .. } | P::TypeMissing { .. } => {}
            P::DataMissing { .. } | P::KeyNotText { .. } | P::KeyTooLong { .. } => {}
            P::TooLarge { .. } | P::EventsNotAList | P::TooMany | P::Empty => {}
        }
    }
    for fault in &requests {
        match fault {
            R::Filter(_) | R::NotANumber { .. } | R::NotABool { .. } | R::TooManyTypes => {}
        }
    }
    let all = filters.iter().map(ToString::to_string);
    let all = all.chain(posted.iter().map(ToString::to_string));
    all.chain(requests.iter().map(ToString::to_string)).collect()
}

fn peat_faults() -> Vec<String> {
    use peat::ProtoError as P;
    use peat::QueryError as Q;
    use peat::RequestError as R;
    let text = || Box::<str>::from("x");
    let queries = [
        Q::NotJson { reason: text() },
        Q::NotAnObject { what: "query node" },
        Q::NotAnObject { what: "and/or" },
        Q::NotAList,
        Q::NotAString { member: "field" },
        Q::UnknownMember { member: text() },
        Q::SeveralVariants,
        Q::NoVariant,
        Q::EmptyField,
        Q::BadValue { value: text(), reason: text() },
        Q::TooDeep,
        Q::TooManyClauses,
    ];
    let protos = [
        P::Truncated,
        P::BadVarint,
        P::BadWireType { wire_type: 3 },
        P::NotUtf8,
        P::TooManyCollections,
    ];
    let requests = [
        R::NotJson { reason: text() },
        R::UnknownMember { member: text() },
        R::CollectionsNotStrings,
        R::TooManyCollections,
        R::UnknownSnapshot { word: text() },
    ];
    let calls = [
        CallError::UnknownVersion,
        CallError::BadEnvelope,
        CallError::Compressed,
        CallError::NotUtf8,
        CallError::Unauthenticated { reason: "token expired".into() },
        CallError::Unauthenticated { reason: "token revoked".into() },
        CallError::ShuttingDown,
    ];
    none_is_new(&queries, &protos, &requests, &calls);
    // The page says once what stands before each fault of a query.
    let strip = |text: String| text.trim_start_matches("invalid subscription query: ").to_owned();
    let all = queries.iter().map(|fault| strip(fault.to_string()));
    let all = all.chain(protos.iter().map(ToString::to_string));
    let all = all.chain(requests.iter().map(ToString::to_string));
    all.chain(calls.iter().map(ToString::to_string)).collect()
}

/// Does not compile when a fault is added that the list above lacks.
fn none_is_new(
    queries: &[peat::QueryError],
    protos: &[peat::ProtoError],
    requests: &[peat::RequestError],
    calls: &[CallError],
) {
    use peat::ProtoError as P;
    use peat::QueryError as Q;
    use peat::RequestError as R;
    for fault in queries {
        match fault {
            Q::NotJson { .. } | Q::NotAnObject { .. } | Q::NotAList | Q::NotAString { .. } => {}
            Q::UnknownMember { .. } | Q::SeveralVariants | Q::NoVariant | Q::EmptyField => {}
            Q::BadValue { .. } | Q::TooDeep | Q::TooManyClauses => {}
        }
    }
    for fault in protos {
        match fault {
            P::Truncated | P::BadVarint | P::BadWireType { .. } | P::NotUtf8 => {}
            P::TooManyCollections | P::Query(_) => {}
        }
    }
    for fault in requests {
        match fault {
            R::Query(_) | R::Proto(_) | R::NotJson { .. } | R::UnknownMember { .. } => {}
            R::CollectionsNotStrings | R::TooManyCollections | R::UnknownSnapshot { .. } => {}
        }
    }
    for fault in calls {
        match fault {
            CallError::Request(_) | CallError::UnknownVersion | CallError::BadEnvelope => {}
            CallError::Compressed | CallError::NotUtf8 | CallError::ShuttingDown => {}
            CallError::Unauthenticated { .. } => {}
        }
    }
}

#[test]
fn every_text_on_a_page_has_its_case() {
    let mut missing = Vec::new();
    for subject in &SUBJECTS {
        let cases = cases(subject);
        let quoted = quoted(subject);
        assert!(quoted.len() > 5, "{}: its page quotes what can go wrong", subject.name);
        for (text, pattern) in quoted {
            if !cases.iter().any(|line| pattern.is_match(line)) {
                missing.push(format!("{}: {text}", subject.name));
            }
        }
    }
    assert!(missing.is_empty(), "no case says:\n{}", missing.join("\n"));
}

#[test]
fn every_text_that_can_be_said_is_on_its_page() {
    let mut missing = Vec::new();
    for subject in &SUBJECTS {
        let quoted = quoted(subject);
        for text in said(subject) {
            let is_quoted = |pattern: &Regex| {
                pattern.find(&text).is_some_and(|found| found.len() == text.len())
            };
            if text != "x" && !quoted.iter().any(|(_, pattern)| is_quoted(pattern)) {
                missing.push(format!("{}: {text}", subject.name));
            }
        }
    }
    assert!(missing.is_empty(), "no page quotes:\n{}", missing.join("\n"));
}
