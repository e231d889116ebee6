//! Holds the chapter on other systems' faults in `docs/SECURITY.md` to the tests that it names.
//!
//! A row that names a test that is gone, or none, fails with its place. Never judges whether the test is a good one: a reader must.

use std::fs;
use std::path::Path;

/// The chapter has at least so many rows.
const ROWS_MIN: usize = 30;

/// What stands between back quotes, in order.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether a file has this test: a function's name in Rust, a conversation's in a transcript.
fn has_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(text) = fs::read_to_string(path) else { return false };
    let needle = if Path::new(file).extension().is_some_and(|extension| extension == "rs") {
        format!("fn {name}()")
    } else {
        format!("# {name}\n")
    };
    text.contains(&needle)
}

#[test]
fn every_published_fault_is_held_by_a_test_that_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, chapter) = page.split_once("## What happened to others\n").expect("the chapter");
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = chapter.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() >= ROWS_MIN, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let held = cells.last().map(|cell| quoted(cell)).unwrap_or_default();
        let is_held = cells.len() == 4 && matches!(held[..], [file, name] if has_test(file, name));
        if !is_held {
            wrong.push(row);
        }
    }
    assert!(wrong.is_empty(), "no such test:\n{}", wrong.join("\n"));
}
