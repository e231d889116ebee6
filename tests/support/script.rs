//! Transcripts: what is said and what is answered, line by line, in files that read like the protocol's own page.
//!
//! `#` begins one and names it; `%` sets something of the server, or says where it cannot run; `>` the client says; `<` the server says;
//! `!` somebody else publishes; `~` the client's connection is lost and it connects anew; `*` something happens to the server.
//! `@name` stands for what is not known beforehand (a stamp, an epoch, a cursor): the first time it is noted, from then on it must be the
//! same, and the client may say it back. `{{x*9}}` is nine times `x`. Never guesses: a line that is none of these fails the test.

use std::collections::BTreeMap;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// One line of a transcript.
#[derive(Clone, Debug)]
pub struct Step {
    pub line: usize,
    pub what: What,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Says(String),
    Hears(String),
    Published { times: usize, topic: String, key: String, op: Option<String>, payload: String },
    Reconnects,
    Happens(String),
}

/// One conversation.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub file: String,
    pub title: String,
    pub settings: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

impl Transcript {
    /// Whether `% <word>` stands in it.
    pub fn says(&self, word: &str) -> bool {
        self.settings.iter().any(|(key, value)| key == word && value.is_empty())
    }
}

/// All transcripts of a folder of `tests/fixtures`, files in the order of their names.
pub fn read(folder: &str) -> Vec<Transcript> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        parse(&name, &fs::read_to_string(&file).unwrap(), &mut all);
    }
    assert!(!all.is_empty(), "there are no transcripts in {folder}");
    all
}

fn parse(file: &str, text: &str, all: &mut Vec<Transcript>) {
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        let (mark, rest) = line.split_at(1);
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if mark == "#" {
            all.push(Transcript {
                file: file.to_owned(),
                title: rest.to_owned(),
                settings: Vec::new(),
                steps: Vec::new(),
            });
            continue;
        }
        let transcript = all.last_mut().unwrap_or_else(|| panic!("{file} begins without a title"));
        let what = match mark {
            "%" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                transcript.settings.push((key.to_owned(), value.to_owned()));
                continue;
            }
            ">" => What::Says(expand(rest)),
            "<" => What::Hears(expand(rest)),
            "!" => published(rest),
            "~" => What::Reconnects,
            "*" => What::Happens(rest.to_owned()),
            _ => panic!("{file}:{}: a line begins with one of # % > < ! ~ *", index + 1),
        };
        transcript.steps.push(Step { line: index + 1, what });
    }
}

/// `topic [key=K] [op=O] [times=N] {payload}`
fn published(text: &str) -> What {
    let at = text.find('{').expect("an event has a payload");
    let (words, payload) = text.split_at(at);
    let mut words = words.split_whitespace();
    let topic = words.next().expect("an event has a topic").to_owned();
    let (mut key, mut op, mut times) = (String::new(), None, 1);
    for word in words {
        match word.split_once('=') {
            Some(("key", value)) => value.clone_into(&mut key),
            Some(("op", value)) => op = Some(value.to_owned()),
            Some(("times", value)) => times = value.parse().unwrap(),
            _ => panic!("{word:?} is not key=, op= or times="),
        }
    }
    What::Published { times, topic, key, op, payload: expand(payload) }
}

/// Writes every `{{text*count}}` out.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        // A JSON object in an object is no repetition.
        let Some((inside, behind)) =
            after.split_once("}}").filter(|(inside, _)| inside.contains('*'))
        else {
            break;
        };
        let (what, count) = inside.rsplit_once('*').unwrap();
        out.push_str(before);
        out.push_str(&what.repeat(count.parse().expect("a count")));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// How many are played at a time: real servers mostly wait for their clients, and each has one of its own.
const AT_A_TIME: usize = 4;

/// Plays each, and names all that failed rather than the first.
pub fn play_all(transcripts: &[Transcript], play: impl Fn(&Transcript) + Sync) {
    let next = AtomicUsize::new(0);
    let play_next = || {
        let mut failed = Vec::new();
        while let Some(transcript) = transcripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(AssertUnwindSafe(|| play(transcript))).is_err() {
                failed.push(&transcript.title);
            }
        }
        failed
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(play_next)).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), transcripts.len());
}

/// What the names in a transcript stand for.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Puts in what is known.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        for (index, part) in text.split('@').enumerate() {
            if index == 0 {
                out.push_str(part);
                continue;
            }
            let (name, rest) = part.split_at(name_bytes(part));
            out.push_str(self.0.get(name).unwrap_or_else(|| panic!("@{name} is not known yet")));
            out.push_str(rest);
        }
        out
    }

    /// Compares, and notes what is not known yet.
    pub fn matches(&mut self, expected: &str, actual: &str) -> bool {
        let mut parts = expected.split('@');
        let Some(mut rest) = actual.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        for part in parts {
            let (name, literal) = part.split_at(name_bytes(part));
            let is_value = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let (value, after) = rest.split_at(rest.find(|c| !is_value(c)).unwrap_or(rest.len()));
            if value.is_empty()
                || (name != "_"
                    && self.0.entry(name.to_owned()).or_insert_with(|| value.to_owned()) != value)
            {
                return false;
            }
            let Some(after) = after.strip_prefix(literal) else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

fn name_bytes(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len())
}
