//! Writes to PostgreSQL go there many at a time, and each has the result that it has alone.

use std::io::Read;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use fanwire::event::Event;
use fanwire::tables::Change;
use fanwire::tables::Column;
use fanwire::tables::ColumnId;
use fanwire::tables::Filter;
use fanwire::tables::Schema;
use fanwire::tables::Table;
use fanwire::tables::TableId;
use fanwire::tables::Type;
use fanwire::tables::Value;
use fanwire::tables::Write;
use fanwire::tables::asks::Ask;

use crate::conformance::ASKER;
use crate::conformance::ask;
use crate::postgres::create;
use crate::postgres::event;
use crate::postgres::open;
use crate::postgres::schema;
use crate::postgres::told;
use crate::postgres_cluster::Cluster;

/// The way to a database, on which journeys are counted: whatever is sent up to a sync.
struct Counted {
    port: u16,
    journeys: Arc<AtomicUsize>,
}

impl Counted {
    /// It ends with its connections.
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap().port();
        let journeys = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&journeys);
        std::thread::Builder::new()
            .spawn(move || {
                for client in listener.incoming().map_while(Result::ok) {
                    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                    let count = Arc::clone(&count);
                    let there = move || drop(pass_on_counted(client, server, &count));
                    std::thread::Builder::new().spawn(there).unwrap();
                    std::thread::Builder::new().spawn(move || pass_on(back.0, back.1)).unwrap();
                }
            })
            .unwrap();
        Self { port: here, journeys }
    }

    fn count(&self) -> usize {
        self.journeys.load(Ordering::SeqCst)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    drop(std::io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}

/// Messages are a tag and a length; the first has no tag.
fn pass_on_counted(
    mut from: TcpStream,
    mut to: TcpStream,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut is_first = true;
    loop {
        let mut head = vec![0; if is_first { 4 } else { 5 }];
        from.read_exact(&mut head)?;
        let at = head.len() - 4;
        let length = u32::from_be_bytes(head[at..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        from.read_exact(&mut body)?;
        if !is_first && head[0] == b'S' {
            count.fetch_add(1, Ordering::SeqCst);
        }
        is_first = false;
        to.write_all(&[head, body].concat())?;
    }
}

/// Rows that come together.
fn events(ids: std::ops::Range<i64>, note: &str) -> Ask {
    let one = |id| -> (TableId, Arc<Event>) {
        let Ask::Rows { rows } = event(id, note) else { panic!("it is one of an event") };
        rows.into_iter().next().unwrap()
    };
    Ask::Rows { rows: ids.map(one).collect() }
}

#[test]
fn rows_that_come_together_are_a_few_journeys() {
    let cluster = Cluster::start("journeys", &[]);
    let way = Counted::to(cluster.port());
    let address = format!("postgres://ada@127.0.0.1:{}/postgres", way.port);
    let mut backend = open(&address, &schema("notes"), 10_000).unwrap();
    let mut out = Vec::new();
    for note in ["first", "second"] {
        let before = way.count();
        backend.hear(events(0..300, note), &mut out);
        let payloads = told(&mut backend, 300, &mut out);
        let expected: Vec<String> =
            (0..300).map(|id| format!(r#"{{"id":{id},"note":"{note}"}}"#)).collect();
        assert_eq!(payloads, expected, "in their order");
        // Some of 32 KiB each, one for the commit, and a look whether it is still there now and then.
        let journeys = way.count() - before;
        assert!(journeys < 30, "{journeys} journeys for 300 rows");
    }
    assert_eq!(
        cluster.sql("postgres", "SELECT count(*), min(note), max(note) FROM notes"),
        "300|second|second"
    );
}

#[test]
fn one_write_among_many_that_cannot_be_costs_only_itself() {
    let cluster = Cluster::start("among", &[]);
    let mut backend = open(&cluster.address("postgres"), &schema("notes"), 10_000).unwrap();
    assert!(ask(&mut backend, create(7, "there")).1.starts_with("Told"));
    let mut out = Vec::new();
    // All of them are one transaction.
    for id in 0..40 {
        backend.hear(event(100 + id, "event"), &mut out);
        if id == 20 {
            backend.hear(create(7, "again"), &mut out);
        }
    }
    let payloads = told(&mut backend, 40, &mut out);
    assert_eq!(payloads.len(), 40);
    assert_eq!(cluster.sql("postgres", "SELECT count(*) FROM notes WHERE note = 'event'"), "40");
    assert_eq!(cluster.sql("postgres", "SELECT note FROM notes WHERE id = 7"), "there");
}

/// What PostgreSQL makes of a row by itself: numbers, defaults, triggers, and rows that it does not keep.
#[test]
fn a_write_is_told_as_the_database_has_made_it() {
    let cluster = Cluster::start("made", &[]);
    cluster.sql(
        "postgres",
        "CREATE TABLE made (id int8 GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, note text, team text NOT NULL DEFAULT 'red', seen int);
         CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.note = 'none' THEN RETURN NULL; END IF; NEW.seen := coalesce(NEW.seen, 0) + 1; RETURN NEW; END $$;
         CREATE TRIGGER seen BEFORE INSERT OR UPDATE ON made FOR EACH ROW EXECUTE FUNCTION seen()",
    );
    let columns = vec![
        Column { generated: true, ..Column::key("id", Type::Int) },
        Column::new("note", Type::Text),
        Column::new("team", Type::Text),
        Column::new("seen", Type::Int),
    ];
    let schema = Schema::new(vec![Table::new("made", columns).unwrap()]).unwrap();
    let mut backend = open(&cluster.address("postgres"), &schema, 10_000).unwrap();
    let text = |text: &str| Value::Text(text.into());
    let mut write = |change, within: Option<&str>| {
        let within = within.map_or(Filter::all(), |team| Filter::equal(ColumnId(2), text(team)));
        let write = Write { table: TableId(0), change, within };
        let (_, said) = ask(&mut backend, Ask::Write { asker: ASKER, write: Box::new(write) });
        // Payloads stand in what is said as texts of texts.
        said.replace(r#"\""#, "\"")
    };
    let new = |row: &[(u16, Value)]| -> Vec<(ColumnId, Value)> {
        row.iter().map(|(column, value)| (ColumnId(*column), value.clone())).collect()
    };
    let key = |id: i64| -> Box<[Value]> { [Value::Int(id)].into() };
    let said = write(Change::Create(new(&[(1, text("a"))])), None);
    assert!(said.contains(r#""id":1,"note":"a","team":"red","seen":1"#), "{said}");
    // A number that is given is passed by those that are generated.
    let said = write(Change::Create(new(&[(0, Value::Int(10)), (1, text("b"))])), None);
    assert!(said.contains(r#""id":10"#), "{said}");
    let said = write(Change::Create(new(&[(1, text("c"))])), None);
    assert!(said.contains(r#""id":11"#), "{said}");
    let said = write(Change::Upsert(new(&[(0, Value::Int(10)), (1, text("d"))])), None);
    assert!(said.contains(r#""id":10,"note":"d","team":"red","seen":2"#), "{said}");
    assert!(said.contains("Upsert"), "it was there: {said}");
    let said = write(Change::Upsert(new(&[(0, Value::Int(20)), (1, text("e"))])), None);
    assert!(said.contains(r#""id":20"#) && said.contains("Create"), "it was not: {said}");
    let said = write(Change::Create(new(&[(1, text("none"))])), None);
    assert_eq!(said, "Failed the database has not kept the row");
    // Who is confined touches what is within, and moves nothing beyond it.
    let set = |team: &str| new(&[(2, text(team))]);
    let said = write(Change::Update { key: key(1), set: set("blue") }, Some("red"));
    assert_eq!(said, "Forbidden this row is beyond what may be written");
    let said = write(Change::Update { key: key(1), set: set("red") }, Some("blue"));
    assert_eq!(said, "NotFound there is no such row");
    let said = write(Change::Delete { key: key(1) }, Some("blue"));
    assert!(said.contains("NotThere"), "{said}");
    let said = write(Change::Delete { key: key(1) }, Some("red"));
    assert!(said.contains("Delete"), "{said}");
    let rows = "SELECT string_agg(id || team, ',' ORDER BY id) FROM made";
    assert_eq!(cluster.sql("postgres", rows), "10red,11red,20red");
}
