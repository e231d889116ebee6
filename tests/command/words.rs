//! Completions and pages of the manual: of every command; no page has what is hidden.

use std::process::Command;

fn fanwire(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fanwire")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shells_complete_every_command() {
    for (shell, words) in [
        ("bash", ["fanwire__subcmd__serve", "--data-dir"]),
        ("zsh", ["_fanwire__subcmd__serve", "--data-dir"]),
        ("fish", ["__fish_fanwire_using_subcommand serve", "-l data-dir"]),
    ] {
        let said = fanwire(&["completions", shell]);
        for word in words {
            assert!(said.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn there_is_a_page_of_every_command() {
    let folder = std::env::temp_dir().join(format!("fanwire-man-{}", std::process::id()));
    assert_eq!(fanwire(&["man", folder.to_str().unwrap()]), "");
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in
        ["fanwire.1", "fanwire-serve.1", "fanwire-admin-explain.1", "fanwire-history-export.1"]
    {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        let page = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(page.contains(".TH ") && page.contains(".SH DESCRIPTION"), "{page}");
        assert!(!page.contains("ready-fd"), "what is hidden");
    }
    assert!(names.iter().all(|name| !name.contains("help")), "{names:?}");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(fanwire(&["man"]).contains("fan\\-out server"));
}
