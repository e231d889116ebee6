//! Reads the source and holds it to `docs/ARCHITECTURE.md`: who may import whom, what is pure, how long a file and how wide a type may be.
//!
//! A failure names each place. If the code is right, the map is wrong: change the table there and here in the same commit, and say why.
//! Never judges style that a linter can: it only knows what crosses files.

#![cfg(test)]
#![expect(clippy::string_slice, reason = "source is cut where ASCII stands")]

mod form;
mod imports;
mod numbers;
mod pages;
mod published_faults;
mod seams;
mod size;
mod source;
mod walks;
mod words;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use source::Source;
use source::assert_none;
use source::root;
use source::sources;

/// The floors of the house: a module may import what lies on a lower one. `main` is not a module and stands on top.
const FLOORS: [&[&str]; 7] = [
    &["limits", "clock", "dashboard"],
    &["event"],
    &["position", "tables"],
    &["dialect", "matcher", "batch", "wire", "auth", "history"],
    &["shard"],
    &[
        "conn", "outbound", "admin", "store", "backend", "webhook", "acme", "source", "ingest",
        "client",
    ],
    &["config", "server", "cli"],
];

/// Steps within a floor: who, whom, and why it is no circle.
const STEPS: [(&str, &str, &str); 20] = [
    (
        "dialect",
        "batch",
        "a subscription says what becomes of it when its outbox is full, in the outbox's words",
    ),
    ("dialect", "matcher", "a subscription holds its filter, which is parsed where it is decoded"),
    (
        "dialect",
        "wire",
        "a door names its method, and its parameters are read from a request's head",
    ),
    ("store", "conn", "the store is a party of the mesh, and hears by its lanes"),
    ("backend", "conn", "whoever has the tables is a party of the mesh, and hears by its lanes"),
    ("webhook", "conn", "whoever answers hooks is a party of the mesh, and hears by its lanes"),
    ("webhook", "outbound", "hooks are asked over HTTP, of whom the operator has named"),
    ("admin", "outbound", "key sets are fetched so, too"),
    ("admin", "acme", "the page of figures has those of whoever orders certificates"),
    ("acme", "outbound", "an authority is asked so, too"),
    ("admin", "backend", "the page of figures has those of whoever has the tables"),
    ("admin", "webhook", "and those of whoever answers hooks"),
    ("backend", "outbound", "a database that is lost is looked for again in growing steps"),
    ("source", "backend", "an outbox is followed by the client of PostgreSQL that tables have"),
    ("source", "conn", "each source is a party of the mesh, and hears by its lanes"),
    ("source", "outbound", "far ends are asked so, and looked for again in growing steps"),
    ("admin", "source", "the page of figures has those of each source"),
    ("cli", "server", "`fanwire serve` starts one"),
    ("cli", "config", "`fanwire serve` reads it"),
    ("server", "config", "what was checked is wired"),
];

/// Modules that import less than their floor allows.
const STRICTER: [(&str, &[&str]); 3] = [
    // Every key's bounds are numbers from there, what may be set of a dialect or a kind of source is declared where that is, and nothing that is
    // configured may reach back.
    ("config", &["limits", "dialect", "source"]),
    // A client knows of the server what anybody can know; what a moment is like is the same for both.
    ("client", &["event"]),
    // Bytes without a socket: whoever reads them adds the meaning.
    ("wire", &["limits"]),
];

/// State machines: they are handed bytes and the time, and run to completion.
const PURE: [&str; 11] = [
    "limits", "event", "position", "tables", "dialect", "matcher", "batch", "wire", "auth",
    "history", "shard",
];

/// What a pure module never names, and what may stand behind it all the same.
const IMPURE: [(&str, &[&str]); 13] = [
    // Addresses are data; sockets are not.
    ("std::net::", &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr"]),
    ("std::thread", &[]),
    // What outlives the call and nobody was handed.
    ("thread_local!", &[]),
    ("std::fs", &[]),
    ("std::process", &[]),
    ("std::env::", &[]),
    ("Instant::now", &[]),
    ("SystemTime", &[]),
    ("std::os::", &[]),
    ("monoio::", &[]),
    ("tokio::", &[]),
    ("flume::", &[]),
    ("rustix::", &[]),
];

fn floor_of(module: &str) -> usize {
    let floor = FLOORS.iter().position(|floor| floor.contains(&module));
    floor.unwrap_or_else(|| panic!("`{module}` has no place in the table of docs/ARCHITECTURE.md"))
}

fn may_import(from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    if let Some((_, allowed)) = STRICTER.iter().find(|(module, _)| *module == from) {
        return allowed.contains(&to);
    }
    floor_of(to) < floor_of(from) || STEPS.iter().any(|(who, whom, _)| *who == from && *whom == to)
}

/// The modules that a line names by `crate::…`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().unwrap_or("")
    })
}

#[test]
fn nobody_imports_from_above() {
    let mut faults = String::new();
    for source in sources(&["src"]) {
        let Some(from) = source.module() else { continue };
        for (number, line) in source.code() {
            for to in named(line).filter(|to| !may_import(from, to)) {
                writeln!(faults, "{}:{number}: {from} must not import {to}", source.path).unwrap();
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn steps_within_a_floor_make_no_circle_and_are_all_taken_or_downward() {
    for (who, whom, why) in STEPS {
        assert_eq!(floor_of(who), floor_of(whom), "{who} -> {whom} is no step within a floor");
        assert!(
            !STEPS.iter().any(|(a, b, _)| (*a, *b) == (whom, who)),
            "{who} and {whom} import each other"
        );
        assert!(!why.is_empty());
    }
}

#[test]
fn every_module_has_a_place() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(listed.len() > 10, "{listed:?}");
    for module in listed {
        floor_of(module);
    }
}

#[test]
fn the_core_is_pure() {
    let mut faults = String::new();
    for source in sources(&["src"]) {
        if !source.module().is_some_and(|module| PURE.contains(&module)) {
            continue;
        }
        for (number, line) in source.code() {
            for (word, but) in IMPURE {
                let is_named = line
                    .split(word)
                    .skip(1)
                    .any(|rest| !but.iter().any(|good| rest.starts_with(good)));
                if is_named {
                    writeln!(faults, "{}:{number}: a pure module names {word}", source.path)
                        .unwrap();
                }
            }
            let is_async =
                ["async fn", "async {", "async move", "async ||", ".await;", ".await?", ".await)"]
                    .iter()
                    .any(|word| line.contains(word));
            if is_async {
                writeln!(faults, "{}:{number}: a pure module is async", source.path).unwrap();
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn siblings_behind_a_seam_do_not_know_each_other() {
    let mut faults = String::new();
    for seam in ["dialect", "ingest"] {
        let prefix = format!("src/{seam}/");
        let all = sources(&["src"]);
        let mut folders: BTreeMap<String, Vec<&Source>> = BTreeMap::new();
        for source in &all {
            let Some(inside) = source.path.strip_prefix(&prefix) else { continue };
            let member = inside.split('/').next().unwrap();
            let member = member.strip_suffix(".rs").unwrap_or(member);
            // What a seam shares with everyone behind it is no sibling.
            if !matches!(
                member,
                "mod"
                    | "hook"
                    | "json"
                    | "records"
                    | "talk"
                    | "terms"
                    | "testing"
                    | "time"
                    | "view"
                    | "message"
                    | "supervisor"
            ) {
                folders.entry(member.to_owned()).or_default().push(source);
            }
        }
        for (member, files) in &folders {
            for other in folders.keys().filter(|other| *other != member) {
                for source in files {
                    for (number, line) in source.code() {
                        if line.contains(&format!("{seam}::{other}"))
                            || line.contains(&format!("super::{other}::"))
                        {
                            writeln!(faults, "{}:{number}: {member} names {other}", source.path)
                                .unwrap();
                        }
                    }
                }
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_load_generator_does_not_share_the_servers_bugs() {
    let manifest = fs::read_to_string(root().join("loadtest/Cargo.toml")).unwrap();
    assert!(
        !manifest.lines().any(|line| line.starts_with("fanwire ") || line.starts_with("fanwire.")),
        "it depends on the server"
    );
    for source in sources(&["loadtest"]) {
        assert!(!source.text.contains("use fanwire::"), "{} imports the server", source.path);
    }
}
