//! Whatever stands in the answers of whoever answers hooks, byte by byte: each request is answered once, in order and with JSON, or the client is cut off; and nothing is told beyond the filter that a
//! token forces.
//!
//! The first line says how: a `r` that hooks may replace results, an `o` that those that fail are taken for a yes. Each further line is the answer to the next call; once all have been said, `{}` is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::tables::BUT_ONE;
use crate::tables::WORD;
use crate::tables::frame;
use crate::tables::memory;
use crate::tables::open;
use crate::tables::party;
use crate::tables::token;
use crate::tables::verifier;
use crate::world::Wire;
use crate::world::World;
use crate::world::party::Manner;
use crate::world::party::Party;
use crate::world::roomy;
use fanwire::config::Config;
use fanwire::dialect::Hook;
use fanwire::dialect::HookTerms;
use fanwire::dialect::hook::read;
use fanwire::server::Server;
use fanwire::shard::Access;
use fanwire::shard::Hooks;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Tables;
use fanwire::shard::conn_of;
use serde_json::value::RawValue;

/// Answers beyond this say nothing new.
const ANSWERS_MAX: usize = 64;

const TABLES: &str = r#"
[[table]]
name = "public.users"
columns = ["id int key generated", "name text", "team text indexed", "age int", "about json"]
relations = ["posts many public.posts user_id id"]

[[table]]
name = "public.posts"
columns = ["code text key", "user_id int indexed", "team text"]
relations = ["user one public.users id user_id"]
"#;

/// What a client says, one after the other.
const SAID: [&str; 14] = [
    r#"{"id":"0","type":"subscription","operation":"subscribe","entity":"users"}"#,
    r#"{"id":"1","type":"request","operation":"create","entity":"users","data":{"name":"ada","team":"red","age":7}}"#,
    r#"{"id":"2","type":"request","operation":"create","entity":"posts","data":{"code":"a","user_id":2,"team":"red"}}"#,
    r#"{"id":"3","type":"request","operation":"read","entity":"users","options":{"preload":[{"relation":"posts"}],"sort":[{"column":"age","direction":"desc"}]}}"#,
    r#"{"id":"4","type":"request","operation":"read","entity":"users","record_id":"1"}"#,
    r#"{"id":"5","type":"request","operation":"read","entity":"users","record_id":"2"}"#,
    r#"{"id":"6","type":"request","operation":"read","entity":"users","options":{"fetch_row_number":"2"}}"#,
    r#"{"id":"7","type":"request","operation":"meta","entity":"users"}"#,
    r#"{"id":"8","type":"request","operation":"update","entity":"users","record_id":"2","data":{"age":8}}"#,
    r#"{"id":"9","type":"request","operation":"update","entity":"users","record_id":"1","data":{"team":"red"}}"#,
    r#"{"id":"10","type":"subscription","operation":"subscribe","entity":"posts","options":{"filters":[{"column":"team","operator":"eq","value":"red"}]}}"#,
    r#"{"id":"11","type":"request","operation":"delete","entity":"users","record_id":"2"}"#,
    r#"{"id":"12","type":"request","operation":"delete","entity":"users","record_id":"1"}"#,
    r#"{"id":"13","type":"request","operation":"read","entity":"posts","options":{"preload":[{"relation":"user"}]}}"#,
];

/// A message, and its members as they are written: no number of theirs is too large, and half a surrogate pair is one.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) text: String,
    members: BTreeMap<String, Box<RawValue>>,
}

impl Message {
    fn read(text: &[u8]) -> Self {
        let text = String::from_utf8(text.to_vec()).expect("it is UTF-8");
        let members = serde_json::from_str(&text).expect("it is JSON");
        Self { text, members }
    }

    /// A member that is a plain string.
    fn word(&self, name: &str) -> &str {
        self.members.get(name).map_or("", |value| value.get().trim_matches('"'))
    }
}

/// What a client is told, and whether it is still let in.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) messages: Vec<Message>,
    is_open: bool,
}

/// Holds the server to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let Told { messages, is_open } = told(input);
    let responses = messages.iter().filter(|message| message.word("type") == "response");
    let ids: Vec<&str> = responses.map(|message| message.word("id")).collect();
    let all: Vec<String> = (0..SAID.len()).map(|id| id.to_string()).collect();
    match is_open {
        true => assert_eq!(ids, all, "{}", String::from_utf8_lossy(input)),
        false => assert!(all.iter().zip(&ids).all(|(one, other)| one == other), "{ids:?}"),
    }
    for Message { text, .. } in &messages {
        // A hook may put the word there itself.
        let is_said = input.windows(8).any(|part| WORD.as_bytes().starts_with(part));
        assert!(is_said || !text.contains(WORD), "{text}");
    }
}

/// What is told of one input.
pub(crate) fn told(input: &[u8]) -> Told {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let answers: Vec<Vec<u8>> = lines.take(ANSWERS_MAX).map(<[u8]>::to_vec).collect();
    let config = Config::parse(TABLES, Path::new("fuzz.toml")).expect("it is one");
    let schema = Server::shard_settings(&config, 1).expect("it can be").tables.schema;
    let mut settings = roomy();
    settings.access = Arc::new(Access { verifier: Some(verifier()), ..Access::default() });
    settings.tables = Tables { schema: schema.clone(), party: Some(PartyId(1)) };
    let fail_open = Hook::ALL.into_iter().filter(|_| first.contains(&b'o'));
    settings.hooks = Hooks {
        terms: HookTerms {
            asked: Hook::ALL.into_iter().collect(),
            fail_open: fail_open.collect(),
            replaces_results: first.contains(&b'r'),
        },
        party: Some(PartyId(2)),
    };
    let mut world = World::new(1, &settings);
    world.join(party(memory(&schema), &settings));
    let answers = Rc::new(RefCell::new(answers.into_iter()));
    // The one row that nobody may see is put there while hooks say yes.
    let is_begun = Rc::new(RefCell::new(false));
    world.join(answerer(&answers, &is_begun));
    let maker = open(&mut world, &format!("/rs/ws?token={}", token(None)));
    let row = format!(
        r#"{{"id":"m","type":"request","operation":"create","entity":"users","data":{{"name":"{WORD}","team":"blue"}}}}"#
    );
    say(&mut world, maker, &row);
    *is_begun.borrow_mut() = true;
    let client = open(&mut world, &format!("/rs/ws?token={}", token(Some(BUT_ONE))));
    for said in SAID {
        say(&mut world, client, said);
    }
    let told = world.read(client, usize::MAX);
    let is_open = world.is_open(client);
    world.vanish(client);
    world.settle();
    Told { messages: messages(&told), is_open }
}

fn say(world: &mut World, wire: Wire, said: &str) {
    world.say(wire, &frame(said.as_bytes()));
    world.settle();
    world.advance(20);
    world.settle();
}

/// Answers calls with these, in their order.
fn answerer(
    answers: &Rc<RefCell<std::vec::IntoIter<Vec<u8>>>>,
    is_begun: &Rc<RefCell<bool>>,
) -> Party {
    let (answers, is_begun) = (Rc::clone(answers), Rc::clone(is_begun));
    Party::new(
        Manner::default(),
        |_| 0,
        move |message| {
            let Mesh::Hook(ask) = message else { panic!("{message:?} is said to somebody else") };
            let answer = match *is_begun.borrow() {
                true => answers.borrow_mut().next(),
                false => None,
            };
            let answered = read(ask.call.hook, &answer.unwrap_or_else(|| b"{}".to_vec()));
            // What is asked is JSON, whatever was answered before.
            let call = Message::read(&ask.call.to_json());
            assert_eq!(call.word("hook"), ask.call.hook.name());
            let said = ask.asker.map(|asker| {
                let conn = conn_of(asker);
                (asker.shard.into(), Mesh::HookSays { conn, answered: Box::new(answered) })
            });
            said.into_iter().collect()
        },
    )
}

/// The texts of frames, each of which is one whole message of JSON.
fn messages(mut told: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while let [first, length, rest @ ..] = told {
        let (length, rest) = match (*length, rest) {
            (126, [high, low, rest @ ..]) => (u64::from(u16::from_be_bytes([*high, *low])), rest),
            (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
            }
            (length, rest) => (u64::from(length), rest),
        };
        let length = usize::try_from(length).expect("it fits");
        let (text, rest) = rest.split_at(length);
        if *first == 0x81 {
            all.push(Message::read(text));
        }
        told = rest;
    }
    all
}
