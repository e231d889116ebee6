//! Commands that the pages show can be typed: each names a command that there is, with options that it has.
//!
//! Never runs them: OPERATING's are run by `tests/operating/guide.rs`, the others' deeds have tests of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// The pages for users: README, the JavaScript client's, and `docs` but for its decisions.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    for folder in ["docs", "docs/dialects"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path());
        pages.extend(files.filter(|file| file.extension().is_some_and(|ending| ending == "md")));
    }
    pages
}

/// The commands of a page: in blocks for a shell each line's, and in prose what is quoted.
fn commands(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut block = None;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            block = match block {
                None => Some(language),
                Some(_) => None,
            };
            continue;
        }
        let parts: Vec<&str> = match block {
            None => line
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|part| part.starts_with("fanwire "))
                .collect(),
            Some("sh" | "console") => {
                let starts = line.match_indices("fanwire ").filter(|(at, _)| {
                    let before = line.get(..*at).unwrap_or_default();
                    let is_begun = before.trim_end().ends_with(['|', '&', ';', '('])
                        || before.trim().is_empty()
                        || before == "$ ";
                    is_begun && !before.contains('#')
                });
                starts.filter_map(|(at, _)| line.get(at..)).collect()
            }
            Some(_) => continue,
        };
        found.extend(parts);
    }
    found
}

/// The words of a command, up to where the shell ends it; what is quoted is one word.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '|' | '&' | ';' | ')' | '>' | '<' | '#' | '\\') => break,
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().expect("there is one at least").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What `--help` says of a command; `None`: there is no such command.
fn help(path: &[String]) -> Option<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fanwire")).args(path).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The options and commands that a text of help lists, each at the beginning of its line.
fn lists(help: &str, word: &str) -> bool {
    let is_end = |text: &str| !text.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric());
    help.lines().any(|line| {
        let line = line.trim_start();
        let line = line
            .get(4..)
            .filter(|_| line.starts_with('-') && line.get(2..4) == Some(", "))
            .unwrap_or(line);
        line.strip_prefix(word).is_some_and(is_end)
    })
}

#[test]
fn every_command_that_a_page_shows_can_be_typed() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for command in commands(&text) {
            count += 1;
            let mut path = Vec::new();
            helps.entry(path.clone()).or_insert_with(|| help(&[]).expect("it has help"));
            let mut is_value = false;
            for word in words(command).into_iter().skip(1) {
                let known = &helps[&path];
                if let Some(option) = word.strip_prefix("--") {
                    let name = option.split('=').next().unwrap_or_default();
                    if !name.is_empty() && !lists(known, &format!("--{name}")) {
                        wrong.push(format!("{}: {command}: no option --{name}", page.display()));
                    }
                    is_value = !option.contains('=');
                    continue;
                }
                let may_be_value = std::mem::take(&mut is_value);
                if !known.contains("\nCommands:\n") {
                    continue;
                }
                // What stands behind a command that has commands is one of them, or an option's value. What is no word at all is the program's own text.
                let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase());
                if is_word && lists(known, &word) {
                    path.push(word);
                    helps
                        .entry(path.clone())
                        .or_insert_with_key(|path| help(path).expect("it is listed"));
                } else if is_word && !may_be_value {
                    wrong.push(format!("{}: {command}: no command {word}", page.display()));
                } else if !may_be_value {
                    break;
                }
            }
        }
    }
    assert!(count >= 60, "the pages were not understood: {count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_program_needs_no_library_but_the_systems() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_fanwire")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| {
        let path = line.split_whitespace().next()?.to_owned();
        path.rsplit('/').next().map(str::to_owned)
    };
    let of_system = [
        "linux-vdso.so",
        "ld-linux",
        "libc.so",
        "libm.so",
        "libgcc_s.so",
        "libdl.so",
        "libpthread.so",
        "librt.so",
    ];
    let names: Vec<String> = said.lines().filter_map(name).collect();
    assert!(names.iter().any(|name| name.starts_with("libc.so")), "it was not understood: {said}");
    let others: Vec<&String> =
        names.iter().filter(|name| !of_system.iter().any(|own| name.starts_with(own))).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn what_cannot_be_typed_is_found() {
    let page = "a `fanwire x --y` b\n```sh\nfanwire a --b 'c | d' | e   # fanwire f\nz | fanwire g\n```\n```js\nfanwire h\n```\n";
    assert_eq!(
        commands(page),
        ["fanwire x --y", "fanwire a --b 'c | d' | e   # fanwire f", "fanwire g"]
    );
    assert_eq!(words("fanwire a --b 'c | d' | e"), ["fanwire", "a", "--b", "c | d"]);
    let help = "Commands:\n  serve  Run\n\nOptions:\n  -h, --help\n      --listen <A>  where\n";
    assert!(lists(help, "serve") && lists(help, "--listen") && lists(help, "--help"));
    assert!(!lists(help, "ser") && !lists(help, "--list") && !lists(help, "Run"));
}
