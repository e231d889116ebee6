//! One word, one thing: no two types of a module have the same name.
//!
//! A second thing says in its name of what it is (`PageAwaited`, `RunUnderway`). A dialect's folder is a module of its own, for no dialect knows another, and so is a
//! command's.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::source::assert_none;
use super::source::code_of;
use super::source::sources;

/// The modules that are held to it.
const MODULES: [&str; 36] = [
    "acme",
    "admin",
    "auth",
    "backend",
    "batch",
    "cli/admin",
    "cli/bridge",
    "cli/demo",
    "cli/doctor",
    "cli/history",
    "cli/publish",
    "cli/subscribe",
    "cli/token",
    "client",
    "config",
    "conn",
    "dialect/hook",
    "dialect/hyperbeam",
    "dialect/mqtt",
    "dialect/native",
    "dialect/peat",
    "dialect/provisioning",
    "dialect/resolvespec",
    "dialect/rtbdp",
    "dialect/upload",
    "event",
    "history",
    "matcher",
    "outbound",
    "server",
    "shard",
    "store",
    "tables",
    "webhook",
    "wire/http",
    "wire/mqtt",
];

/// Names that mean the same in several files, and what.
const SAME: [(&str, &str); 3] = [
    ("Map", "a hash map with the hasher of this crate, for its file alone"),
    ("Parsed", "what either notation of filters has read"),
    ("Parser", "the reader of one notation of filters"),
];

/// The types that a file declares at its top level.
fn types(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in code.lines() {
        let declared = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or("", |of| of.1),
            Some(rest) => rest.trim_start(),
            None => line,
        };
        let kinds = ["struct ", "enum ", "trait ", "type "];
        let rest = kinds.iter().find_map(|kind| declared.strip_prefix(kind));
        found.extend(rest.and_then(|rest| {
            rest.split(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric()).next()
        }));
    }
    found
}

#[test]
fn no_two_types_of_a_module_have_the_same_name() {
    let mut declared: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for source in sources(&["src"]) {
        let is_test = source.path.contains("tests") || source.path.ends_with("testing.rs");
        let inside = source.path.strip_prefix("src/").unwrap_or_default();
        let module = MODULES.into_iter().find(|module| {
            inside.strip_prefix(module).is_some_and(|rest| rest.starts_with(['/', '.']))
        });
        let Some(module) = module.filter(|_| !is_test) else { continue };
        let code = code_of(&source);
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for name in types(code) {
            declared.entry((module, name.to_owned())).or_default().push(source.path.clone());
        }
    }
    assert!(declared.len() > 1000, "{}", declared.len());
    let mut faults = String::new();
    for ((module, name), files) in declared {
        if files.len() > 1 && !SAME.iter().any(|(same, _)| *same == name) {
            writeln!(faults, "{module}: `{name}` is {} things: {}", files.len(), files.join(", "))
                .unwrap();
        }
    }
    assert_none(&faults);
}

#[test]
fn types_are_found_whatever_sees_them() {
    let code = "pub struct A<T>(T);\npub(in super::super) enum B {\n    struct_like: u8,\n}\nstruct C;\n    struct Inner;\ntype D = A<u8>;\npub trait E: Send {}\nfn f() {}\n";
    assert_eq!(types(code), ["A", "B", "C", "D", "E"]);
}
