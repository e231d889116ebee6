//! Whatever a client says, it reads, writes and hears nothing beyond the filter that its token or a hook forces, nor a column that a hook masks: rows, preloads, counts, numbers and notifications included.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanwire::dialect::Hook;
use fanwire::dialect::hook::Answered;
use fanwire::dialect::hook::Call;
use fanwire::dialect::hook::Chain;
use fanwire::dialect::hook::Json;
use fanwire::dialect::hook::Verdict;
use fanwire::shard::Settings;
use serde_json::Value;

use crate::scene;
use crate::scene::Client;
use crate::support::fits::with_tokens;
use crate::support::hooks;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::roomy;

/// Stands in every row that is not red, and in none that is.
const SECRET: &str = "secret";

pub(crate) fn open(world: &mut World, shard: usize, claims: &str) -> Client {
    let token = with_tokens(&format!("«{claims}»"));
    Client::open(world, shard, &format!("?token={token}"), 1 << 22)
}

/// What confines a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Token,
    /// Once, when it connects.
    Connect,
    /// Each of its messages.
    Handle,
    /// Each of its operations.
    Operations,
}

/// Hooks that let one client see red rows only, and no ages.
fn hooks_of(by: By) -> Chain {
    let confine = |call: &Call| -> Answered {
        let is_root = call.caller.user.as_deref() == Some("root");
        let red = Json::new(RED).unwrap();
        let mask = Json::new(r#"["age"]"#).unwrap();
        Ok(match is_root {
            true => Verdict::default(),
            false => Verdict::default().with_filters(red).with_mask(mask),
        })
    };
    let hooks: &[Hook] = match by {
        By::Token => &[],
        By::Connect => &[Hook::BeforeConnect],
        By::Handle => &[Hook::BeforeHandle],
        By::Operations => &[
            Hook::BeforeRead,
            Hook::BeforeCreate,
            Hook::BeforeUpdate,
            Hook::BeforeDelete,
            Hook::BeforeSubscribe,
        ],
    };
    hooks.iter().fold(Chain::default(), |chain, hook| chain.on(*hook, confine))
}

/// The tables that have a team.
const RED: &str = r#"{"users":[{"column":"team","operator":"eq","value":"red"}],"public.posts":[{"column":"team","operator":"eq","value":"red"}]}"#;

pub(crate) struct Scene {
    pub(crate) world: World,
    by: By,
    pub(crate) root: Client,
    pub(crate) red: Client,
    random: Random,
}

impl Scene {
    /// A scene, and who joins it as whoever has the tables.
    pub(crate) fn new(seed: u64, by: By, join: impl FnOnce(&mut World, &Settings)) -> Self {
        let mut random = Random::new(seed);
        let shards = 1 + u16::try_from(random.below(2)).unwrap();
        let mut settings = Settings { access: Arc::new(scene::access()), ..roomy() };
        if random.one_in(2) {
            scene::set(&mut settings, "legacy_unfiltered", "on");
        }
        let settings = tables::with_tables(settings, &tables::schema(scene::TABLES), shards);
        let chain = hooks_of(by);
        let settings = hooks::with_hooks(settings, &chain, shards + 1);
        let mut world = World::new(shards, &settings);
        join(&mut world, &settings);
        world.join(hooks::answerer(chain, Manner::default(), |_| 0));
        let all = r#"{"sub":"root","exp":3000,"fanwire":{"subscribe":["**"],"publish":["**"]}}"#;
        let red = r#"{"sub":"red","exp":3000,"fanwire":{"subscribe":["tables/public.users","tables/public.posts","spec/c/**"],"publish":["tables/public.users","tables/public.posts","spec/c/request"],"filter":"team = \"red\""}}"#;
        // Whom a hook confines has the rights of its token, and no filter there.
        let free = red.replace(r#","filter":"team = \"red\"""#, "");
        let root = open(&mut world, 0, all);
        let red = if by == By::Token { red } else { &free };
        let last = usize::from(shards) - 1;
        let red = match random.below(3) {
            0 => {
                let spoken = *random.pick(&[("v4", 0), ("v4", 1), ("v5", 0), ("v5", 1)]);
                let token = with_tokens(&format!("«{red}»"));
                Client::publishing(&mut world, last, spoken, &token, 1 << 22)
            }
            _ => open(&mut world, last, red),
        };
        Self { world, by, root, red, random }
    }

    /// All rows of a table.
    fn all(&mut self, entity: &str) -> Vec<Value> {
        let members = format!(r#""operation":"read","entity":"{entity}""#);
        let answer = self.root.request(&mut self.world, &members);
        answer["data"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    fn hidden(&mut self) -> Vec<Value> {
        let mut all = self.all("users");
        all.extend(self.all("posts"));
        all.retain(|row| row["team"] != "red");
        all
    }

    /// A row is made, changes sides, or goes.
    pub(crate) fn root_writes(&mut self) -> String {
        let (entity, text) = *self.random.pick(&[("users", "name"), ("posts", "title")]);
        let (team, word) =
            *self.random.pick(&[("\"red\"", "open"), ("\"blue\"", SECRET), ("null", SECRET)]);
        let (id, age) = (1 + self.random.below(8), self.random.below(5));
        let about = match entity {
            "users" => format!(r#""age":{age}"#),
            _ => format!(r#""user_id":{}"#, 1 + self.random.below(8)),
        };
        let data = format!(r#"{{"{text}":"{word}-{id}","team":{team},{about}}}"#);
        match self.random.below(4) {
            0 => format!(r#""operation":"delete","entity":"{entity}","record_id":"{id}""#),
            1 => format!(
                r#""operation":"update","entity":"{entity}","record_id":"{id}","data":{data}"#
            ),
            _ => format!(r#""operation":"create","entity":"{entity}","data":{data}"#),
        }
    }

    fn condition(&mut self, entity: &str) -> String {
        let (text, number) = if entity == "posts" { ("title", "user_id") } else { ("name", "age") };
        let column = *self.random.pick(&["team", text, number, "id"]);
        let (operators, values): (&[&str], &[&str]) = match column {
            "id" | "age" | "user_id" => (
                &["eq", "neq", "gt", "lte", "in", "is_not_null", "between", "like", "x"],
                &["1", "\"2\"", "[1,2,3]", "[]", "null", "[0,9]"],
            ),
            _ => (
                &["eq", "neq", "gt", "lte", "like", "ilike", "in", "is_null", "contains", "LIKE"],
                &["\"blue\"", "\"red\"", "null", "\"%s%\"", "\"%\"", "\"\""],
            ),
        };
        let (operator, value) = (*self.random.pick(operators), *self.random.pick(values));
        let logic = *self.random.pick(&["AND", "OR", "or", ""]);
        format!(
            r#"{{"column":"{column}","operator":"{operator}","value":{value},"logic_operator":"{logic}"}}"#
        )
    }

    fn options(&mut self, entity: &str) -> String {
        let count = self.random.below(3);
        let filters: Vec<String> = (0..count).map(|_| self.condition(entity)).collect();
        let relations = match entity {
            "posts" => ["[]", r#"[{"relation":"user"}]"#, r#"[{"relation":"user.posts"}]"#],
            _ => ["[]", r#"[{"relation":"posts"}]"#, r#"[{"relation":"Posts.user.posts"}]"#],
        };
        let preload = *self.random.pick(&relations);
        let columns = *self.random.pick(&["[]", r#"["id"]"#, r#"["team","id"]"#]);
        let sort = *self.random.pick(&[
            "[]",
            r#"[{"column":"team","direction":"desc"}]"#,
            r#"[{"column":"id"}]"#,
        ]);
        let (limit, offset) = (self.random.below(4), self.random.below(3));
        let number = match self.random.below(3) {
            0 => format!(r#","fetch_row_number":"{}""#, 1 + self.random.below(8)),
            _ => String::new(),
        };
        format!(
            r#"{{"filters":[{}],"preload":{preload},"columns":{columns},"sort":{sort},"limit":{limit},"offset":{offset}{number}}}"#,
            filters.join(",")
        )
    }

    pub(crate) fn red_says(&mut self) -> String {
        let entity =
            *self.random.pick(&["users", "posts", "users", "posts", "public.users", "notes"]);
        let id = 1 + self.random.below(8);
        let options = self.options(entity);
        let text = if entity == "posts" { "title" } else { "name" };
        let team = *self.random.pick(&["\"red\"", "\"blue\"", "null"]);
        let data = match self.random.below(4) {
            0 => format!(r#"{{"{text}":"mine"}}"#),
            1 => format!(r#"{{"{text}":"mine","team":{team}}}"#),
            2 => format!(r#"{{"id":{id},"{text}":"mine","team":{team}}}"#),
            _ if entity.ends_with("users") => format!(r#"{{"name":"mine","age":{}}}"#, 90 + id),
            _ => format!(r#"{{"user_id":{id}}}"#),
        };
        let what = match self.random.below(7) {
            0 => r#""type":"request","operation":"meta""#.to_owned(),
            1 => format!(r#""type":"request","operation":"create","data":{data}"#),
            2 => {
                format!(r#""type":"request","operation":"update","record_id":"{id}","data":{data}"#)
            }
            3 => format!(r#""type":"request","operation":"delete","record_id":"{id}""#),
            4 => format!(
                r#""type":"request","operation":"read","record_id":"{id}","options":{options}"#
            ),
            5 => format!(r#""type":"subscription","operation":"subscribe","options":{options}"#),
            _ => format!(r#""type":"request","operation":"read","options":{options}"#),
        };
        format!(r#"{{"id":"r","entity":"{entity}",{what}}}"#)
    }

    /// Nothing that is not red has been told, and no number says how many there are.
    fn check(&mut self, told: &[Value], said: &str) {
        let red = |rows: Vec<Value>| rows.iter().filter(|row| row["team"] == "red").count() as u64;
        let most = red(self.all("users")).max(red(self.all("posts")));
        for told in told {
            let text = told.to_string();
            assert!(!text.contains(SECRET) && !text.contains(r#""team":"blue""#), "{said}: {text}");
            if self.by != By::Token {
                assert!(!text.contains(r#""age":"#), "{said}: {text}");
            }
            for number in ["total", "count", "row_number"] {
                let number = &told["metadata"][number];
                assert!(number.as_u64().unwrap_or(0) <= most, "{said}: {text} of {most}");
            }
        }
    }
}

/// What is masked, of each user.
fn ages(users: &[Value]) -> BTreeMap<u64, Value> {
    users.iter().map(|user| (user["id"].as_u64().unwrap(), user["age"].clone())).collect()
}

fn run(seed: u64, by: By) {
    let mut scene = Scene::new(seed, by, tables::join);
    let (mut heard, mut found) = (0, 0);
    for _ in 0..60 {
        scene.world.advance(200);
        if scene.random.one_in(2) {
            let said = scene.root_writes();
            let hidden = scene.hidden();
            scene.root.request(&mut scene.world, &said);
            let told = scene.red.told(&mut scene.world);
            scene.check(&told, &said);
            for told in told.iter().filter(|told| told["operation"] == "delete") {
                let (entity, id) = (&told["entity"], told["data"]["id"].as_str().unwrap());
                let was_hidden = |row: &Value| {
                    let is_user = row.get("name").is_some();
                    row["id"].as_u64() == id.parse().ok() && (entity == "users") == is_user
                };
                assert!(!hidden.iter().any(was_hidden), "{said}: {told} of {hidden:?}");
                heard += 1;
            }
            heard += told.len();
        } else {
            let hidden = scene.hidden();
            let before = ages(&scene.all("users"));
            let said = scene.red_says();
            let told = scene.red.ask(&mut scene.world, &said);
            assert!(told.iter().any(|told| told["type"] == "response"), "{said}");
            scene.check(&told, &said);
            found += told.iter().filter(|told| told["success"] == true).count();
            assert_eq!(scene.hidden(), hidden, "{said} has changed what it may not see");
            if by != By::Token {
                for (id, age) in ages(&scene.all("users")) {
                    let was = before.get(&id).unwrap_or(&Value::Null);
                    assert_eq!(age, *was, "{said} has changed what is masked");
                }
            }
        }
    }
    assert!(heard + found > 3, "a run in which something is seen: {heard} {found}");
}

#[test]
fn nothing_beyond_a_forced_filter_is_read_written_or_heard() {
    seeds::hold(0..150, |seed| run(seed, By::Token));
}

#[test]
fn nothing_beyond_a_hooks_filters_and_masks_is_read_written_or_heard() {
    seeds::hold(0..120, |seed| {
        let by = [By::Connect, By::Handle, By::Operations];
        run(seed, by[usize::try_from(seed).unwrap() % by.len()]);
    });
}
