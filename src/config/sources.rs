//! Sources of events, as an operator declares them: `[[source]]`.
//!
//! Invariant: what is wrong with one is said with its key, file and line; what may be set of a kind of source is declared by that kind, and whether its values fit together is for it to say, at the place that was
//! noted here.

use toml::de::DeValue;

use super::Config;
use super::error::ConfigError;
use super::error::Problem;
use super::file::File;
use super::tables::Member;
use super::tables::One;
use super::tables::missing;
use super::tables::tables;
use crate::limits::SOURCES_MAX;
use crate::source::KINDS;
use crate::source::Kind;
use crate::source::MappingText;
use crate::source::PayloadText;
use crate::source::Setting;
use crate::source::Takes;
use crate::source::Value;
use crate::source::Values;

/// Seconds of a message's age, at most: a thousand years.
const AGE_S_MAX: u64 = 1000 * 366 * 24 * 60 * 60;
/// The words for what a source waits for before it goes on.
const ACKS: &[&str] = &["durable", "stored", "ordered"];
/// The words for what becomes of a message of which no event can be made.
const FAULTS: &[&str] = &["skip", "stop"];

/// One source, in its operator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    pub name: String,
    pub kind: &'static Kind,
    /// Whether the server is ready only while the source is connected.
    pub is_required: bool,
    /// What is waited for of durable topics before the far end is told that something is stored.
    pub ack: String,
    /// Whether a message of which no event can be made ends the source.
    pub stops_at_faults: bool,
    pub mapping: MappingText,
    pub values: Values,
}

pub(super) const EXAMPLE: &str = "[[source]]
name = \"telemetry\"
kind = \"file\"
path = \"/var/log/telemetry.ndjson\"
topic = \"fleet/{/vehicle/id}\"
key = \"{/vehicle/id}\"
op = \"upsert\"
filter = \"speed > 0\"

[[source]]
name = \"orders\"
kind = \"http\"
url = \"https://shop.example.org/changes\"
topic = \"orders/{header.event|changed}\"
split = \"{/items}\"
key = \"{/id}\"
op = \"{/what}\"
ops = [\"created=upsert\", \"gone=delete\"]
payload = { id = \"{/id}\", of = \"{whole/customer}\", at = \"{time}\" }
required = true
";

pub(super) const DOC: &str = "Where events come from besides publishers ([sources](sources/README.md)). `name`: of letters, digits, `-` and `_`; its position is kept under it. `kind`: one of those listed below, each with settings of its own. What a message becomes: `topic`, `key`, `op` (`upsert`, `delete`, `event`), `time` and `payload` are texts with references in braces to parts of the message: `{payload}`, a place in it as a JSON pointer (`{/vehicle/id}`), `{text}` (the payload as it is, JSON or not), `{subject}` and its parts (`{subject.0}`), `{path}` (the subject with `/` between its parts), `{key}`, `{header.NAME}`, `{time}`, `{source}`; what stands behind a `|` is taken where there is nothing (`{/team|none}`), and `{{` is a brace. `ops`: what words of the far end mean (`\"created=upsert\"`). `payload`: one reference, or a table whose members make an object. `split`: a reference to an array, each element of which is a message of its own (`{payload}` is then the element, and `{whole}` all). `filter`: only events that pass it ([FILTERS](FILTERS.md)). `age_s_max`: what was made longer ago is left out; 0: nothing is. `on_fault`: a message of which no event can be made is counted and passed over (`\"skip\"`), or ends the source (`\"stop\"`). `ack`: what a source waits for of durable topics before it goes on and has its far end forget a message: `\"durable\"` (the loss of power), `\"stored\"` (the end of the process), `\"ordered\"`. `required = true`: `/readyz` is 503 while it is not connected.";

/// Reads the list.
pub(super) fn read(
    config: &mut Config,
    name: &'static str,
    at: usize,
    value: &DeValue<'_>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    let mut all: Vec<SourceConfig> = Vec::new();
    for one in tables(name, "a list of tables: [[source]]", at, value, file)? {
        let one = one?;
        let said = source(config, &one, file)?;
        let unusable = |reason: String| {
            file.error(&one.key, one.at, Problem::Unusable { reason: reason.into() })
        };
        if all.iter().any(|other| other.name == said.name) {
            return Err(unusable(format!("a source before it is `{}`, too", said.name)));
        }
        if all.len() >= SOURCES_MAX {
            return Err(unusable(format!("there may be {SOURCES_MAX} sources")));
        }
        config.places.note(&one.key, file.origin(one.at), "");
        all.push(said);
    }
    config.sources.extend(all);
    Ok(())
}

/// The kind that a source says it is of.
fn kind_of(one: &One<'_>, file: &File<'_>) -> Result<&'static Kind, ConfigError> {
    let mut kind = None;
    for (what, member) in Member::all(&one.key, one.table) {
        if what == "kind" {
            let word = member.text(file)?;
            let found = KINDS.iter().find(|kind| kind.name == word);
            kind = Some(*found.ok_or_else(|| {
                let all: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
                let reason = format!("there is no kind `{word}`; there are {}", all.join(", "));
                member.unusable(file, Problem::Unusable { reason: reason.into() })
            })?);
        }
    }
    kind.ok_or_else(|| {
        let reason = "it has no `kind`".into();
        file.error(&one.key, one.at, Problem::Unusable { reason })
    })
}

fn source(
    config: &mut Config,
    one: &One<'_>,
    file: &File<'_>,
) -> Result<SourceConfig, ConfigError> {
    let kind = kind_of(one, file)?;
    let mut said = SourceConfig {
        name: String::new(),
        kind,
        is_required: false,
        ack: "durable".to_owned(),
        stops_at_faults: false,
        mapping: MappingText::default(),
        values: Values::of(kind, ""),
    };
    for (what, member) in Member::all(&one.key, one.table) {
        if !common(&mut said, what, &member, file)? {
            let setting = kind.settings.iter().find(|setting| setting.name == what);
            let setting = setting.ok_or_else(|| member.unknown(file))?;
            said.values.set(what, value_of(setting, &member, file)?);
        }
        member.note(config, file);
    }
    said.values.source.clone_from(&said.name);
    let lacks =
        missing([("name", !said.name.is_empty()), ("topic", !said.mapping.topic.is_empty())]);
    let required = kind.settings.iter().find(|setting| {
        matches!(setting.takes, Takes::Required) && said.values.text(setting.name).is_empty()
    });
    match lacks.or_else(|| required.map(|setting| setting.name)) {
        Some(what) => {
            let reason = format!("it has no `{what}`").into();
            Err(file.error(&one.key, one.at, Problem::Unusable { reason }))
        }
        None => Ok(said),
    }
}

/// Reads what every source may say; false: it is nothing of that.
fn common(
    said: &mut SourceConfig,
    what: &str,
    member: &Member<'_>,
    file: &File<'_>,
) -> Result<bool, ConfigError> {
    let mapping = &mut said.mapping;
    match what {
        "kind" => {}
        "name" => {
            said.name = member.text(file)?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if said.name.is_empty() || said.name.len() > 64 || !said.name.chars().all(is_word) {
                let reason = "a name has 1 to 64 letters, digits, `-` and `_`".into();
                return Err(member.unusable(file, Problem::Unusable { reason }));
            }
        }
        "required" => said.is_required = member.switch(file)?,
        "ack" => said.ack = one_of(member, ACKS, file)?,
        "on_fault" => said.stops_at_faults = one_of(member, FAULTS, file)? == "stop",
        "topic" => mapping.topic = member.text(file)?,
        "key" => mapping.key = member.text(file)?,
        "op" => mapping.op = member.text(file)?,
        "ops" => mapping.ops = member.list(file)?,
        "time" => mapping.time = member.text(file)?,
        "age_s_max" => mapping.age_s_max = member.number(AGE_S_MAX, file)?,
        "split" => mapping.split = member.text(file)?,
        "filter" => mapping.filter = member.text(file)?,
        "payload" => {
            mapping.payload = match member.members(file)? {
                Some(members) => PayloadText::Object(members),
                None => PayloadText::One(member.text(file)?),
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn one_of(
    member: &Member<'_>,
    of: &'static [&'static str],
    file: &File<'_>,
) -> Result<String, ConfigError> {
    let word = member.text(file)?;
    if of.contains(&word.as_str()) {
        return Ok(word);
    }
    Err(member.unusable(file, Problem::NotOneOf { found: word.into(), of }))
}

fn value_of(setting: &Setting, member: &Member<'_>, file: &File<'_>) -> Result<Value, ConfigError> {
    Ok(match setting.takes {
        Takes::Required | Takes::Text { .. } => Value::Text(member.text(file)?),
        Takes::Word { of } => Value::Text(one_of(member, of, file)?),
        Takes::Switch { .. } => Value::Switch(member.switch(file)?),
        Takes::List => Value::List(member.list(file)?),
        Takes::Number { min, max, .. } => {
            let number = member.number(max, file)?;
            if number < min {
                let found = number.to_string().into();
                return Err(member.unusable(file, Problem::OutOfRange { found, min, max }));
            }
            Value::Number(number)
        }
    })
}

/// Each kind with its settings, as the page lists them.
pub(super) fn kinds_page() -> String {
    let mut page = String::new();
    for kind in KINDS {
        page.push_str(&format!("\n`kind = \"{}\"`: {}\n", kind.name, kind.doc));
        if kind.settings.is_empty() {
            continue;
        }
        page.push_str("\n| setting | values | default | meaning |\n| --- | --- | --- | --- |\n");
        for Setting { name, takes, doc } in kind.settings {
            let (values, default) = match takes {
                Takes::Required => ("a string".to_owned(), "(it must be there)".to_owned()),
                Takes::Text { default } => ("a string".to_owned(), format!("`\"{default}\"`")),
                Takes::Word { of } => {
                    let words: Vec<String> =
                        of.iter().map(|word| format!("`\"{word}\"`")).collect();
                    (words.join(", "), words.first().cloned().unwrap_or_default())
                }
                Takes::Switch { default } => ("`true`, `false`".to_owned(), format!("`{default}`")),
                Takes::Number { min, max, default, unit } => {
                    (format!("{min} to {max} {unit}"), format!("`{default}`"))
                }
                Takes::List => ("a list of strings".to_owned(), "`[]`".to_owned()),
            };
            page.push_str(&format!("| `{name}` | {values} | {default} | {doc} |\n"));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("f.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_is_read_with_what_its_kind_declares() {
        let config = parsed(EXAMPLE).unwrap();
        let [telemetry, orders] = &config.sources[..] else { panic!("{:?}", config.sources) };
        assert_eq!((telemetry.kind.name, telemetry.is_required), ("file", false));
        assert_eq!(telemetry.values.text("path"), "/var/log/telemetry.ndjson");
        assert_eq!(telemetry.values.source, "telemetry");
        assert_eq!(orders.mapping.ops, ["created=upsert", "gone=delete"]);
        let PayloadText::Object(members) = &orders.mapping.payload else { panic!() };
        assert!(members.contains(&("at".to_owned(), "{time}".to_owned())));
        assert_eq!(config.places.of("source[0].path").to_string(), "f.toml:4");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let begin = "[[source]]\nname = 'a'\nkind = 'file'\ntopic = 't'\n";
        for (text, said) in [
            (
                "source = 1",
                "f.toml:1: `source`: must be a list of tables: [[source]], and is a whole number",
            ),
            ("[[source]]\nname = 'a'", "f.toml:1: `source[0]`: cannot be used: it has no `kind`"),
            (
                "[[source]]\nkind = 'fax'",
                "f.toml:2: `source[0].kind`: cannot be used: there is no kind `fax`; there are ",
            ),
            (begin, "f.toml:1: `source[0]`: cannot be used: it has no `path`"),
            (&format!("{begin}paths = 'x'"), "f.toml:5: `source[0].paths`: there is no such key"),
            (
                &format!("{begin}path = 7"),
                "f.toml:5: `source[0].path`: must be a string, and is a whole number",
            ),
            (
                &format!("{begin}path = 'x'\nstart = 'middle'"),
                "f.toml:6: `source[0].start`: must be one of ",
            ),
            (
                &format!("{begin}path = 'x'\nack = 'maybe'"),
                "f.toml:6: `source[0].ack`: must be one of durable, stored, ordered, and is \"maybe\"",
            ),
            (
                &format!("{begin}path = 'x'\n{begin}path = 'x'"),
                "f.toml:6: `source[1]`: cannot be used: a source before it is `a`, too",
            ),
            (
                "[[source]]\nkind = 'file'\nname = 'a b'",
                "f.toml:3: `source[0].name`: cannot be used: a name has 1 to 64 letters",
            ),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.starts_with(said), "{found}");
        }
    }
}
