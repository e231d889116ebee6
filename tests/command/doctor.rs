//! The command that looks at a host: what it says, and that its exit code is the worst of it.

use std::process::Command;

use crate::secure::Folder;

/// What it says, and its exit code.
fn doctor(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let output = command.arg("doctor").args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

/// What it says about something.
fn about<'a>(said: &'a str, what: &str) -> &'a str {
    let line = said.lines().find(|line| line.contains(&format!("  {what}: ")));
    line.unwrap_or_else(|| panic!("nothing about {what} in:\n{said}"))
}

#[test]
fn it_says_how_many_subscribers_a_host_holds_and_ends_with_the_worst_that_it_found() {
    let folder = Folder::new();
    folder.certify("one", &["localhost"]);
    let (file, key) = (folder.path("one.pem"), folder.path("one.key"));
    folder.replace(
        "f.toml",
        &format!("shards = 2\nconnections_max = 123\ntls.certificate_file = '{file}'\ntls.key_file = '{key}'\n"),
    );
    let (code, said) =
        doctor(&["--config", &folder.path("f.toml"), "--data-dir", &folder.path("")]);
    let subscribers = about(&said, "subscribers");
    assert!(
        subscribers.contains("a server would hold 124 subscribers here, on 2 shards"),
        "{said}"
    );
    assert!(about(&said, "configuration").starts_with("ok "), "{said}");
    assert!(about(&said, "certificate").contains("one.pem"), "{said}");
    for what in ["backlog", "io_uring", "clock", "data folder", "fsync"] {
        assert!(!about(&said, what).is_empty());
    }
    let worst = match (
        said.contains("\nerror "),
        said.contains("\nwarning ") || said.starts_with("warning "),
    ) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    assert_eq!(code, worst, "{said}");
    // What would stop a start is an error, whatever else there is.
    folder.replace("f.toml", "auth.key_file = '/nowhere'\n");
    let (code, said) = doctor(&["--config", &folder.path("f.toml")]);
    assert_eq!(code, 2);
    let line = about(&said, "configuration");
    assert!(
        line.starts_with("error ")
            && line.contains("f.toml:1: `auth.key_file`: cannot be used: /nowhere"),
        "{said}"
    );
    let (code, said) = doctor(&["--data-dir", "/nowhere"]);
    assert!(code == 2 && about(&said, "data folder").starts_with("error "), "{said}");
    folder.replace("f.toml", "shards = 'two'\n");
    assert_eq!(doctor(&["--config", &folder.path("f.toml")]), (2, String::new()));
}
