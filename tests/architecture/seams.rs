//! No method of a seam has a default or an empty body.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::source::assert_none;
use super::source::braced;
use super::source::code_of;
use super::source::functions;
use super::source::sources;

/// Traits that are seams: whoever is behind one answers for each of its methods.
const SEAMS: [&str; 5] = ["Talk", "Sink", "Disk", "Message", "Connector"];

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
