//! From TOML to checked values.
//!
//! Every key and value passes through `put`, whether it comes from a file, the command line or the list of defaults.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Config;
use super::changes::written;
use super::error::ConfigError;
use super::error::Origin;
use super::error::Problem;
use super::file::File;
use super::known::Known;
use super::known::every;
use super::tables;
use super::takes::type_name;
use crate::dialect::Protocol;

/// Sets everything that a file's text sets.
pub(super) fn set_all(config: &mut Config, text: &str, path: &Path) -> Result<(), ConfigError> {
    let file = File { text, path };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        file.error("", start, Problem::Syntax(error.message().into()))
    })?;
    set_table(config, "", table.get_ref(), &file)
}

/// Sets one key to a value that is written as in a file.
pub(super) fn set(
    config: &mut Config,
    key: &str,
    value: &str,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let error = |problem| ConfigError::new(key, origin.clone(), problem);
    let value =
        DeValue::parse(value).map_err(|syntax| error(Problem::Syntax(syntax.message().into())))?;
    let known = find(config, key).map_err(error)?;
    known.set(config, value.get_ref()).map_err(error)?;
    if *origin != Origin::Default {
        config.places.note(known.name(), origin.clone(), &written(value.get_ref()));
    }
    Ok(())
}

/// Sets one key to a word of the command line: text stands there without quotes.
pub(super) fn set_word(config: &mut Config, key: &str, word: &str) -> Result<(), ConfigError> {
    let error = |problem| ConfigError::new(key, Origin::CommandLine, problem);
    let known = find(config, key).map_err(error)?;
    if !known.is_word(word) {
        return set(config, key, word, &Origin::CommandLine);
    }
    let value = DeValue::String(word.into());
    known.set(config, &value).map_err(error)?;
    config.places.note(known.name(), Origin::CommandLine, &written(&value));
    Ok(())
}

fn set_table(
    config: &mut Config,
    prefix: &str,
    table: &DeTable<'_>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    for (name, value) in table {
        set_entry(config, &format!("{prefix}{}", name.get_ref()), name.span().start, value, file)?;
    }
    Ok(())
}

fn set_entry(
    config: &mut Config,
    key: &str,
    key_at: usize,
    value: &Spanned<DeValue<'_>>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    if tables::set(config, key, key_at, value.get_ref(), file)? {
        return Ok(());
    }
    let is_table = every(&config.protocols())
        .any(|known| known.name().strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
    match value.get_ref() {
        DeValue::Table(table) if is_table => set_table(config, &format!("{key}."), table, file),
        other if is_table => {
            let problem = Problem::WrongType { wanted: "a table", found: type_name(other) };
            Err(file.error(key, key_at, problem))
        }
        other => {
            let known = find(config, key).map_err(|problem| file.error(key, key_at, problem))?;
            known
                .set(config, other)
                .map_err(|problem| file.error(key, value.span().start, problem))?;
            config.places.note(known.name(), file.origin(value.span().start), &written(other));
            Ok(())
        }
    }
}

fn find(config: &Config, key: &str) -> Result<Known, Problem> {
    let protocols = config.protocols();
    let found = every(&protocols).find(|known| known.name() == key);
    found.ok_or_else(|| Problem::UnknownKey { meant: meant(&protocols, key) })
}

/// The key that differs least, if it differs little.
fn meant(protocols: &[&'static Protocol], key: &str) -> Option<Box<str>> {
    let near = every(protocols)
        .map(|known| (distance(key, known.name()), Box::from(known.name())))
        .min()?;
    (near.0 <= 2).then_some(near.1)
}

/// How many letters must be added, left out or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::super::DriverChoice;
    use super::*;
    use crate::config::Listen;
    use crate::dialect::PROTOCOLS;
    use crate::limits::LISTENS_MAX;

    fn parsed(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("fanwire.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn each_default_is_possible() {
        for key in every(PROTOCOLS) {
            let mut config = Config::blank(PROTOCOLS);
            set(&mut config, key.name(), key.default(), &Origin::Default).unwrap();
        }
        assert_eq!(parsed("").unwrap(), Config::default());
    }

    #[test]
    fn each_key_is_known_once_and_documented() {
        for key in every(PROTOCOLS) {
            let name = key.name();
            let count = every(PROTOCOLS).filter(|other| other.name() == name).count();
            assert_eq!(count, 1, "{name}");
            assert!(key.doc().ends_with('.'), "{name}");
        }
    }

    #[test]
    fn a_file_overrides_the_defaults() {
        let text = "driver = 'epoll'\nlisten = '[::1]:9'\n[history]\nage_s_max = 0x10\n";
        let config = parsed(text).unwrap();
        assert_eq!(config.driver, DriverChoice::Epoll);
        assert_eq!(config.listen.to_string(), "[::1]:9");
        assert_eq!(config.history.age_s_max, 16);
        assert_eq!(config.history.bytes_max, Config::default().history.bytes_max);
        assert_eq!(parsed("history.age_s_max = 16").unwrap().history, config.history);
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let cases = [
            (
                "shards = 1\nshard = 2",
                "fanwire.toml:2: `shard`: there is no such key; did you mean `shards`?",
            ),
            ("[history]\n\nzebra = 2", "fanwire.toml:3: `history.zebra`: there is no such key"),
            ("[herstory]\nage_s_max = 2", "fanwire.toml:1: `herstory`: there is no such key"),
            ("history = 3", "fanwire.toml:1: `history`: must be a table, and is a whole number"),
            ("\npin = 'yes'", "fanwire.toml:2: `pin`: must be true or false, and is a string"),
            (
                "shards = 1.5",
                "fanwire.toml:1: `shards`: must be a whole number, and is a number with a fraction",
            ),
            ("shards = 65", "fanwire.toml:1: `shards`: must be from 0 to 64, and is 65"),
            ("shards = -1", "fanwire.toml:1: `shards`: must be from 0 to 64, and is -1"),
            (
                "driver = 'kqueue'",
                "fanwire.toml:1: `driver`: must be one of auto, io_uring, epoll, and is \"kqueue\"",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(parsed(text).unwrap_err(), message);
        }
        let message = parsed("listen = 'localhost'").unwrap_err();
        assert!(
            message.starts_with("fanwire.toml:1: `listen`: must be an IP address and a port"),
            "{message}"
        );
        let message = parsed("shards = 1\n= 2").unwrap_err();
        assert!(message.starts_with("fanwire.toml:2: is not TOML: "), "{message}");
        let message = parsed("shards = 99999999999999999999999").unwrap_err();
        assert!(message.starts_with("fanwire.toml:1: "), "{message}");
    }

    #[test]
    fn tables_of_the_operators_own_names_are_read_with_their_places() {
        let text = "[[auth.keys]]\nname = 'a'\nalgorithm = 'RS256'\nfile = 'a.pem'\n[[auth.keys]]\nalgorithm = 'EdDSA'\nfile = 'b.pem'\n[roles.viewer]\nsubscribe = [\n 'adsb/**',\n]\nfilter = 'a = 1'\n[roles.\"two words\"]\n[event_types]\nLogEntry = []\n";
        let config = parsed(text).unwrap();
        assert_eq!(config.auth.keys.len(), 2);
        assert_eq!((&*config.auth.keys[0].name, &*config.auth.keys[1].algorithm), ("a", "EdDSA"));
        let viewer = &config.roles["viewer"];
        assert_eq!(
            (viewer.subscribe.as_ref().map(Vec::len), viewer.filter.as_deref()),
            (Some(1), Some("a = 1"))
        );
        assert!(config.roles.contains_key("two words") && viewer.publish.is_none());
        assert_eq!(config.event_types["LogEntry"], [""; 0]);
        assert_eq!(config.places.of("roles.viewer.filter").to_string(), "fanwire.toml:12");
        assert_eq!(config.places.of("auth.keys[1].file").to_string(), "fanwire.toml:7");
        assert_eq!(config.places.of("auth.leeway_s"), Origin::Default);
    }

    #[test]
    fn each_mistake_in_such_a_table_is_named_with_its_place() {
        let cases = [
            ("roles = 3", "fanwire.toml:1: `roles`: must be a table, and is a whole number"),
            (
                "[roles]\nviewer = 3",
                "fanwire.toml:2: `roles.viewer`: must be a table, and is a whole number",
            ),
            (
                "[roles.viewer]\n\nsubscibe = []",
                "fanwire.toml:3: `roles.viewer.subscibe`: there is no such key",
            ),
            (
                "[roles.viewer]\nsubscribe = 'a'",
                "fanwire.toml:2: `roles.viewer.subscribe`: must be a list of strings, and is a string",
            ),
            (
                "[roles.viewer]\nsubscribe = [\n'a',\n7]",
                "fanwire.toml:4: `roles.viewer.subscribe`: must be a list of strings, and is a whole number",
            ),
            (
                "[event_types]\nLogEntry = 'admin'",
                "fanwire.toml:2: `event_types.LogEntry`: must be a list of strings, and is a string",
            ),
            (
                "[auth.keys]\nname = 'a'",
                "fanwire.toml:1: `auth.keys`: must be a list of tables: [[auth.keys]], and is a table",
            ),
            (
                "[[auth.keys]]\nalgorithm = 'none'",
                "fanwire.toml:2: `auth.keys[0].algorithm`: must be one of HS256,",
            ),
            (
                "shards = 1\n[[auth.keys]]\nalgorithm = 'HS256'",
                "fanwire.toml:2: `auth.keys[0]`: cannot be used: it has no `file`",
            ),
            (
                "[auth]\nrole_claims = 'role'",
                "fanwire.toml:2: `auth.role_claims`: must be a list of strings, and is a string",
            ),
            (
                "[[history.durable]]\ntopics = ['a']\nsync = 'often'",
                "fanwire.toml:3: `history.durable[0].sync`: cannot be used: it must be \"always\", \"off\" or a duration from \"1ms\" to \"60s\", and is \"often\"",
            ),
            (
                "[[history.durable]]\nage_s_max = -1",
                "fanwire.toml:2: `history.durable[0].age_s_max`: must be from 0 to 31622400000, and is -1",
            ),
            (
                "[history]\nage_s_max = 9\n[[history.durable]]\nbytes_max = 7",
                "fanwire.toml:3: `history.durable[0]`: cannot be used: it has no `topics`",
            ),
            (
                "[peat]\nlisten = '1'",
                "fanwire.toml:2: `peat.listen`: must be an IP address and a port",
            ),
        ];
        for (text, message) in cases {
            let found = parsed(text).unwrap_err();
            assert!(found.starts_with(message), "{found}");
        }
    }

    #[test]
    fn a_dialect_has_a_listener_if_it_is_given_one() {
        let listens = |text| {
            let config = parsed(text).unwrap();
            let all = config.guests().map(|(key, view)| (key, view.listen.clone()));
            all.filter(|(_, listen)| !listen.is_empty()).collect::<Vec<_>>()
        };
        assert_eq!(listens("peat.listen = ''"), []);
        let at =
            |address: &str, is_secured| Listen { address: address.parse().unwrap(), is_secured };
        let one = vec![at("[::1]:8734", None)];
        assert_eq!(listens("hyperbeam.listen = '[::1]:8734'"), [("hyperbeam", one)]);
        let all = vec![at("[::1]:1", None), at("[::1]:2", Some(true)), at("[::1]:3", Some(false))];
        let text = "mqtt.listen = ['[::1]:1', 'tls://[::1]:2', 'tcp://[::1]:3']";
        assert_eq!(listens(text), [("mqtt", all)]);
        let many = format!("mqtt.listen = [{}]", "'[::1]:0',".repeat(LISTENS_MAX + 1));
        assert!(parsed(&many).unwrap_err().contains("at most 8 addresses"));
    }

    #[test]
    fn the_command_line_needs_no_quotes() {
        let mut config = Config::default();
        config.set("listen", "127.0.0.1:1").unwrap();
        config.set("driver", "epoll").unwrap();
        config.set("shards", "3").unwrap();
        assert_eq!(
            (config.listen.port(), config.driver, config.shards),
            (1, DriverChoice::Epoll, 3)
        );
        let count_of = |config: &Config| {
            config.guests().find(|(key, _)| *key == "mqtt").map(|(_, view)| view.listen.len())
        };
        for (text, count) in
            [("[::1]:1", 1), ("tls://127.0.0.1:1", 1), ("['[::1]:1', 'tcp://[::1]:2']", 2)]
        {
            config.set("mqtt.listen", text).unwrap();
            assert_eq!(count_of(&config), Some(count), "{text}");
        }
        let error = config.set("shards", "many").unwrap_err().to_string();
        assert!(error.starts_with("command line: `shards`: "), "{error}");
        let error = config.set("driver", "\"epoll\"").unwrap_err().to_string();
        assert!(error.contains("must be one of"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nowhere/fanwire.toml")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/fanwire.toml: cannot be read: "), "{error}");
    }
}
