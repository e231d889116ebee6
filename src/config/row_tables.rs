//! Tables of rows, as an operator declares them: `[[table]]`, and who keeps them.
//!
//! Invariant: what is wrong with one is said with its key, file and line; whether its words make a table is for whoever knows tables to say, at the place that was noted here.

use toml::de::DeValue;

use super::Config;
use super::TableConfig;
use super::error::ConfigError;
use super::error::Problem;
use super::file::File;
use super::tables::each;
use super::tables::missing;

/// Rows that a replay may ask for, at most.
const REPLAY_ROWS_MAX: u64 = 1 << 32;

pub(super) const EXAMPLE: &str = "[[table]]
name = \"public.users\"
columns = [\"id int key generated\", \"name text required indexed\", \"team text\", \"joined time sorted\", \"about json\"]
relations = [\"posts many public.posts user_id id\"]
replay_rows_max = 1000

[[table]]
name = \"public.posts\"
columns = [\"id int key generated\", \"user_id int required indexed cardinality=20\", \"title text\"]
relations = [\"user one public.users id user_id\"]
from = [\"feed/posts\"]
writes = false

[[table]]
name = \"shop.*\"
except = [\"shop.secret_*\"]
writes = false
";

pub(super) const DOC: &str = "Tables whose newest row of each key is kept, and read, written and heard by the dialects that talk of tables ([TABLES](TABLES.md)). Without `columns` a table is taken as the database has it when the server starts; so are all tables whose names a pattern means (`name = \"public.*\"`, where `*` is any text), but for those that stand here by their names, or are named by `except`. `columns`: for each its name, its type (`bool`, `int`, `decimal`, `float`, `text`, `time`, `bytes`, `json`), and behind these, in any order, `key`, `required` (never null; a key is), `generated` (a row that comes without it is given one), `indexed`, `sorted` (a replay's rows are sorted by it, the highest first), `live` (it says something of a change: it is told live, and is no part of a replay) and `cardinality=N` (so many rows have one value, about). `relations`: for each its name, `one` or `many`, the other table, the column there, and the column here that it equals. `topic`: its changes are events of this topic, `tables/` and its name unless it is said. `from`: topics and patterns whose events become rows. `writes = false`: no client writes it. `cached = true`: if answers are kept (`tables.cache`), whole answers of this table are, and not only numbers of rows. `replay_rows_max`: rows that a replay may ask for at most; 0: any number. `ranked_by`: the rows have places ([rtbdp](dialects/rtbdp.md)): the column with their score, and behind it those within which they are counted.";

pub(super) fn read(
    config: &mut Config,
    name: &'static str,
    at: usize,
    value: &DeValue<'_>,
    file: &File<'_>,
) -> Result<(), ConfigError> {
    let list = (name, "a list of tables: [[table]]");
    let all = each(
        config,
        list,
        (at, value),
        file,
        |said: &mut TableConfig, what, member| {
            match what {
                "name" => said.name = member.text(file)?,
                "topic" => said.topic = member.text(file)?,
                "columns" => said.columns = member.list(file)?,
                "except" => said.except = member.list(file)?,
                "relations" => said.relations = member.list(file)?,
                "from" => said.from = member.list(file)?,
                "writes" => said.writes = member.switch(file)?,
                "cached" => said.cached = member.switch(file)?,
                "replay_rows_max" => said.replay_rows_max = member.number(REPLAY_ROWS_MAX, file)?,
                "ranked_by" => said.ranked_by = member.list(file)?,
                _ => return Ok(false),
            }
            Ok(true)
        },
        |said| missing([("name", !said.name.is_empty())]),
    )?;
    for (index, one) in all.iter().enumerate() {
        if let Some(member) = misplaced(one) {
            let reason = match one.is_pattern() {
                true => {
                    format!("`{}` is a pattern of names, and no table with `{member}`", one.name)
                }
                false => format!("`{}` is one table, and no pattern with `{member}`", one.name),
            };
            let problem = Problem::Unusable { reason: reason.into() };
            return Err(file.error(&format!("{name}[{index}]"), at, problem));
        }
        let twin = all.get(..index).unwrap_or_default().iter().any(|other| other.name == one.name);
        if twin {
            let reason = format!("a table before it is `{}`, too", one.name).into();
            let key = format!("{name}[{index}]");
            return Err(file.error(&key, at, Problem::Unusable { reason }));
        }
    }
    config.tables.declared.extend(all);
    Ok(())
}

/// A member that says something of one table and stands by a pattern, or the other way round.
fn misplaced(said: &TableConfig) -> Option<&'static str> {
    let of_one = [
        ("columns", said.columns.is_empty()),
        ("topic", said.topic.is_empty()),
        ("relations", said.relations.is_empty()),
        ("from", said.from.is_empty()),
        ("ranked_by", said.ranked_by.is_empty()),
    ];
    match said.is_pattern() {
        true => missing(of_one),
        false => missing([("except", said.except.is_empty())]),
    }
}
