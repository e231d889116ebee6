//! How wide a type is: its fields, and the functions of its own in all its `impl` blocks.
//!
//! What a trait asks for is not counted, nor what tests add.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::source::assert_none;
use super::source::braced;
use super::source::code_of;
use super::source::sources;

/// A struct with more fields is two, or has a part that is not named.
const FIELDS_MAX: usize = 14;
/// A type with more functions of its own does more than one thing.
const FUNCTIONS_MAX: usize = 34;

/// Structs that may have more fields: how many, and why.
const WIDER: [(&str, usize, &str); 11] = [
    (
        "src/shard/solo.rs: Solo",
        15,
        "what a connection has while it is not in step: most of its fields are parts",
    ),
    (
        "src/history/keeper/mod.rs: Figures",
        19,
        "a table: one field for each figure that is counted",
    ),
    (
        "src/history/log/class.rs: Log",
        16,
        "a class's folder: its files, its bounds, and how far each has come",
    ),
    ("src/config/mod.rs: Config", 42, "a table: one field for each key that may be set"),
    ("src/config/mod.rs: AuthConfig", 32, "a table: one field for each key of its section"),
    ("src/shard/settings.rs: Settings", 21, "a table: what is set and the core needs to know"),
    ("src/shard/stats.rs: Stats", 37, "a table: one field for each figure that is counted"),
    (
        "src/conn/core.rs: Core",
        26,
        "the loop around a shard; entering and stopping are parts already",
    ),
    ("src/cli/publish/mod.rs: Publisher", 18, "a command's arguments, and how far it has come"),
    (
        "src/shard/session/upload.rs: Upload",
        16,
        "a body that is read line by line, and what became of the lines",
    ),
    (
        "src/shard/solo.rs: Replay",
        18,
        "how far the past has been told at each home, and where the present begins there",
    ),
];

/// Types that may have more functions: how many, and why.
const BUSIER: [(&str, usize, &str); 3] = [
    (
        "src/history/memory.rs: Memory",
        45,
        "what is kept and let go of; pages are read in a file of their own",
    ),
    (
        "src/conn/core.rs: Core",
        39,
        "the loop around a shard; entering and stopping are parts already",
    ),
    (
        "src/shard/mod.rs: Shard",
        299,
        "its fields are parts, and what needs several of them is its own",
    ),
];

/// The module at the top of the tree that a file of `src` belongs to.
fn module(path: &str) -> &str {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let module = inside.split('/').next().unwrap_or(inside);
    module.strip_suffix(".rs").unwrap_or(module)
}

/// The code of each file that is no test, without the tests in it.
fn code() -> Vec<(String, String)> {
    let of = sources(&["src"]).into_iter().filter(|source| !source.path.contains("tests"));
    of.map(|source| {
        let code = code_of(&source);
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        (source.path, code)
    })
    .collect()
}

fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

/// Structs with named fields, and how many each has.
fn structs(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for text in code.split("struct ").skip(1) {
        let name = name_at(text);
        let has_fields = text.find(['{', ';', '(']).is_some_and(|at| text[at..].starts_with('{'));
        if name.is_empty() || !has_fields {
            continue;
        }
        let is_field = |line: &&str| {
            let line = line.trim_start();
            let line = match line.strip_prefix("pub") {
                Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or("", |of| of.1),
                Some(rest) => rest.trim_start(),
                None => line,
            };
            !name_at(line).is_empty()
                && line[name_at(line).len()..].starts_with(':')
                && !line[name_at(line).len()..].starts_with("::")
        };
        found.push((name.to_owned(), braced(text).0.lines().filter(is_field).count()));
    }
    found
}

/// Whether a line of a block begins a function, as the formatter sets it.
fn is_function(line: &str) -> bool {
    let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else {
        return false;
    };
    let before = line.split_once("fn ").map(|(before, _)| before);
    before.is_some_and(|before| {
        let word = |word: &str| {
            ["const", "unsafe", "async", "extern"].contains(&word) || word.starts_with("pub")
        };
        before.replace("in ", "in:").split_whitespace().all(word)
    })
}

/// Types that have `impl` blocks of their own, and how many functions each block has.
fn blocks(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for text in code.split("\nimpl").skip(1) {
        let Some((head, _)) = text.split_once('{') else { continue };
        if head.contains(" for ") {
            continue;
        }
        let head = match head.strip_prefix('<') {
            Some(generics) => generics.split_once("> ").map_or(generics, |(_, rest)| rest),
            None => head.trim_start(),
        };
        let block = text.split("\n}").next().unwrap_or_default();
        let count = block.lines().filter(|line| is_function(line)).count();
        found.push((name_at(head).to_owned(), count));
    }
    found
}

/// What is over its limit, and what has a limit of its own and does not need it.
fn faults(
    counted: &BTreeMap<String, usize>,
    most: usize,
    excused: &[(&str, usize, &str)],
    what: &str,
) -> String {
    let mut faults = String::new();
    for (name, count) in counted {
        let own = excused.iter().find(|(excused, ..)| excused == name);
        let own_most = own.map_or(most, |(_, most, _)| *most);
        if *count > own_most {
            writeln!(faults, "{name} has {count} {what}; {own_most} are enough").unwrap();
        }
        if own.is_some() && *count <= most {
            writeln!(faults, "{name} has {count} {what}, and needs no excuse any more").unwrap();
        }
    }
    for (name, ..) in excused.iter().filter(|(name, ..)| !counted.contains_key(*name)) {
        writeln!(faults, "{name} is excused, and is no type").unwrap();
    }
    faults
}

#[test]
fn no_struct_has_more_fields_than_can_be_kept_in_mind() {
    let mut counted = BTreeMap::new();
    for (path, code) in code() {
        for (name, count) in structs(&code) {
            counted.insert(format!("{path}: {name}"), count);
        }
    }
    assert!(counted.len() > 200, "{}", counted.len());
    assert_none(&faults(&counted, FIELDS_MAX, &WIDER, "fields"));
}

#[test]
fn no_type_has_more_functions_than_can_be_kept_in_mind() {
    let all = code();
    let mut homes: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for (path, code) in &all {
        for word in ["struct ", "enum "] {
            for text in code.split(word).skip(1) {
                homes.entry((module(path), name_at(text).to_owned())).or_default().push(path);
            }
        }
    }
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for (path, code) in &all {
        for (name, count) in blocks(code) {
            // In its own file, or in the only one of the module that has such a type.
            let of_name = homes.get(&(module(path), name.clone()));
            let home = match of_name.map(Vec::as_slice) {
                Some(homes) if homes.contains(&path.as_str()) => path,
                Some([home]) => *home,
                _ => path,
            };
            *counted.entry(format!("{home}: {name}")).or_default() += count;
        }
    }
    assert!(counted.len() > 200, "{}", counted.len());
    assert_none(&faults(&counted, FUNCTIONS_MAX, &BUSIER, "functions"));
}

/// The names behind each `self.` of a function's body; an empty one where `self` stands for itself.
fn of_self(body: &str) -> Vec<&str> {
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let mut found = Vec::new();
    for (at, _) in body.match_indices("self") {
        let (before, after) = (&body[..at], &body[at + "self".len()..]);
        if before.ends_with(is_name) || after.starts_with(is_name) {
            continue;
        }
        let rest = after.trim_start().strip_prefix('.').unwrap_or_default().trim_start();
        found.push(name_at(rest));
    }
    found
}

/// The functions in the `impl` blocks of a type, and their bodies.
fn functions_of<'a>(code: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let head = format!("\nimpl {name} {{\n");
    let mut found = Vec::new();
    for text in code.split(&*head).skip(1) {
        let block = text.split("\n}\n").next().unwrap_or_default();
        for text in block.split("\n    }\n") {
            let Some((_, text)) = text.split_once("fn ") else { continue };
            let body = text.split_once(" {\n").map_or("", |(_, body)| body);
            found.push((name_at(text), body));
        }
    }
    found
}

/// What needs one part is that part's function: what is left to the shard needs several, or is what the loop around it calls.
#[test]
fn no_function_of_the_shard_is_one_parts_alone() {
    let all = code();
    let text = |path: &str| &all.iter().find(|(own, _)| own == path).unwrap().1;
    let seam = text("src/conn/world.rs");
    let (_, shard) = text("src/shard/mod.rs").split_once("pub struct Shard ").unwrap();
    let fields: Vec<&str> =
        braced(shard).0.lines().filter_map(|line| Some(line.trim().split_once(": ")?.0)).collect();
    assert_eq!(fields.len(), 14, "{fields:?}");
    let (mut faults, mut count) = (String::new(), 0);
    for (path, code) in all.iter().filter(|(path, _)| path.starts_with("src/shard/")) {
        for (name, body) in functions_of(code, "Shard") {
            count += 1;
            let mut used = of_self(body);
            used.sort_unstable();
            used.dedup();
            let is_one_parts = used.len() == 1 && fields.contains(&used[0]);
            if is_one_parts && !seam.contains(&format!("Self::{name}(")) {
                writeln!(faults, "{path}: `{name}` needs `{}` alone", used[0]).unwrap();
            }
        }
    }
    assert!(count > 250, "{count} functions of the shard were found");
    assert_none(&faults);
}

#[test]
fn what_a_function_needs_is_found() {
    let code = "\nimpl Shard {\n    fn a(&self) -> u8 {\n        self.conns\n            .len()\n    }\n\n    fn b(&mut self) {\n        f(self);\n        self.home.x(self.stats.y);\n    }\n}\n";
    let found = functions_of(code, "Shard");
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(of_self(found[0].1), ["conns"]);
    assert_eq!(of_self(found[1].1), ["", "home", "stats"]);
}

#[test]
fn fields_and_functions_are_counted() {
    let code = "pub struct A {\n    a: u8,\n    pub(super) b: B::C,\n    pub c: [u8; 3],\n}\nstruct T(u8);\nstruct U;\n\nimpl A {\n    fn a() {}\n    fn b() { c::d() }\n}\nimpl<T: X> A<T> {\n    fn c() {}\n}\nimpl D for A {\n    fn d() {}\n}\n";
    assert_eq!(structs(code), [("A".to_owned(), 3)]);
    assert_eq!(blocks(code), [("A".to_owned(), 2), ("A".to_owned(), 1)]);
}
