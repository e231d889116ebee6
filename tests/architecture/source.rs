//! The source as text: its files, their code without comments, and what stands between braces.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The module at the top of the tree that a file of `src` belongs to; `main.rs` and `lib.rs` belong to none.
    pub(crate) fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let module = inside.split('/').next()?;
        let module = module.strip_suffix(".rs").unwrap_or(module);
        (module != "main" && module != "lib").then_some(module)
    }

    /// Lines that are code, with their numbers from 1; comments are cut off.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder and its folders whose names end so, without what others made.
fn files_of(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", "corpus", "fixtures"].contains(&&*name) {
            files_of(&path, endings, found);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|of| ending == *of)) {
            found.push(path);
        }
    }
}

pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    sources_in(folders, &["rs"])
}

/// The sources in other languages, too.
pub(crate) fn sources_in(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        files_of(&root().join(folder), endings, &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(read).collect()
}

pub(crate) fn assert_none(faults: &str) {
    assert!(faults.is_empty(), "\n{faults}");
}

/// The text between the next brace that opens and the one that closes it, and what is behind that.
pub(crate) fn braced(text: &str) -> (&str, &str) {
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
pub(crate) fn functions(block: &str) -> Vec<(String, Option<String>)> {
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
pub(crate) fn code_of(source: &Source) -> String {
    source.code().map(|(_, line)| line.to_owned() + "\n").collect()
}
