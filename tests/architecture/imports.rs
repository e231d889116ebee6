//! Which file imports which: no circle between files of different purpose, and no arrow that runs back up within a module.
//!
//! A file is a node; an arrow leads to the file that declares what is named, through whatever re-exports it. What a file takes from the modules that
//! it lies in is no arrow: a folder's files are what its `mod.rs` is about. Tests within a file are not looked at.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

use super::source::Source;
use super::source::assert_none;
use super::source::code_of;
use super::source::sources;

/// Files that are about one thing in several parts, and import each other: of which one thing.
const ONE_PURPOSE: [(&[&str], &str); 10] = [
    (
        &["shard::inquiry", "shard::input"],
        "messages, and those among them that are about an operator",
    ),
    (
        &["shard::names", "shard::outlasting"],
        "names of clients, and what lies under them in a folder",
    ),
    (
        &["config::changes", "config::row_tables", "config::sources", "config::tables"],
        "tables, and how two of them differ",
    ),
    (&["auth::grant", "auth::principal"], "what is granted, and to whom"),
    (&["wire::http::head", "wire::http::known"], "a head, and which of its names are known"),
    (&["matcher::filter::geo", "matcher::filter::polygon"], "areas, and those of many points"),
    (&["matcher::filter::search", "matcher::filter::wildcard"], "a pattern, and how it is found"),
    (
        &[
            "dialect::door",
            "dialect::outcome",
            "dialect::protocol",
            "dialect::respond",
            "dialect::subscription",
            "dialect::talk",
            "dialect::upload",
            "dialect::view",
        ],
        "what a folder declares: its doors lead to its conversations, which know how it sees events, what is asked of them, and what is said of that",
    ),
    (&["history::memory", "history::page"], "what is kept, and a page of it"),
    (
        &[
            "history::log::carried",
            "history::log::class",
            "history::log::recover",
            "history::log::retention",
        ],
        "a class's folder: how it is read back, carried on and let go of",
    ),
];

/// Of some modules the files from the lowest up, in layers: a file imports from its own layer and from those below it. A name with a star is
/// every file of a folder. What is not listed lies on top.
const ORDER: [(&str, &[&[&str]]); 4] = [
    (
        "shard",
        &[
            // Words: what is said, how things are called, what was set.
            &[
                "access",
                "bookmark",
                "closes",
                "codec",
                "deadlines",
                "doors",
                "figures",
                "histogram",
                "input",
                "inquiry",
                "kept",
                "keys",
                "lanes",
                "latency",
                "pace",
                "passed_on",
                "peer",
                "returns",
                "roll",
                "runs",
                "settings",
                "shards",
                "sink",
                "stats",
                "tally",
                "transport",
                "turn",
            ],
            // What one connection has.
            &[
                "addresses",
                "conns",
                "hold",
                "past",
                "player",
                "operator::answers",
                "session",
                "session::operator_request",
                "session::awaiting",
                "session::bare",
                "session::http",
                "session::packets",
                "session::patience",
                "session::refusals",
                "session::talk",
                "session::unread",
                "session::upload",
                "session::waits",
                "session::websocket",
                "shaped",
                "sight",
                "solo",
                "tickets",
                "ingest",
                "window",
            ],
            // Parts: they own their fields, and know no shard.
            &[
                "allowance",
                "batches",
                "brake",
                "chunk",
                "claims",
                "class",
                "classes",
                "encoded",
                "flight",
                "gathered",
                "groups",
                "home",
                "intake",
                "keeping",
                "large",
                "life",
                "mixed",
                "own",
                "past_room",
                "plays",
                "registrar",
                "rights",
                "shaping",
                "solos",
                "spending",
                "telling",
                "tokens",
                "untold",
                "voice",
            ],
        ],
    ),
    (
        "server",
        &[
            &["error", "fd_table", "memory", "memory::*", "signals"],
            &["written"],
            &["driver", "grants", "inherited", "keys", "places", "tls", "tls::*"],
            &["access", "shard_thread"],
        ],
    ),
    (
        "config",
        &[
            &["error"],
            &["file", "hooks", "levels", "listen", "places", "rows", "takes"],
            &[
                "dialects",
                "keys",
                "keys_acme",
                "keys_auth",
                "keys_hooks",
                "keys_cache",
                "keys_memory",
                "keys_proxy",
                "keys_tables",
                "keys_tls",
            ],
            &["changes", "known", "row_tables", "sources", "tables"],
        ],
    ),
    (
        "admin",
        &[
            &["page", "party_figures"],
            &[
                "board",
                "cache_figures",
                "certificates",
                "jwks",
                "jwks::*",
                "lines",
                "log",
                "orders",
                "store_figures",
            ],
            &["hook_figures", "source_figures"],
        ],
    ),
];

/// Each file's name as a module, and the code in it that is no test's.
struct Files(BTreeMap<String, String>);

/// From file to file, and by which word.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

fn module_of(source: &Source) -> Option<String> {
    let path = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let is_test = path.ends_with("tests") || path.contains("/tests/") || path.ends_with("testing");
    (!is_test && path != "main" && path != "lib").then(|| path.replace('/', "::"))
}

/// A path of names that begins with `crate`, `self`, `super` or a child, from the root.
fn from_root(files: &Files, module: &str, path: &str) -> Option<Vec<String>> {
    let mut names = path.split("::");
    let first = names.next()?;
    let mut at: Vec<&str> = match first {
        "crate" => Vec::new(),
        "self" | "super" => module.split("::").collect(),
        _ => {
            files.0.contains_key(&format!("{module}::{first}")).then_some(())?;
            module.split("::").chain([first]).collect()
        }
    };
    if first == "super" {
        at.pop();
    }
    for name in names {
        match name {
            "super" => at.truncate(at.len().saturating_sub(1)),
            name => at.push(name),
        }
    }
    Some(at.into_iter().map(str::to_owned).collect())
}

impl Files {
    fn read() -> Self {
        let all = sources(&["src"]);
        let named = all.iter().filter_map(|source| {
            let code = code_of(source);
            let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            Some((module_of(source)?, code.to_owned()))
        });
        Self(named.collect())
    }

    /// What each module hands on, and where from.
    fn handed_on(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut handed = BTreeMap::new();
        for (module, code) in &self.0 {
            for statement in code.split(';') {
                let Some((before, path)) = statement.split_once(" use ") else { continue };
                if !before.trim_start().starts_with("pub") {
                    continue;
                }
                let (path, name) = path.split_once(" as ").unwrap_or((path, ""));
                let name = if name.is_empty() { path.rsplit("::").next().unwrap() } else { name };
                if let Some(from) = from_root(self, module, path.trim()) {
                    handed.insert((module.clone(), name.trim().to_owned()), from);
                }
            }
        }
        handed
    }

    /// The file that declares what a path from the root names, and the word for it.
    fn declared(
        &self,
        handed: &BTreeMap<(String, String), Vec<String>>,
        path: &[String],
    ) -> (String, String) {
        let mut path = path.to_vec();
        // A name is handed on a few times at most.
        for _ in 0..8 {
            let known = |count: &usize| self.0.contains_key(&path[..*count].join("::"));
            let count = (1..=path.len()).take_while(known).last().unwrap_or(0);
            let module = path[..count].join("::");
            let Some(word) = path.get(count) else { return (module, String::new()) };
            match handed.get(&(module.clone(), word.clone())) {
                Some(from) => path = from.iter().chain(&path[count + 1..]).cloned().collect(),
                None => return (module, word.clone()),
            }
        }
        panic!("{path:?} is handed on in a circle")
    }

    fn arrows(&self) -> Arrows {
        let handed = self.handed_on();
        let mut arrows = Arrows::new();
        for (module, code) in &self.0 {
            for path in paths_in(code) {
                let Some(path) = from_root(self, module, path) else { continue };
                let (to, word) = self.declared(&handed, &path);
                let is_inside = module.starts_with(&format!("{to}::"));
                if !to.is_empty() && to != *module && !is_inside {
                    arrows.entry(module.clone()).or_default().insert(to, word);
                }
            }
        }
        arrows
    }
}

/// The paths that code names, but for what it hands on and to whom something is visible.
fn paths_in(code: &str) -> Vec<&str> {
    let is_name = |c: char| c == '_' || c == ':' || c.is_ascii_alphanumeric();
    let mut found = Vec::new();
    for line in code.lines() {
        let line = line.trim_start();
        let is_handed_on = line.starts_with("pub") && line.contains(" use ");
        if is_handed_on {
            continue;
        }
        let visible = line.strip_prefix("pub(in ").and_then(|line| line.split_once(')'));
        let mut rest = visible.map_or(line, |(_, rest)| rest);
        while let Some(start) = rest.find(is_name) {
            let (_, word) = rest.split_at(start);
            let end = word.find(|c| !is_name(c)).unwrap_or(word.len());
            let (word, after) = word.split_at(end);
            let word = word.trim_end_matches(':');
            if word.contains("::") && !word.starts_with(':') {
                found.push(word);
            }
            rest = after;
        }
    }
    found
}

/// The files that lie on a circle together, for each circle.
fn circles(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let reach = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = vec![from];
        while let Some(at) = next.pop() {
            for to in arrows.get(at).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to.as_str()) {
                    next.push(to);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|from| (from.as_str(), reach(from))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (from, to) in &reached {
        let on_it: BTreeSet<&str> = to
            .iter()
            .copied()
            .filter(|to| reached.get(to).is_some_and(|back| back.contains(from)))
            .collect();
        if on_it.len() > 1 && !circles.contains(&on_it) {
            circles.push(on_it);
        }
    }
    circles
}

#[test]
fn no_circle_of_imports_leads_through_files_of_different_purpose() {
    let arrows = Files::read().arrows();
    let circles = circles(&arrows);
    let mut faults = String::new();
    let purposes: Vec<BTreeSet<&str>> =
        ONE_PURPOSE.iter().map(|(files, _)| files.iter().copied().collect()).collect();
    for circle in &circles {
        if purposes.iter().any(|files| circle.is_subset(files)) {
            continue;
        }
        writeln!(faults, "a circle:").unwrap();
        for from in circle {
            for (to, word) in arrows[*from].iter().filter(|(to, _)| circle.contains(to.as_str())) {
                writeln!(faults, "    {from} -> {to} ({word})").unwrap();
            }
        }
    }
    for files in purposes.iter().filter(|files| !circles.iter().any(|on| on.is_subset(files))) {
        writeln!(faults, "{files:?} make no circle any more: take them off the list").unwrap();
    }
    assert_none(&faults);
}

#[test]
fn no_arrow_runs_back_up_within_a_module() {
    let arrows = Files::read().arrows();
    let mut faults = String::new();
    for (module, layers) in ORDER {
        let layer_of = |file: &str| {
            let file = file.strip_prefix(module)?.strip_prefix("::")?;
            let is_listed = |listed: &&str| match listed.strip_suffix('*') {
                Some(folder) => file.starts_with(folder),
                None => *listed == file,
            };
            let layer = layers.iter().position(|files| files.iter().any(&is_listed));
            Some(layer.unwrap_or(layers.len()))
        };
        for (from, to, word) in
            arrows.iter().flat_map(|(from, all)| all.iter().map(move |(to, word)| (from, to, word)))
        {
            let (Some(lower), Some(upper)) = (layer_of(from), layer_of(to)) else { continue };
            if lower < upper {
                writeln!(faults, "{from} must not import {to} ({word}), which lies above it")
                    .unwrap();
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn a_circle_is_found_and_what_is_handed_on_leads_to_its_file() {
    let files = [
        ("a", "mod x; mod y;\npub use x::X;\npub(crate) use y::Y as Z;\n"),
        ("a::x", "use super::y::Y;\npub struct X;\n"),
        ("a::y", "use crate::a::X;\npub struct Y;\n"),
        ("b", "use crate::a::Z;\nfn f() { crate::a::X::new() }\npub(in crate::a) struct B;\n"),
    ];
    let files = Files(files.map(|(name, code)| (name.to_owned(), code.to_owned())).into());
    let arrows = files.arrows();
    let from_b: Vec<&str> = arrows["b"].keys().map(String::as_str).collect();
    assert_eq!(from_b, ["a::x", "a::y"]);
    assert_eq!(circles(&arrows), [BTreeSet::from(["a::x", "a::y"])]);
}
