//! `fanwire history` as a person has it: what it prints, its exit codes, and whose a folder is.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use fanwire::store::Lock;

/// A folder that goes when the test does.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanwire-{name}-{}", std::process::id()));
        // Left of a run that was killed.
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.0.join(format!("1/{number:016}.log"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn history(words: &[&str], folder: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .arg("history")
        .arg(words[0])
        .arg(folder)
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses the first line reads no further.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn lines(count: u64) -> String {
    (0..count)
        .map(|number| {
            let time_us = 1_900_000_000_000_000 + number;
            format!(
                "{{\"topic\":\"fleet/{}\",\"key\":\"k\",\"time_us\":{time_us},\"payload\":{{ \"n\" : {number}.50 }}}}\n",
                number % 3
            )
        })
        .collect()
}

#[test]
fn what_goes_in_comes_out_and_into_another_folder_the_same() {
    let (one, other) = (Place::new("history-out"), Place::new("history-in"));
    assert_eq!(told(&history(&["import"], &one.0, &lines(2_500))), (0, "2500 events\n".to_owned()));
    let (code, exported) = told(&history(&["export"], &one.0, ""));
    assert_eq!((code, exported.lines().count()), (0, 2_500));
    assert_eq!(
        exported.lines().next().unwrap(),
        r#"{"topic":"fleet/0","key":"k","op":"upsert","offset":1,"previous":0,"time_us":1900000000000000,"home":0,"payload":{ "n" : 0.50 }}"#
    );
    told(&history(&["import"], &other.0, &exported));
    assert_eq!(told(&history(&["export"], &other.0, "")), (0, exported));
    let (code, some) = told(&history(&["export", "--topic", "fleet/1"], &one.0, ""));
    assert_eq!((code, some.lines().count()), (0, 833));
    let (code, info) = told(&history(&["info"], &one.0, ""));
    assert_eq!(code, 0, "{info}");
    assert!(info.contains("left     in order") && info.contains("2500 events"), "{info}");
    assert!(info.contains("fleet/0  834 events, newest offset 834"), "{info}");
    let (code, verdict) = told(&history(&["verify"], &one.0, ""));
    assert_eq!((code, &*verdict), (0, "sound: 2500 events in 3 good blocks\n"));
}

#[test]
fn a_line_that_cannot_be_is_named_and_what_stood_before_it_is_kept() {
    let place = Place::new("history-lines");
    for (line, fault) in [
        ("{\"topic\":\"a\"}", "missing field `payload`"),
        ("{\"topic\":\"a//b\",\"payload\":{}}", "topic has an empty segment at byte 2"),
        ("{\"topic\":\"a\",\"payload\":[]}", "payload must be one JSON object"),
        ("{\"topic\":\"a\",\"payload\":{},\"op\":\"leave\"}", "op is \"leave\""),
        ("{\"topic\":\"a\",\"payload\":{},\"offset\":0}", "offset 0 does not lie above"),
        ("{\"topic\":\"fleet/0\",\"payload\":{},\"time_us\":7}", "time_us 7 does not lie above"),
        ("{\"topic\":\"a\",\"payload\":{},\"colour\":1}", "unknown field `colour`"),
        (
            "{\"topic\":\"a\",\"payload\":{},\"meta\":{\"qos\":3}}",
            "meta.qos is 3; it may be 0, 1 or 2",
        ),
    ] {
        let (code, said) = told(&history(
            &["import"],
            &place.0,
            &format!("{}{line}\n", lines(1).replace(",\"time_us\":1900000000000000", "")),
        ));
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("line 2: ") && said.contains(fault), "{line}: {said}");
    }
    let (_, info) = told(&history(&["info"], &place.0, ""));
    assert!(info.contains("fleet/0  8 events, newest offset 8"), "{info}");
    let (code, said) = told(&history(&["import", "--topics", "ships/*"], &place.0, &lines(1)));
    assert_eq!(code, 2);
    assert!(said.contains("topic fleet/0 is none of this class"), "{said}");
}

#[test]
fn what_is_lost_is_said_topic_by_topic_and_repair_writes_what_was_missing() {
    let place = Place::new("history-lost");
    told(&history(&["import"], &place.0, &lines(2_500)));
    let mut bytes = fs::read(place.segment(1)).unwrap();
    // In the body of the first block, behind its head and summary.
    bytes[400] ^= 1;
    fs::write(place.segment(1), &bytes).unwrap();
    let (code, verdict) = told(&history(&["verify"], &place.0, ""));
    assert_eq!(code, 1, "{verdict}");
    for line in [
        "class 1: 0000000000000001.log: bytes 0 to ",
        "  fleet/0: offsets 1 to 334\n",
        "  fleet/2: offsets 1 to 333\n",
        "NOT sound: 1500 events in 2 good blocks\n",
    ] {
        assert!(verdict.contains(line), "{line} in {verdict}");
    }
    let (code, exported) = told(&history(&["export"], &place.0, ""));
    assert_eq!(code, 1);
    let rest: Vec<&str> = exported.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(rest.len(), 1_500);
    // Into another folder without the second thousand: somebody is told that they are missing.
    let other = Place::new("history-lost-in");
    let some = [&rest[..500], &rest[1_000..]].concat().join("\n");
    let (code, said) = told(&history(&["import"], &other.0, &some));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 times a line says that events stood before it"), "{said}");

    // One copy of the manifest is enough, and a torn end is cut.
    fs::write(place.0.join("manifest"), "rotten").unwrap();
    bytes[400] ^= 1;
    fs::write(place.segment(1), [&bytes[..], &bytes[..99]].concat()).unwrap();
    fs::remove_file(place.0.join("1/synced")).unwrap();
    let (_, verdict) = told(&history(&["verify"], &place.0, ""));
    assert!(
        verdict.contains(&format!("torn at byte {} of {}", bytes.len(), bytes.len() + 99)),
        "{verdict}"
    );
    assert_eq!(
        told(&history(&["repair"], &place.0, "")),
        (0, "sound: 2500 events in 3 good blocks\n".to_owned())
    );
    assert_eq!(fs::read(place.segment(1)).unwrap(), bytes);
    assert_eq!(
        fs::read(place.0.join("manifest")).unwrap(),
        fs::read(place.0.join("manifest.copy")).unwrap()
    );
}

#[test]
fn a_folder_has_one_owner_and_whoever_comes_second_is_told_who() {
    let place = Place::new("history-owner");
    told(&history(&["import"], &place.0, &lines(1)));
    let lock = Lock::take(&place.0, "the first").unwrap();
    for words in [&["info"][..], &["verify"], &["repair"], &["export"], &["import"]] {
        let (code, said) = told(&history(words, &place.0, ""));
        assert_eq!(code, 1, "{words:?}");
        let holder = format!("it is in use by the first, process {}", std::process::id());
        assert!(said.contains(&holder), "{words:?}: {said}");
    }
    drop(lock);
    assert_eq!(told(&history(&["verify"], &place.0, "")).0, 0);
}

#[test]
fn what_is_no_history_is_refused_and_left_alone() {
    let place = Place::new("history-none");
    let (code, said) = told(&history(&["info"], &place.0, ""));
    assert_eq!(code, 2);
    assert!(said.contains("No such file or directory"), "{said}");
    fs::create_dir(&place.0).unwrap();
    let (code, said) = told(&history(&["verify"], &place.0, ""));
    assert_eq!((code, said.contains("there is no history in it")), (2, true), "{said}");
    let later = "fanwire history 3\nwhatever\n";
    let later = format!("{later}sum {:08x}\n", crc32c::crc32c(later.as_bytes()));
    fs::write(place.0.join("manifest"), &later).unwrap();
    for words in [&["info"][..], &["repair"], &["import"]] {
        let (code, said) = told(&history(words, &place.0, &lines(1)));
        assert_eq!(code, 2);
        assert!(
            said.contains("the folder is of format 3, and this version knows formats up to 2"),
            "{said}"
        );
    }
    assert_eq!(fs::read_to_string(place.0.join("manifest")).unwrap(), later);
    assert!(!place.0.join("1").exists());
}

#[test]
fn a_folder_of_the_first_format_is_read_for_ever_and_goes_on_in_the_newest() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/history");
    let place = Place::new("history-format-1");
    fs::create_dir_all(place.0.join("1")).unwrap();
    for name in ["manifest", "manifest.copy", "1/synced"] {
        fs::copy(fixtures.join("format-1").join(name), place.0.join(name)).unwrap();
    }
    for number in [1, 2] {
        for kind in ["log", "index"] {
            let name = format!("1/{number:016}.{kind}");
            fs::copy(fixtures.join("format-1").join(&name), place.0.join(&name)).unwrap();
        }
    }
    let recorded = fs::read_to_string(fixtures.join("format-1.ndjson")).unwrap();
    assert_eq!(told(&history(&["export"], &place.0, "")), (0, recorded.clone()));
    let old = fs::read(place.segment(1)).unwrap();
    let line = r#"{"topic":"fleet/north","key":"k","payload":{"new":1},"meta":{"qos":1,"retained":true,"properties":"AwAEdGV4dA=="}}"#;
    assert_eq!(told(&history(&["import"], &place.0, line)), (0, "1 events\n".to_owned()));
    let manifest = fs::read_to_string(place.0.join("manifest")).unwrap();
    assert!(manifest.starts_with("fanwire history 2\n"), "{manifest}");
    assert_eq!(fs::read(place.segment(1)).unwrap(), old, "what is there is not rewritten");
    let (code, exported) = told(&history(&["export"], &place.0, ""));
    let (before, added) = exported.split_at(recorded.len());
    assert_eq!((code, before), (0, &*recorded));
    let meta = r#""meta":{"qos":1,"retained":true,"properties":"AwAEdGV4dA=="}}"#;
    assert!(added.trim_end().ends_with(meta), "{added}");
}
