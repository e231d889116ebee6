//! PostgreSQL as it is in the field: it goes and comes back, is slow, wants passwords and certificates, and has tables that somebody else made.

use std::io::Read;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use fanwire::backend::Backend;
use fanwire::backend::postgres::Address;
use fanwire::backend::postgres::Postgres;
use fanwire::backend::postgres::PostgresOpenError;
use fanwire::backend::postgres::Use;
use fanwire::backend::postgres::check;
use fanwire::clock::Clock;
use fanwire::conn::Doorbell;
use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::tables::Change;
use fanwire::tables::Column;
use fanwire::tables::ColumnId;
use fanwire::tables::Filter;
use fanwire::tables::Query;
use fanwire::tables::Schema;
use fanwire::tables::Table;
use fanwire::tables::TableId;
use fanwire::tables::Type;
use fanwire::tables::Value;
use fanwire::tables::Write;
use fanwire::tables::asks::Answer;
use fanwire::tables::asks::Ask;
use fanwire::tables::asks::Asker;
use fanwire::tables::keeper::Outcome;

use crate::conformance::ASKER;
use crate::conformance::ask;
use crate::postgres_cluster::Cluster;

/// How often something is looked for that comes soon: two minutes.
pub(crate) const LOOKS: usize = 6_000;
pub(crate) const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn schema(table: &str) -> Schema {
    let columns = vec![Column::key("id", Type::Int), Column::new("note", Type::Text)];
    Schema::new(vec![Table::new(table, columns).unwrap()]).unwrap()
}

pub(crate) fn open(
    address: &str,
    schema: &Schema,
    query_ms_max: u64,
) -> Result<Backend, PostgresOpenError> {
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    let how = Use { readers: 2, query_us_max: query_ms_max * 1000 };
    let address = Address::parse(address).unwrap();
    Postgres::open(&address, schema.clone(), how, bell)
        .map(|postgres| Backend::Postgres(Box::new(postgres)))
}

pub(crate) fn create(id: i64, note: &str) -> Ask {
    let row = vec![(ColumnId(0), Value::Int(id)), (ColumnId(1), Value::Text(note.into()))];
    let write = Write::new(TableId(0), Change::Create(row));
    Ask::Write { asker: ASKER, write: Box::new(write) }
}

pub(crate) fn all() -> Ask {
    Ask::Query { asker: ASKER, query: Box::new(Query::all(TableId(0))) }
}

/// An event that says a row.
pub(crate) fn event(id: i64, note: &str) -> Ask {
    let payload = format!(r#"{{"id":{id},"note":"{note}"}}"#);
    let event = Event {
        topic: TopicName::new("feed/notes").unwrap(),
        key: "".into(),
        op: Op::Upsert,
        home: HomeId(0),
        offset: 1,
        previous: 0,
        time_us: 1,
        payload: payload.into(),
        fields: Fields::default(),
        before: None,
        meta: None,
    };
    Ask::Rows { rows: vec![(TableId(0), Arc::new(event))] }
}

/// Tells it things until an answer is what is wanted.
fn until(backend: &mut Backend, what: impl Fn() -> Ask, wanted: impl Fn(&str) -> bool) -> String {
    for _ in 0..LOOKS {
        let (_, said) = ask(backend, what());
        if wanted(&said) {
            return said;
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("it does not come");
}

/// The payloads of so many rows that everybody is told of.
pub(crate) fn told(backend: &mut Backend, count: usize, out: &mut Vec<Outcome>) -> Vec<String> {
    for _ in 0..LOOKS {
        backend.settle(out);
        let told = out.iter().filter(|outcome| matches!(outcome, Outcome::Told(_))).count();
        if told >= count {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    let payload = |outcome| match outcome {
        Outcome::Told(told) => Some(String::from_utf8(told.draft.payload.to_vec()).unwrap()),
        Outcome::Answer(..) => None,
    };
    out.drain(..).filter_map(payload).collect()
}

const LOST: &str = "Unavailable the database cannot be reached just now";

#[test]
fn a_database_that_goes_and_comes_back_is_said_to_and_loses_no_row_of_an_event() {
    let mut cluster = Cluster::start("lost", &[]);
    let address = cluster.address("postgres");
    let schema = schema("notes");
    let mut backend = open(&address, &schema, 10_000).unwrap();
    assert!(ask(&mut backend, create(1, "before")).1.starts_with("Told"));
    for crash in [true, false] {
        assert_eq!(ask(&mut backend, all()).1, "End { count: 1, total: None, number: None }");
        if crash {
            cluster.kill();
        } else {
            cluster.stop();
        }
        until(&mut backend, all, |said| said == LOST);
        until(&mut backend, || create(2, "lost"), |said| said == LOST);
        // Whoever reads and writes is told at once; what an event says waits.
        let mut out = Vec::new();
        for note in ["one", "two"] {
            backend.hear(event(1, note), &mut out);
        }
        backend.settle(&mut out);
        assert!(out.is_empty(), "{out:?}");
        cluster.run();
        let expected = [r#"{"id":1,"note":"one"}"#, r#"{"id":1,"note":"two"}"#];
        assert_eq!(told(&mut backend, 2, &mut out), expected);
        let (rows, _) = ask(&mut backend, all());
        assert_eq!(rows[0].values[1], Value::Text("two".into()));
    }
}

#[test]
fn one_that_is_not_there_at_the_start_is_waited_for_and_one_that_says_no_is_not() {
    let mut cluster = Cluster::start("start", &[]);
    let address = cluster.address("postgres");
    let schema = schema("notes");
    cluster.stop();
    let mut backend = open(&address, &schema, 10_000).unwrap();
    assert_eq!(ask(&mut backend, all()).1, LOST);
    cluster.run();
    until(&mut backend, all, |said| said.starts_with("End"));
    drop(backend);
    let refused = |address: &str| open(address, &schema, 1_000).unwrap_err().to_string();
    let nowhere = cluster.address("nowhere");
    assert_eq!(refused(&nowhere), "database \"nowhere\" does not exist (3D000)");
    cluster
        .sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let latin = cluster.address("latin");
    assert_eq!(refused(&latin), "the database's encoding must be UTF8, and is LATIN1");
}

/// A stand-in for the way to the database: it can be cut, and it can swallow what the server says after a word of ours.
struct Way {
    port: u16,
    is_cut: Arc<AtomicBool>,
    swallows: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Way {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let here = listener.local_addr().unwrap().port();
        let (is_cut, swallows) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (cut, swallow) = (Arc::clone(&is_cut), Arc::clone(&swallows));
        let thread = std::thread::Builder::new().spawn(move || {
            let mut both: Vec<JoinHandle<()>> = Vec::new();
            while !cut.load(Ordering::SeqCst) {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::park_timeout(LOOK);
                    continue;
                };
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                both.extend(pass_on(&client, &server, (&cut, &swallow)));
            }
            both.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { port: here, is_cut, swallows, thread: Some(thread.unwrap()) }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Passes on what both say, until either hangs up or the way is cut. Once it swallows, the first `COMMIT` is passed on and its answer is not: the connection ends.
fn pass_on(
    client: &TcpStream,
    server: &TcpStream,
    (cut, swallow): (&Arc<AtomicBool>, &Arc<AtomicBool>),
) -> [JoinHandle<()>; 2] {
    let is_gone = Arc::new(AtomicBool::new(false));
    let each = |from: &TcpStream, to: &TcpStream, is_client: bool| {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (cut, swallow, is_gone) = (Arc::clone(cut), Arc::clone(swallow), Arc::clone(&is_gone));
        let run = move || {
            from.set_nonblocking(false).unwrap();
            from.set_read_timeout(Some(LOOK)).unwrap();
            let mut buffer = [0; 4096];
            while !cut.load(Ordering::SeqCst) && !is_gone.load(Ordering::SeqCst) {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        let bytes = &buffer[..count];
                        let commits = bytes.windows(6).any(|word| word == b"COMMIT");
                        if is_client && commits && swallow.swap(false, Ordering::SeqCst) {
                            // The other direction hears nothing any more, and the server does.
                            drop(from.shutdown(Shutdown::Both));
                            drop(to.write_all(bytes));
                            break;
                        }
                        if to.write_all(bytes).is_err() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            is_gone.store(true, Ordering::SeqCst);
            drop(from.shutdown(Shutdown::Both));
            drop(to.shutdown(Shutdown::Write));
        };
        std::thread::Builder::new().spawn(run).unwrap()
    };
    [each(client, server, true), each(server, client, false)]
}

#[test]
fn a_commit_whose_answer_is_lost_is_told_once_it_is_known() {
    let cluster = Cluster::start("doubt", &[]);
    let way = Way::to(cluster.port());
    let address = format!("postgres://ada@127.0.0.1:{}/postgres", way.port);
    // The first write is the one whose COMMIT goes over the way in so many words.
    let mut backend = open(&address, &schema("notes"), 10_000).unwrap();
    way.swallows.store(true, Ordering::SeqCst);
    let mut out = Vec::new();
    backend.hear(create(2, "in doubt"), &mut out);
    backend.hear(event(3, "with it"), &mut out);
    let payloads = told(&mut backend, 2, &mut out);
    let expected = [r#"{"id":2,"note":"in doubt"}"#, r#"{"id":3,"note":"with it"}"#];
    assert_eq!(payloads, expected);
    assert!(!way.swallows.load(Ordering::SeqCst), "the answer was swallowed");
    assert_eq!(
        cluster.sql("postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM notes"),
        "2,3"
    );
}

#[test]
fn whoever_wrote_is_told_that_nobody_knows_before_it_is_known() {
    let cluster = Cluster::start("unknown", &[]);
    let way = Way::to(cluster.port());
    let address = format!("postgres://ada@127.0.0.1:{}/postgres", way.port);
    let mut backend = open(&address, &schema("notes"), 10_000).unwrap();
    way.swallows.store(true, Ordering::SeqCst);
    assert_eq!(
        ask(&mut backend, create(2, "in doubt")).1,
        "Unavailable the database was lost while it wrote; whether it has is known, and told, when it is there again"
    );
}

#[test]
fn a_slow_query_is_ended_on_the_server_too_and_others_are_answered_meanwhile() {
    let cluster = Cluster::start("slow", &[]);
    cluster.sql(
        "postgres",
        "CREATE TABLE notes (id int8 PRIMARY KEY, note text); INSERT INTO notes VALUES (1, 'x');
         CREATE VIEW slow AS SELECT id, note FROM notes, pg_sleep(600)",
    );
    let columns = || vec![Column::key("id", Type::Int), Column::new("note", Type::Text)];
    let tables = ["notes", "slow"].map(|name| Table::new(name, columns()).unwrap());
    let schema = Schema::new(tables.into()).unwrap();
    let mut backend = open(&cluster.address("postgres"), &schema, 1_000).unwrap();
    let slow = Asker { shard: ShardId(0), conn: 99 };
    let mut out = Vec::new();
    let query = Box::new(Query::all(TableId(1)));
    backend.hear(Ask::Query { asker: slow, query }, &mut out);
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%\"slow\"%' AND state = 'active' AND pid <> pg_backend_pid()";
    for _ in 0..LOOKS {
        if cluster.sql("postgres", running) == "1" {
            break;
        }
    }
    let mut failed = None;
    for _ in 0..LOOKS {
        // One reader waits, and the other one does not.
        backend.settle(&mut out);
        for outcome in out.drain(..) {
            match outcome {
                Outcome::Answer(asker, Answer::Failed(error)) if asker == slow => {
                    failed = Some(error.to_string());
                }
                other => panic!("{other:?}"),
            }
        }
        if failed.is_some() {
            break;
        }
        let query = Box::new(Query::all(TableId(0)));
        backend.hear(Ask::Query { asker: ASKER, query }, &mut out);
        let mut is_answered = false;
        while !is_answered {
            backend.settle(&mut out);
            out.retain(|outcome| {
                let is_ours =
                    matches!(outcome, Outcome::Answer(asker, Answer::Page(_)) if *asker == ASKER);
                is_answered |= is_ours;
                !is_ours
            });
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    assert_eq!(failed.as_deref(), Some("it takes longer than it may"));
    for _ in 0..LOOKS {
        if cluster.sql("postgres", running) == "0" {
            return;
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("the server goes on");
}

/// A table as others make them, with a row; and as it is declared here.
fn rooms(cluster: &Cluster) -> Schema {
    cluster.sql(
        "postgres",
        "CREATE SCHEMA house; CREATE TYPE house.mood AS ENUM ('sad', 'happy');
         CREATE TABLE house.rooms (id uuid PRIMARY KEY, number int2, price numeric(10,2), at timestamp,
             day date, mood house.mood, about jsonb, label varchar(5) CHECK (label <> 'bad'), cost float4);
         INSERT INTO house.rooms VALUES ('6F9619FF-8B86-D011-B42D-00C04FC964FF', 7, 1.50, '2026-01-10 12:00', '2026-01-11', 'happy', '{\"b\": 1}', 'one', 0.1)",
    );
    let columns = [
        ("number", Type::Int),
        ("price", Type::Decimal),
        ("at", Type::Time),
        ("day", Type::Text),
        ("mood", Type::Text),
        ("about", Type::Json),
        ("label", Type::Text),
        ("cost", Type::Float),
    ];
    let columns = columns.map(|(name, kind)| Column::new(name, kind)).to_vec();
    let columns = [vec![Column::key("id", Type::Text)], columns].concat();
    Schema::new(vec![Table::new("house.rooms", columns).unwrap()]).unwrap()
}

#[test]
fn tables_that_somebody_else_made_are_read_and_written_as_they_are() {
    let cluster = Cluster::start("others", &[]);
    let schema = rooms(&cluster);
    let table = schema.table(TableId(0));
    let mut backend = open(&cluster.address("postgres"), &schema, 10_000).unwrap();
    let id = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let row = format!(
        r#"{{"id":"{id}","number":7,"price":1.5,"at":"2026-01-10T12:00:00Z","day":"2026-01-11","mood":"happy","about":{{"b": 1}},"label":"one","cost":0.1}}"#
    );
    let mut asked = |filter| {
        let query = Query { filter, ..Query::all(TableId(0)) };
        let (rows, said) = ask(&mut backend, Ask::Query { asker: ASKER, query: Box::new(query) });
        let json = rows.iter().map(|row| fanwire::tables::payload_of(table, &row.values));
        (json.collect::<Vec<_>>(), said)
    };
    assert_eq!(asked(Filter::all()).0, [&*row]);
    for (column, value) in [
        ("id", Value::Text(id.into())),
        ("number", Value::Int(7)),
        ("price", Type::Decimal.read("1.5").unwrap()),
        ("at", Type::Time.read("\"2026-01-10T13:00:00+01:00\"").unwrap()),
        ("day", Value::Text("2026-01-11".into())),
        ("mood", Value::Text("happy".into())),
        ("cost", Type::Float.read("0.1").unwrap()),
    ] {
        let of = table.find_column(column).unwrap();
        assert_eq!(asked(Filter::equal(of, value)).0, [&*row], "{column}");
    }
    // What is none of the database's values is the sender's mistake, and no other's.
    let mood = table.find_column("mood").unwrap();
    let (_, said) = asked(Filter::equal(mood, Value::Text("odd".into())));
    assert_eq!(said, "BadValue a value is none of its column's type in the database");
    let number = table.find_column("number").unwrap();
    assert_eq!(asked(Filter::equal(number, Value::Int(i64::MAX))).0.len(), 0);
    let label = table.find_column("label").unwrap();
    let mut set = |value: Value, of| {
        let change =
            Change::Update { key: [Value::Text(id.into())].into(), set: vec![(of, value)] };
        ask(
            &mut backend,
            Ask::Write { asker: ASKER, write: Box::new(Write::new(TableId(0), change)) },
        )
        .1
    };
    assert_eq!(
        set(Value::Text("bad".into()), label),
        "Constraint the database does not allow such a row"
    );
    assert_eq!(
        set(Value::Text("too long".into()), label),
        "BadValue a value is none of its column's type in the database"
    );
    assert_eq!(
        set(Value::Int(i64::MAX), number),
        "BadValue a value is none of its column's type in the database"
    );
    assert!(set(Value::Text("two".into()), label).starts_with("Told"));
    assert!(set(Value::Text("sad".into()), mood).starts_with("Told"));
    assert_eq!(cluster.sql("postgres", "SELECT label, mood FROM house.rooms"), "two|sad");
}

#[test]
fn whoever_logs_in_shows_a_password_or_is_told_why_not() {
    let cluster = Cluster::start("login", &[]);
    cluster.sql(
        "postgres",
        "SET password_encryption = 'md5'; CREATE ROLE old LOGIN SUPERUSER PASSWORD 'first';
         SET password_encryption = 'scram-sha-256'; CREATE ROLE new LOGIN SUPERUSER PASSWORD 'second'; CREATE ROLE plain LOGIN SUPERUSER PASSWORD 'third'",
    );
    let rules = "local all ada trust\nhost all old all md5\nhost all new all scram-sha-256\nhost all plain all password\n";
    std::fs::write(cluster.folder().join("data/pg_hba.conf"), rules).unwrap();
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let schema = schema("notes");
    let address = |login: &str| {
        Address::parse(&format!("postgres://{login}@127.0.0.1:{}/postgres", cluster.port()))
            .unwrap()
    };
    let said = |login: &str| match check(&address(login), &schema, Clock::start()) {
        Ok(differences) => differences.join("; "),
        Err(error) => error.to_string(),
    };
    let lacks = "the database has no table `notes`";
    for login in ["old:first", "new:second", "plain:third"] {
        // The rules are read a moment after they are there.
        let found = (0..LOOKS).map(|_| said(login)).find(|said| said == lacks);
        assert!(found.is_some(), "{login}: {}", said(login));
    }
    for login in ["old:second", "new:first", "plain:first"] {
        assert!(said(login).contains("password authentication failed"), "{login}: {}", said(login));
    }
    assert_eq!(said("new"), "the database wants a password, and none is configured");
}
