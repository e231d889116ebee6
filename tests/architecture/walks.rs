//! The two walks of `docs/ARCHITECTURE.md`: what is passed on their way are files that exist, each once, and functions that call each other.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use super::source::assert_none;
use super::source::root;

/// The headings of the walks, and how many files each passes at most, without those that are shown something and hand it on to nobody.
const WALKS: [(&str, usize); 2] = [("A payload", 19), ("A subscribe", 16)];

/// One row of a walk.
struct Row {
    /// `None`: a file that is shown what comes by.
    number: Option<usize>,
    file: String,
    /// Groups: the first function of each is called by the caller, the others in the file itself.
    functions: Vec<Vec<String>>,
    /// Whose file calls the first function of each group; `None`: nobody's, for it is where a walk begins.
    caller: Option<Caller>,
}

/// The row that calls.
enum Caller {
    Number(usize),
    /// The one before.
    Above,
}

/// The table behind a paragraph that begins with this.
fn rows(map: &str, heading: &str) -> Vec<Row> {
    let (_, text) = map.split_once(&format!("**{heading}")).expect("the walk is there");
    let lines = text.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    lines.take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [number, file, functions, caller, ..] = cells[..] else { panic!("{line}: four columns") };
    let words = |group: &str| group.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Row {
        number: number.parse().ok(),
        file: file.trim_matches('`').to_owned(),
        functions: functions.split(';').map(words).collect(),
        caller: match caller {
            "above" => Some(Caller::Above),
            number => number.parse().ok().map(Caller::Number),
        },
    }
}

/// Whether a text has this function.
fn declares(text: &str, function: &str) -> bool {
    [format!("fn {function}("), format!("fn {function}<")].iter().any(|head| text.contains(head))
}

/// Whether a text calls a function, or a field of that name.
fn calls(text: &str, function: &str) -> bool {
    let is_call = |(at, _): (usize, &str)| {
        let before = &text[..at];
        !before.ends_with("fn ")
            && !before.ends_with(|letter: char| letter == '_' || letter.is_ascii_alphanumeric())
    };
    text.match_indices(&format!("{function}(")).any(is_call)
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join("src").join(file)).unwrap_or_default()
}

/// What is wrong with a walk.
fn faults_of(heading: &str, most: usize, rows: &[Row], read: impl Fn(&str) -> String) -> String {
    let mut faults = String::new();
    let mut seen = BTreeSet::new();
    let (mut numbered, mut files, mut above) = (0, vec![""], "");
    for Row { number, file, functions, caller } in rows {
        let text = read(file);
        if text.is_empty() {
            writeln!(faults, "{heading}: {file} is no file").unwrap();
        }
        if !seen.insert(file) {
            writeln!(faults, "{heading}: comes back to {file}").unwrap();
        }
        for function in functions.iter().flatten().filter(|function| !declares(&text, function)) {
            writeln!(faults, "{heading}: {file} has no `{function}`").unwrap();
        }
        let inner = functions.iter().flat_map(|group| group.iter().skip(1));
        for inner in inner.filter(|inner| !calls(&text, inner)) {
            writeln!(faults, "{heading}: nothing in {file} calls `{inner}`").unwrap();
        }
        if let Some(number) = number {
            numbered += 1;
            files.push(file);
            if *number != numbered {
                writeln!(faults, "{heading}: {number} stands where {numbered} does").unwrap();
            }
        }
        let before = std::mem::replace(&mut above, file);
        let Some(caller) = caller else {
            // Where a walk begins nobody calls.
            if numbered > 1 {
                writeln!(faults, "{heading}: who calls {file}?").unwrap();
            }
            continue;
        };
        let caller = match caller {
            Caller::Number(number) => files.get(*number).copied().unwrap_or_default(),
            Caller::Above => before,
        };
        let caller_text = read(caller);
        for first in functions.iter().filter_map(|group| group.first()) {
            if !calls(&caller_text, first) {
                writeln!(faults, "{heading}: {caller} does not call `{first}` of {file}").unwrap();
            }
        }
    }
    if numbered > most || numbered == 0 {
        writeln!(faults, "{heading}: {numbered} files; {most} are enough").unwrap();
    }
    faults
}

#[test]
fn the_walks_are_true() {
    let map = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let faults = WALKS.map(|(heading, most)| faults_of(heading, most, &rows(&map, heading), read));
    assert_none(&faults.concat());
}

#[test]
fn a_walk_that_is_not_true_is_found() {
    let files = |file: &str| match file {
        "a" => "fn begin() { self.next(); }".to_owned(),
        "b" => "fn next() { inner() }\nfn inner() {}".to_owned(),
        _ => String::new(),
    };
    let faults = |table: &str| {
        let map =
            format!("**Walk**\n\n| | file | function | from |\n| --- | --- | --- | --- |\n{table}");
        faults_of("Walk", 2, &rows(&map, "Walk"), files)
    };
    let first = "| 1 | `a` | `begin` | |\n";
    assert_eq!(faults(&format!("{first}| 2 | `b` | `next`, `inner` | 1 |\n")), "");
    for (row, fault) in [
        ("| 2 | `c` | `next` | 1 |", "c is no file"),
        ("| 2 | `b` | `last` | 1 |", "b has no `last`"),
        ("| 2 | `b` | `inner` | 1 |", "a does not call `inner`"),
        ("| 2 | `b` | `next`; `inner` | 1 |", "a does not call `inner`"),
        ("| 2 | `b` | `inner`, `next` | 1 |", "nothing in b calls `next`"),
        ("| 2 | `a` | `begin` | 1 |", "comes back to a"),
        ("| 3 | `b` | `next` | 1 |", "3 stands where 2 does"),
        ("| 2 | `b` | `next` | |", "who calls b"),
        ("| 2 | `b` | `next` | 1 |\n| 3 | `b` | `next` | 1 |", "3 files; 2 are enough"),
    ] {
        let found = faults(&format!("{first}{row}\n"));
        assert!(found.contains(fault), "{row}: {found}");
    }
}
