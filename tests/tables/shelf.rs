//! A dialect that talks of tables, as small as one can be, on `/shelf`.
//!
//! `want TOPIC`, `read TABLE [[COLUMN,OPERATOR,VALUE],…] PRELOAD,…`, `create TABLE {…}`, `upsert TABLE {…}`, `update TABLE KEY {…}`, `delete TABLE KEY`, `say TOPIC {…}`.

use std::sync::Arc;

use bytes::Bytes;
use fanwire::batch::Slow;
use fanwire::dialect::Answer;
use fanwire::dialect::Ask;
use fanwire::dialect::Context;
use fanwire::dialect::Dialect;
use fanwire::dialect::DialectId;
use fanwire::dialect::Door;
use fanwire::dialect::Ending;
use fanwire::dialect::FLOOD;
use fanwire::dialect::Guard;
use fanwire::dialect::Kind;
use fanwire::dialect::Manners;
use fanwire::dialect::NotOpened;
use fanwire::dialect::Opening;
use fanwire::dialect::Outcome;
use fanwire::dialect::Path;
use fanwire::dialect::Protocol;
use fanwire::dialect::Request;
use fanwire::dialect::Said;
use fanwire::dialect::Setup;
use fanwire::dialect::Silence;
use fanwire::dialect::Socket;
use fanwire::dialect::Step;
use fanwire::dialect::Subscription;
use fanwire::dialect::Talk;
use fanwire::dialect::Ticket;
use fanwire::dialect::Wish;
use fanwire::event::Ack;
use fanwire::event::Draft;
use fanwire::event::Fields;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::position::Since;
use fanwire::tables::Change;
use fanwire::tables::Filter;
use fanwire::tables::Operator;
use fanwire::tables::Preload;
use fanwire::tables::Query;
use fanwire::tables::Schema;
use fanwire::tables::TableError;
use fanwire::tables::TableId;
use fanwire::tables::Unknown;
use fanwire::tables::Write;
use fanwire::wire::deflate::DeflateTerms;
use fanwire::wire::http::Head;
use fanwire::wire::http::Method;
use serde_json::value::RawValue;

pub(crate) static PROTOCOL: Protocol = Protocol {
    key: "shelf",
    name: "Shelf",
    doors: DOORS,
    guest: None,
    packets: None,
    settings: &[],
};

static DIALECT: Dialect = Dialect {
    name: "shelf",
    protocol: &PROTOCOL,
    encode: |event, payload, _view, out| {
        let op = if event.op == Op::Create { "create" } else { event.op.name() };
        let said = format!("heard {} {op} {} ", event.topic.as_str(), event.key);
        out.bytes.extend_from_slice(said.as_bytes());
        payload.put_into(out);
    },
    head: None,
    apart: None,
    run: None,
    columns: None,
    outcome: Some(|outcome, out| {
        let Outcome::Subscribed { id, .. } = outcome else { return None };
        out.extend_from_slice(format!("wanted {id}").as_bytes());
        Some("wanted")
    }),
    envelopes: None,
    farewell: None,
    manners: Manners {
        silence: Silence::Pinged,
        slow: None,
        ending: Ending::Close,
        deflate_bytes_min: 0,
        flood: FLOOD,
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

const DOORS: &[Door] = &[Door {
    path: Path::Exactly("/shelf"),
    method: Method::Get,
    kind: Kind::WebSocket(Socket::Talk(open)),
    guard: Guard::Token,
    told_by: &[],
    purpose: "a test",
}];

fn open(_head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let dialect = DialectId::of(&DIALECT);
    let talk = Box::new(Shelf::default());
    Ok(Opening { dialect, talk, protocols: &[], deflate: DeflateTerms::None, first: Vec::new() })
}

/// One conversation.
#[derive(Debug, Default)]
struct Shelf {
    /// What was asked last.
    asked: Option<Query>,
}

fn find(schema: &Schema, name: &str) -> Result<TableId, TableError> {
    schema.find(name).ok_or_else(|| TableError::unknown_table(name))
}

/// What a client's filters and preloads ask for.
fn query(
    schema: &Schema,
    table: &str,
    filters: &str,
    preloads: Option<&str>,
) -> Result<Query, TableError> {
    let id = find(schema, table)?;
    let table = schema.table(id);
    let filters: Vec<(String, String, Box<RawValue>)> = serde_json::from_str(filters).unwrap();
    let mut all = Vec::new();
    for (column, operator, value) in filters {
        let found = table.find_column(&column);
        let column = found.ok_or_else(|| TableError::unknown_column(&column))?;
        all.push(Operator::from_name(&operator).unwrap().filter(table, column, value.get())?);
    }
    let preload = preloads.iter().flat_map(|names| names.split(','));
    let preload = preload.map(|name| Preload::all(table.find_relation(name).unwrap())).collect();
    Ok(Query { filter: Filter::And(all), preload, wants_total: true, ..Query::all(id) })
}

fn draft(topic: &str, payload: &str) -> Draft {
    Draft {
        topic: TopicName::new(topic).unwrap(),
        key: Arc::from(""),
        op: Op::Event,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        fields: Fields::default(),
        ack: Ack::default(),
        meta: None,
    }
}

impl Shelf {
    fn step(&mut self, text: &str, schema: &Schema) -> Result<Step, TableError> {
        let words: Vec<&str> = text.splitn(4, ' ').collect();
        let values =
            |id: TableId, object: &str| schema.table(id).read_object(object, Unknown::Refused);
        let write = |id, change| Request::Write(Box::new(Write::new(id, change)));
        let what = match words[..] {
            ["want", topic] => {
                let topics = vec![TopicPattern::new(topic).unwrap()];
                let (id, slow) = (Arc::from(topic), Slow::DropSilently);
                let subscription = Subscription { id, topics, slow, ..Default::default() };
                let subscription = Arc::new(subscription);
                return Ok(Step::Subscribe(Wish {
                    subscription,
                    since: Since::Now,
                    playback: None,
                }));
            }
            ["say", topic, payload] => Request::Publish(vec![draft(topic, payload)]),
            ["read", table, filters] => {
                Request::Query(Box::new(query(schema, table, filters, None)?))
            }
            ["read", table, filters, preloads] => {
                Request::Query(Box::new(query(schema, table, filters, Some(preloads))?))
            }
            ["create", table, row] => {
                let id = find(schema, table)?;
                write(id, Change::Create(values(id, row)?))
            }
            ["upsert", table, row] => {
                let id = find(schema, table)?;
                write(id, Change::Upsert(values(id, row)?))
            }
            ["update", table, key, row] => {
                let id = find(schema, table)?;
                let key = schema.table(id).read_key(key)?;
                write(id, Change::Update { key, set: values(id, row)? })
            }
            ["delete", table, key] => {
                let id = find(schema, table)?;
                write(id, Change::Delete { key: schema.table(id).read_key(key)? })
            }
            _ => panic!("{text}"),
        };
        if let Request::Query(query) = &what {
            self.asked = Some(Query::clone(query));
        }
        Ok(Step::Ask { ticket: Ticket::Only, what })
    }
}

impl Talk for Shelf {
    fn open(&mut self, _context: &Context<'_>, _steps: &mut Vec<Step>) {}

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let step = self.step(said.text(), context.tables);
        steps.push(step.unwrap_or_else(|error| failed(&error)));
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        self.asked.as_ref().map_or(0, Query::weight_bytes)
    }

    fn keep(&mut self) -> Option<fanwire::dialect::Kept> {
        None
    }
}

fn failed(error: &TableError) -> Step {
    Step::say(format!("failed {}: {error}", error.code.name()).into_bytes())
}

impl Ask for Shelf {
    fn answered(
        &mut self,
        _ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        match answer {
            Answer::Rows(page) => {
                let query = self.asked.as_ref().expect("it has asked");
                let table = context.tables.table(query.table);
                let columns = query.columns_of(table);
                for row in page.rows.iter() {
                    let mut said = String::from("row ");
                    let asked = (&columns[..], &query.preload[..]);
                    row.put_json(context.tables, table, asked, &mut said);
                    steps.push(Step::say(said.into_bytes()));
                }
                if let Some(end) = page.end {
                    let said = format!("end {} of {}", end.count, end.total.unwrap_or_default());
                    steps.push(Step::say(said.into_bytes()));
                }
            }
            Answer::Written(written) => {
                steps.push(Step::say(format!("{:?}", written.what).into_bytes()));
            }
            Answer::TableFailed(error) => steps.push(failed(error)),
            other => steps.push(Step::say(format!("{other:?}").into_bytes())),
        }
    }
}
