//! Tables whose members an operator names: roles, types of events, several keys.
//!
//! Invariant: what is wrong with one is said with its key, file and line, as for every other key. Whether a pattern or a filter in one can
//! be read is for whoever knows their notation to say, at the place that was noted here.

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::CertificateConfig;
use super::ClientConfig;
use super::Config;
use super::DurableConfig;
use super::KeyConfig;
use super::RoleConfig;
use super::SyncConfig;
use super::changes::written;
use super::error::ConfigError;
use super::error::Problem;
use super::file::File;
use super::keys_auth::ALGORITHMS;
use super::row_tables;
use super::sources;
use super::takes::strings;
use super::takes::type_name;
use crate::limits::STORE_SYNC_MS_MAX;

/// A table of the operator's own names.
pub(super) struct Table {
    pub(super) name: &'static str,
    read: fn(&mut Config, &'static str, usize, &DeValue<'_>, &File<'_>) -> Result<(), ConfigError>,
    /// The table as it may stand in a file.
    pub(super) example: &'static str,
    pub(super) doc: &'static str,
}

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "auth.keys",
        read: |config, name, at, value, file| KEYS.read(config, name, (at, value), file),
        example: "[[auth.keys]]\nname = \"2026\"\nalgorithm = \"EdDSA\"\nfile = \"issuer-2026.pem\"\n",
        doc: "Several keys, each for one algorithm (as in `auth.algorithm`). `name` is what tokens call it in `kid`; without one it is tried for tokens that name none, or one that is not known.",
    },
    Table {
        name: "tls.certificates",
        read: |config, name, at, value, file| CERTIFICATES.read(config, name, (at, value), file),
        example: "[[tls.certificates]]\nfile = \"example.org.pem\"\nkey_file = \"example.org.key\"\n",
        doc: "Several certificates, each as in `tls.certificate_file` and `tls.key_file`. A client is shown the one for the name that it asks for (SNI); who asks for none, or for another, is shown the first. Of several for one name (an ECDSA and an RSA key) it is shown the first that it can check.",
    },
    Table {
        name: "tls.clients",
        read: |config, name, at, value, file| CLIENTS.read(config, name, (at, value), file),
        example: "[[tls.clients]]\nname = \"dns:feeder.example.org\"\nuser = \"feeder\"\nroles = [\"feeder\"]\n",
        doc: "Clients that are known by a certificate (`tls.client_ca_file`). `name` is one of its names, with its kind in front: `dns:`, `uri:`, `email:`, `ip:`, `cn:` (a common name) or `subject:` (the whole subject, as `openssl x509 -noout -subject -nameopt RFC2253,-esc_msb` shows it); `dns:*.example.org` is for any one label. Of several that a certificate has the first that stands here counts. `user` is who that is (by default what stands behind the kind), and `roles` say what they may do.",
    },
    Table {
        name: "history.durable",
        read: |config, name, at, value, file| DURABLE.read(config, name, (at, value), file),
        example: "[[history.durable]]\ntopics = [\"fleet/**\"]\nage_s_max = 2592000\nbytes_max = 10737418240\ntopic_events_max = 0\nsync = \"200ms\"\n",
        doc: "Topics whose history is kept on disk, in `data_dir`, and outlasts a restart ([HISTORY](HISTORY.md)); of several tables that name a topic the first one holds. What is older than `age_s_max` seconds, beyond `bytes_max` bytes as they lie on the disk, or beyond the last `topic_events_max` events of each topic is let go of, in whole segments of 16 MiB; 0, or left out: without bound. `sync`: how long what was written may lie unsynced, so that it is lost with the power: `\"always\"` (not at all), a duration from `\"1ms\"` to `\"60s\"`, or `\"off\"` (as long as the system likes; a publisher that asks for `ack=durable` has it synced at once). The usual: `\"200ms\"`.",
    },
    Table {
        name: "table",
        read: row_tables::read,
        example: row_tables::EXAMPLE,
        doc: row_tables::DOC,
    },
    Table { name: "source", read: sources::read, example: sources::EXAMPLE, doc: sources::DOC },
    Table {
        name: "roles",
        read: roles,
        example: "[roles.viewer]\nsubscribe = [\"adsb/**\", \"fleet/*\"]\npublish = []\nfilter = \"altitude < 10000\"\n",
        doc: "What everyone with a role may do: topics and patterns to subscribe and to publish, and a filter that is forced on all of their subscriptions. Each may be left out. What a token and its roles grant adds up; filters all hold.",
    },
    Table {
        name: "event_types",
        read: event_types,
        example: "[event_types]\nLogEntry = [\"admin\", \"developer\"]\nSystemHealthUpdate = [\"admin\"]\n",
        doc: "Types of events (names of the Provisioning dialect) and the roles of which one is needed to see them. `[\"*\"]`: everyone may; `[]`: nobody. The two above hold unless they are said otherwise; a type without a rule is for everyone admitted.",
    },
];

/// Reads a table of that name, if there is one of the operator's own names; false: there is none.
pub(super) fn set(
    config: &mut Config,
    key: &str,
    at: usize,
    value: &DeValue<'_>,
    file: &File<'_>,
) -> Result<bool, ConfigError> {
    let Some(table) = TABLES.iter().find(|table| table.name == key) else { return Ok(false) };
    (table.read)(config, table.name, at, value, file)?;
    Ok(true)
}

/// What a member of an inner table is, wherever it stands.
pub(super) struct Member<'a> {
    key: String,
    at: usize,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Member<'a> {
    pub(super) fn all(
        prefix: &str,
        table: &'a DeTable<'a>,
    ) -> impl Iterator<Item = (&'a str, Self)> {
        table.iter().map(move |(name, value)| {
            let key = format!("{prefix}.{}", name.get_ref());
            (name.get_ref().as_ref(), Self { key, at: name.span().start, value })
        })
    }

    fn wrong(&self, file: &File<'_>, wanted: &'static str) -> ConfigError {
        self.unusable(file, Problem::WrongType { wanted, found: type_name(self.value.get_ref()) })
    }

    pub(super) fn unusable(&self, file: &File<'_>, problem: Problem) -> ConfigError {
        file.error(&self.key, self.value.span().start, problem)
    }

    pub(super) fn unknown(&self, file: &File<'_>) -> ConfigError {
        file.error(&self.key, self.at, Problem::UnknownKey { meant: None })
    }

    pub(super) fn text(&self, file: &File<'_>) -> Result<String, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.as_ref().to_owned()),
            _ => Err(self.wrong(file, "a string")),
        }
    }

    pub(super) fn switch(&self, file: &File<'_>) -> Result<bool, ConfigError> {
        match self.value.get_ref() {
            DeValue::Boolean(on) => Ok(*on),
            _ => Err(self.wrong(file, "true or false")),
        }
    }

    /// A whole number, up to a bound.
    pub(super) fn number(&self, max: u64, file: &File<'_>) -> Result<u64, ConfigError> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return Err(self.wrong(file, "a whole number"));
        };
        let found = i128::from_str_radix(number.as_str(), number.radix());
        match found.map(u64::try_from) {
            Ok(Ok(found)) if found <= max => Ok(found),
            _ => {
                let found = number.as_str().into();
                Err(self.unusable(file, Problem::OutOfRange { found, min: 0, max }))
            }
        }
    }

    pub(super) fn list(&self, file: &File<'_>) -> Result<Vec<String>, ConfigError> {
        strings(self.value.get_ref(), self.value.span().start)
            .map_err(|(at, problem)| file.error(&self.key, at, problem))
    }

    /// The members of a table within this one, each a string; `None`: it is no table.
    pub(super) fn members(
        &self,
        file: &File<'_>,
    ) -> Result<Option<Vec<(String, String)>>, ConfigError> {
        let DeValue::Table(table) = self.value.get_ref() else { return Ok(None) };
        let read = |(name, member): (&str, Self)| Ok((name.to_owned(), member.text(file)?));
        Self::all(&self.key, table).map(read).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn note(&self, config: &mut Config, file: &File<'_>) {
        let value = self.value.get_ref();
        config.places.note(&self.key, file.origin(self.value.span().start), &written(value));
    }
}

fn table<'a>(
    key: &str,
    at: usize,
    value: &'a DeValue<'a>,
    file: &File<'_>,
) -> Result<&'a DeTable<'a>, ConfigError> {
    match value {
        DeValue::Table(table) => Ok(table),
        other => {
            let problem = Problem::WrongType { wanted: "a table", found: type_name(other) };
            Err(file.error(key, at, problem))
        }
    }
}

/// One of a list of tables.
pub(super) struct One<'a> {
    pub(super) key: String,
    pub(super) at: usize,
    pub(super) table: &'a DeTable<'a>,
}

/// The tables of a list.
pub(super) fn tables<'a>(
    name: &'static str,
    wanted: &'static str,
    at: usize,
    value: &'a DeValue<'a>,
    file: &File<'_>,
) -> Result<impl Iterator<Item = Result<One<'a>, ConfigError>>, ConfigError> {
    let DeValue::Array(list) = value else {
        let problem = Problem::WrongType { wanted, found: type_name(value) };
        return Err(file.error(name, at, problem));
    };
    Ok(list.iter().enumerate().map(move |(index, value)| {
        let (key, at) = (format!("{name}[{index}]"), value.span().start);
        let table = table(&key, at, value.get_ref(), file)?;
        Ok(One { key, at, table })
    }))
}

/// Reads each of a list of tables: `read` takes a member, and says whether there is one of that name; `lacks` finds one that must be there and is not.
pub(super) fn each<T: Default>(
    config: &mut Config,
    (name, wanted): (&'static str, &'static str),
    (at, value): (usize, &DeValue<'_>),
    file: &File<'_>,
    read: impl Fn(&mut T, &str, &Member<'_>) -> Result<bool, ConfigError>,
    lacks: impl Fn(&T) -> Option<&'static str>,
) -> Result<Vec<T>, ConfigError> {
    let mut all = Vec::new();
    for one in tables(name, wanted, at, value, file)? {
        let One { key, at, table } = one?;
        let mut said = T::default();
        for (what, member) in Member::all(&key, table) {
            if !read(&mut said, what, &member)? {
                return Err(member.unknown(file));
            }
            member.note(config, file);
        }
        if let Some(what) = lacks(&said) {
            let reason = format!("it has no `{what}`").into();
            return Err(file.error(&key, at, Problem::Unusable { reason }));
        }
        config.places.note(&key, file.origin(at), "");
        all.push(said);
    }
    Ok(all)
}

/// The first member that is not there.
pub(super) fn missing<const COUNT: usize>(
    members: [(&'static str, bool); COUNT],
) -> Option<&'static str> {
    members.into_iter().find(|(_, is_there)| !is_there).map(|(name, _)| name)
}

/// A list of tables that are alike.
struct List<T> {
    /// What is wanted where something else stands.
    wanted: &'static str,
    /// Takes a member; false: there is none of that name.
    take: fn(&mut T, &str, &Member<'_>, &File<'_>) -> Result<bool, ConfigError>,
    /// The member that must be there and is not.
    lacks: fn(&T) -> Option<&'static str>,
    /// Where all of them go.
    of: fn(&mut Config) -> &mut Vec<T>,
}

impl<T: Default> List<T> {
    fn read(
        &self,
        config: &mut Config,
        name: &'static str,
        (at, value): (usize, &DeValue<'_>),
        file: &File<'_>,
    ) -> Result<(), ConfigError> {
        let take =
            |said: &mut T, what: &str, member: &Member<'_>| (self.take)(said, what, member, file);
        let all = each(config, (name, self.wanted), (at, value), file, take, self.lacks)?;
        (self.of)(config).extend(all);
        Ok(())
    }
}

const DURABLE: List<DurableConfig> = List {
    wanted: "a list of tables: [[history.durable]]",
    take: |said, what, member, file| {
        match what {
            "topics" => said.topics = member.list(file)?,
            "age_s_max" => said.age_s_max = member.number(AGE_S_MAX, file)?,
            "bytes_max" => said.bytes_max = member.number(BYTES_MAX, file)?,
            "topic_events_max" => said.topic_events_max = member.number(BYTES_MAX, file)?,
            "sync" => {
                let text = member.text(file)?;
                said.sync = sync(&text).ok_or_else(|| {
                    let reason = format!(
                        "it must be \"always\", \"off\" or a duration from \"1ms\" to \"{}s\", and is \"{text}\"",
                        STORE_SYNC_MS_MAX / 1000
                    );
                    member.unusable(file, Problem::Unusable { reason: reason.into() })
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    },
    lacks: |said| missing([("topics", !said.topics.is_empty())]),
    of: |config| &mut config.history.durable,
};

const CERTIFICATES: List<CertificateConfig> = List {
    wanted: "a list of tables: [[tls.certificates]]",
    take: |said, what, member, file| {
        match what {
            "file" => said.file = member.text(file)?,
            "key_file" => said.key_file = member.text(file)?,
            _ => return Ok(false),
        }
        Ok(true)
    },
    lacks: |said| {
        missing([("file", !said.file.is_empty()), ("key_file", !said.key_file.is_empty())])
    },
    of: |config| &mut config.tls.certificates,
};

const CLIENTS: List<ClientConfig> = List {
    wanted: "a list of tables: [[tls.clients]]",
    take: |said, what, member, file| {
        match what {
            "name" => said.name = member.text(file)?,
            "user" => said.user = member.text(file)?,
            "roles" => said.roles = member.list(file)?,
            _ => return Ok(false),
        }
        Ok(true)
    },
    lacks: |said| missing([("name", !said.name.is_empty())]),
    of: |config| &mut config.tls.clients,
};

const KEYS: List<KeyConfig> = List {
    wanted: "a list of tables: [[auth.keys]]",
    take: |said, what, member, file| {
        match what {
            "name" => said.name = member.text(file)?,
            "file" => said.file = member.text(file)?,
            "algorithm" => {
                said.algorithm = member.text(file)?;
                if !ALGORITHMS.contains(&said.algorithm.as_str()) {
                    let found = said.algorithm.as_str().into();
                    let problem = Problem::NotOneOf { found, of: ALGORITHMS };
                    return Err(member.unusable(file, problem));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    },
    lacks: |said| {
        missing([("algorithm", !said.algorithm.is_empty()), ("file", !said.file.is_empty())])
    },
    of: |config| &mut config.auth.keys,
};

/// Seconds of an age, at most: a thousand years.
const AGE_S_MAX: u64 = 1000 * 366 * 24 * 3600;
/// Bytes, or events, at most.
const BYTES_MAX: u64 = 1 << 60;

/// When to sync, as an operator says it.
fn sync(text: &str) -> Option<SyncConfig> {
    let ms = match text {
        "always" => return Some(SyncConfig::Always),
        "off" => return Some(SyncConfig::Off),
        text => match text.strip_suffix("ms") {
            Some(ms) => ms.trim().parse().ok()?,
            None => text.strip_suffix('s')?.trim().parse::<u64>().ok()?.checked_mul(1000)?,
        },
    };
    (1..=STORE_SYNC_MS_MAX).contains(&ms).then_some(SyncConfig::Every { ms })
}

fn roles(
    config: &mut Config,
    name: &'static str,
    at: usize,
    value: &DeValue<'_>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    for (role, member) in Member::all(name, table(name, at, value, file)?) {
        let inner = table(&member.key, member.at, member.value.get_ref(), file)?;
        let mut said = RoleConfig::default();
        for (what, member) in Member::all(&member.key, inner) {
            match what {
                "subscribe" => said.subscribe = Some(member.list(file)?),
                "publish" => said.publish = Some(member.list(file)?),
                "filter" => said.filter = Some(member.text(file)?),
                _ => return Err(member.unknown(file)),
            }
            member.note(config, file);
        }
        config.places.note(&member.key, file.origin(member.at), "");
        config.roles.insert(role.to_owned(), said);
    }
    Ok(())
}

fn event_types(
    config: &mut Config,
    name: &'static str,
    at: usize,
    value: &DeValue<'_>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    for (event_type, member) in Member::all(name, table(name, at, value, file)?) {
        let roles = member.list(file)?;
        member.note(config, file);
        config.event_types.insert(event_type.to_owned(), roles);
    }
    Ok(())
}
