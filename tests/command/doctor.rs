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

#[test]
fn the_configured_data_folder_is_looked_at_where_topics_are_durable() {
    let folder = Folder::new();
    let data = folder.path("data");
    let config = |durable: &str| {
        folder.replace("f.toml", &format!("shards = 1\ndata_dir = '{data}'\n{durable}"));
        doctor(&["--config", &folder.path("f.toml")])
    };
    let (_, said) = config("");
    assert!(!said.contains("  data folder: "), "nothing is kept: {said}");
    let durable = "[[history.durable]]\ntopics = ['fleet/**']\n";
    let (_, said) = config(durable);
    assert!(about(&said, "history").contains("there is none in it yet"), "{said}");
    assert!(about(&said, "data folder").starts_with("ok ") && !about(&said, "fsync").is_empty());

    let imported = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["history", "import", &data, "/dev/null"])
        .output()
        .unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let (_, said) = config(durable);
    let history = about(&said, "history");
    assert!(history.starts_with("ok ") && history.contains("format 2, left in order"), "{said}");
    assert!(about(&said, "owner").contains("nobody has it"), "{said}");

    let lock = std::fs::File::open(format!("{data}/lock")).unwrap();
    lock.lock().unwrap();
    let (_, said) = config(durable);
    let owner = about(&said, "owner");
    assert!(owner.contains("it is in use by fanwire history, process "), "{said}");
    drop(lock);

    let text = "fanwire history 9\nnobody knows\n";
    let text = format!("{text}sum {:08x}\n", crc32c::crc32c(text.as_bytes()));
    std::fs::write(format!("{data}/manifest"), text).unwrap();
    let (code, said) = config(durable);
    let history = about(&said, "history");
    assert!(code == 2 && history.starts_with("error ") && history.contains("format 9"), "{said}");
}
