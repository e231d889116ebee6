//! What a file looks like: how long it is, how it begins, how it imports.

use std::fmt::Write;

use super::source::assert_none;
use super::source::sources;

/// A file longer than this is two files.
const FILE_LINES_MAX: usize = 500;

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
        if count > FILE_LINES_MAX {
            writeln!(faults, "{}: {count} lines; {FILE_LINES_MAX} are two ideas", source.path)
                .unwrap();
        }
        if !source.text.starts_with("//!") {
            writeln!(faults, "{}: it does not begin with what it is (`//!`)", source.path).unwrap();
        }
    }
    assert_none(&faults);
}
