//! Reads the source and holds it to `docs/ARCHITECTURE.md`: who may import whom, what is pure, and how long a file may be.
//!
//! A failure names each place. If the code is right, the map is wrong: change the table there and here in the same commit, and say why.
//! Never judges style that a linter can: it only knows what crosses files.

#![cfg(test)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The floors of the house: a module may import what lies on a lower one. `main` is not a module and stands on top.
const FLOORS: [&[&str]; 7] = [
    &["limits", "clock", "dashboard"],
    &["event"],
    &["position"],
    &["dialect", "matcher", "batch", "wire", "auth", "history"],
    &["shard"],
    &["conn", "admin", "store", "ingest"],
    &["config", "server", "cli"],
];

/// Steps within a floor: who, whom, and why it is no circle.
const STEPS: [(&str, &str, &str); 7] = [
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
    ("cli", "server", "`fanwire serve` starts one"),
    ("cli", "config", "`fanwire serve` reads it"),
    ("server", "config", "what was checked is wired"),
];

/// Modules that import less than their floor allows.
const STRICTER: [(&str, &[&str]); 2] = [
    // Every key's bounds are numbers from there, what may be set of a dialect is declared in its folder, and nothing that is configured may
    // reach back.
    ("config", &["limits", "dialect"]),
    // Bytes without a socket: whoever reads them adds the meaning.
    ("wire", &["limits"]),
];

/// State machines: they are handed bytes and the time, and run to completion.
const PURE: [&str; 10] = [
    "limits", "event", "position", "dialect", "matcher", "batch", "wire", "auth", "history",
    "shard",
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

/// A file longer than this is two files.
const FILE_LINES_MAX: usize = 700;
/// Files that may be longer, each with its reason. It should be empty.
const LONGER: [(&str, &str); 0] = [];

struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl Source {
    /// The module at the top of the tree that a file of `src` belongs to; `main.rs` and `lib.rs` belong to none.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let module = inside.split('/').next()?;
        let module = module.strip_suffix(".rs").unwrap_or(module);
        (module != "main" && module != "lib").then_some(module)
    }

    /// Lines that are code, with their numbers from 1; comments are cut off.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", "corpus", "fixtures"].contains(&&*name) {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        rust_files(&root().join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

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

fn assert_none(faults: &str) {
    assert!(faults.is_empty(), "\n{faults}");
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
                "mod" | "json" | "talk" | "testing" | "time" | "view" | "message" | "supervisor"
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

#[test]
fn each_import_has_a_line_of_its_own() {
    let mut faults = String::new();
    for source in sources(&["src", "tests", "benches", "loadtest"]) {
        for (number, line) in source.code() {
            let line = line.trim_start();
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let is_list = line.starts_with("use ") && line.contains('{');
            if is_list {
                writeln!(faults, "{}:{number}: one import a line", source.path).unwrap();
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn each_file_says_what_it_is_and_is_about_one_thing() {
    let mut faults = String::new();
    for source in sources(&["src", "tests", "benches", "loadtest"]) {
        let count = source.text.lines().count();
        let is_excused = LONGER.iter().any(|(path, _): &(&str, &str)| *path == source.path);
        if count > FILE_LINES_MAX && !is_excused {
            writeln!(faults, "{}: {count} lines; {FILE_LINES_MAX} are two ideas", source.path)
                .unwrap();
        }
        if !source.text.starts_with("//!") {
            writeln!(faults, "{}: it does not begin with what it is (`//!`)", source.path).unwrap();
        }
    }
    assert_none(&faults);
}

/// Traits that are seams: whoever is behind one answers for each of its methods.
const SEAMS: [&str; 4] = ["Talk", "Sink", "Disk", "Message"];

/// The text between the next brace that opens and the one that closes it, and what is behind that.
fn braced(text: &str) -> (&str, &str) {
    let (_, inside) = text.split_once('{').expect("a brace opens");
    let mut depth = 1;
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inside.split_at(at);
        }
    }
    panic!("a brace is not closed")
}

/// The functions of a block: each name, and its body if it has one.
fn functions(block: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut rest = block;
    while let Some((_, text)) = rest.split_once("fn ") {
        let name = text.split(['(', '<']).next().unwrap_or_default().to_owned();
        let end = text.find([';', '{']).unwrap_or(text.len());
        let (_, behind) = text.split_at(end);
        if behind.starts_with('{') {
            let (body, after) = braced(behind);
            found.push((name, Some(body.trim().to_owned())));
            rest = after;
        } else {
            found.push((name, None));
            rest = behind;
        }
    }
    found
}

/// A source without its comments.
fn code_of(source: &Source) -> String {
    source.code().map(|(_, line)| line.to_owned() + "\n").collect()
}

#[test]
fn no_method_of_a_seam_has_a_default_or_an_empty_body() {
    let mut faults = String::new();
    let mut seen = BTreeSet::new();
    for source in sources(&["src", "tests"]) {
        let code = code_of(&source);
        for seam in SEAMS {
            let declared = code.split(&format!("pub trait {seam}")).nth(1);
            for (name, body) in declared.map(|text| functions(braced(text).0)).unwrap_or_default() {
                seen.insert(seam);
                if body.is_some() {
                    writeln!(faults, "{}: {seam}::{name} has a default", source.path).unwrap();
                }
            }
            for text in code.split(&format!("{seam} for ")).skip(1) {
                for (name, body) in functions(braced(text).0) {
                    let is_empty = body.is_none_or(|body| body.is_empty());
                    // A party of a test may have no use for anything.
                    if is_empty && source.path.starts_with("src") {
                        writeln!(faults, "{}: {seam}::{name} is empty", source.path).unwrap();
                    }
                }
            }
        }
    }
    assert!(seen.contains("Talk") && seen.contains("Disk"), "{seen:?}");
    assert_none(&faults);
}

#[test]
fn empty_and_default_bodies_are_found() {
    let text = "trait T { fn a(&self); fn b(&self) {} fn c(&self) { 1 } }";
    let found = functions(braced(text).0);
    let body = |text: &str| Some(text.to_owned());
    assert_eq!(
        found,
        [("a".to_owned(), None), ("b".to_owned(), body("")), ("c".to_owned(), body("1"))]
    );
}
