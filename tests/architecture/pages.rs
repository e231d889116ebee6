//! What the pages name: links lead somewhere, and files, tests, constants and figures that they name are there.
//!
//! Never judges whether what a page says of them is true: the tests do that which TESTING lists.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::source::assert_none;
use super::source::root;
use super::source::sources_in;

/// Names in capitals that are no constants of ours: the environment's, or the kernel's.
const FOREIGN: [&str; 2] = ["FANWIRE_BIN", "PR_SET_THP_DISABLE"];

/// Where a file may lie that a page names without its folder.
const WITHIN: [&str; 2] = ["", "src"];

/// A page: where it lies from the root, and its text.
struct Page {
    path: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let mut paths =
        ["README.md", "CHANGELOG.md", "src/clients/js/README.md"].map(PathBuf::from).to_vec();
    for folder in ["docs", "docs/dialects", "docs/decisions"] {
        let files = fs::read_dir(root().join(folder)).unwrap();
        let files = files.map(|file| Path::new(folder).join(file.unwrap().file_name()));
        paths.extend(files.filter(|file| file.extension().is_some_and(|ending| ending == "md")));
    }
    paths.sort();
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(root().join(&path)).unwrap(),
        path: path.to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(page).collect()
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(is_prose).collect()
}

/// What stands between back quotes on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A line without what stands between back quotes.
fn unquoted(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// What a heading is called in a link: small letters, hyphens for spaces, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = |letter: char| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    };
    heading.trim().chars().filter_map(kept).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// A path without the steps back in it.
fn plain(path: &Path) -> PathBuf {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.to_str().unwrap().split('/') {
        match step {
            "." | "" => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/").into()
}

/// The links of a page that lead nowhere.
fn dead_links(page: &Page, anchors_of: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut dead = Vec::new();
    for line in prose(&page.text) {
        for link in unquoted(line).split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.contains("://") {
                continue;
            }
            let (file, at) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&page.path).parent().unwrap();
            let to =
                if file.is_empty() { page.path.clone().into() } else { plain(&folder.join(file)) };
            let is_there = root().join(&to).exists()
                && (at.is_empty()
                    || anchors_of
                        .get(to.to_str().unwrap())
                        .is_some_and(|anchors| anchors.contains(at)));
            if !is_there {
                dead.push(link.to_owned());
            }
        }
    }
    dead
}

/// Whether a word is a path of the repository: it ends like a source, or begins with one of its folders, and stands for one file.
fn is_path(word: &str) -> bool {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_.-".contains(&byte));
    let begins = ["tests/", "src/", "docs/", "benches/", "loadtest/", ".ci/"];
    is_plain
        && word.contains('/')
        && !word.starts_with('/')
        && (begins.iter().any(|folder| word.starts_with(folder)) || word.ends_with(".rs"))
}

fn is_constant(word: &str) -> bool {
    word.len() > 4
        && word.contains('_')
        && word
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn what_pages_name_is_there() {
    let pages = pages();
    assert!(pages.len() > 60, "{}", pages.len());
    let anchors_of = pages.iter().map(|page| (page.path.clone(), anchors(&page.text))).collect();
    let folders = ["src", "tests", "benches", "loadtest/src"];
    let code: String = sources_in(&folders, &["rs", "js", "mjs", "py"])
        .into_iter()
        .map(|source| source.text)
        .collect();
    let mut faults = String::new();
    for page in &pages {
        for link in dead_links(page, &anchors_of) {
            writeln!(faults, "{}: the link to {link} leads nowhere", page.path).unwrap();
        }
        for line in prose(&page.text) {
            let mut last_file = None;
            for word in quoted(line) {
                if is_path(word) {
                    let mut found = WITHIN.iter().map(|folder| root().join(folder).join(word));
                    last_file = found.find(|path| path.exists());
                    if last_file.is_none() {
                        writeln!(faults, "{}: there is no {word}", page.path).unwrap();
                    }
                } else if is_constant(word) && !FOREIGN.contains(&word) && !code.contains(word) {
                    writeln!(faults, "{}: there is no {word}", page.path).unwrap();
                } else if let Some(file) = last_file.take().filter(|file| is_test_of(file, word)) {
                    let text = fs::read_to_string(&file).unwrap();
                    if !text.contains(&format!("fn {word}(")) {
                        writeln!(faults, "{}: {} has no test {word}", page.path, file.display())
                            .unwrap();
                    }
                }
            }
            for word in line.split(|letter: char| letter != '_' && !letter.is_ascii_alphanumeric())
            {
                let figure = word.strip_prefix("fanwire_").filter(|rest| rest.contains('_'));
                if figure.is_some_and(|figure| !code.contains(figure)) {
                    writeln!(faults, "{}: there is no figure {word}", page.path).unwrap();
                }
            }
        }
    }
    assert_none(&faults);
}

/// What `.ci/run` needs, in the words in which it says so.
fn needs(script: &str) -> BTreeSet<&str> {
    let said = script.split("install ").skip(1);
    let names = said.filter_map(|text| text.split([' ', '.', '(', '\'', ')']).next());
    names.filter(|name| name.starts_with(|letter: char| letter.is_ascii_uppercase())).collect()
}

#[test]
fn pages_say_what_ci_needs() {
    let script = fs::read_to_string(root().join(".ci/run")).unwrap();
    let needs = needs(&script);
    for known in ["Rust", "Node", "Python", "Go", "Chromium", "Mosquitto", "Redis"] {
        assert!(needs.contains(known), "{needs:?}");
    }
    let mut faults = String::new();
    for page in ["README.md", "docs/TESTING.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for need in needs.iter().chain(&["valgrind", "memcached", "PostgreSQL"]) {
            if !text.contains(need) {
                writeln!(faults, "{page} does not say that `.ci/run` needs {need}").unwrap();
            }
        }
    }
    assert_none(&faults);
}

/// Whether a word behind the name of a file is to be a test in it: words joined by underscores, and enough of them.
fn is_test_of(file: &Path, word: &str) -> bool {
    file.starts_with(root().join("tests"))
        && file.extension().is_some_and(|ending| ending == "rs")
        && word.matches('_').count() >= 3
        && !word.starts_with("fanwire_")
        && word
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn what_is_not_there_is_found() {
    let page = |text: &str| Page { path: "docs/x.md".to_owned(), text: text.to_owned() };
    let anchors_of = BTreeMap::from([("docs/STYLE.md".to_owned(), anchors("# A `b` c, d\n"))]);
    let dead = |text: &str| dead_links(&page(text), &anchors_of);
    assert_eq!(dead("[a](STYLE.md#a-b-c-d) [b](../README.md) `[c](nowhere.md)`"), [""; 0]);
    assert_eq!(dead("[a](STYLE.md#e) [b](README.md)"), ["STYLE.md#e", "README.md"]);
    assert_eq!(dead("```\n[a](nowhere.md)\n```\n"), [""; 0]);
    assert!(
        is_path("shard/work.rs") && is_path("tests/x/") && !is_path("/v1/ws") && !is_path("src/*")
    );
    assert!(is_constant("READ_BYTES") && !is_constant("HTTP") && !is_constant("Read_bytes"));
}
