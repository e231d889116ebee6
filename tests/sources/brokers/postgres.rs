//! An outbox in PostgreSQL.

use fanwire::source::FaultKind;
use fanwire::source::Value;

use super::Source;
use super::text;
use crate::postgres_cluster::Cluster;

/// As its page in the documentation has it.
const OUTBOX: &str = include_str!("../../../docs/examples/sources/outbox.sql");

fn shop(name: &str) -> Cluster {
    let cluster = Cluster::start(name, &["max_prepared_transactions=5"]);
    cluster.sql("postgres", "CREATE DATABASE shop");
    cluster.sql("shop", OUTBOX);
    cluster
}

fn source(cluster: &Cluster, more: &[(&'static str, Value)]) -> Source {
    let mut settings = vec![
        ("address", text(cluster.address("shop"))),
        ("table", text("outbox")),
        ("channel", text("outbox")),
        ("begin", text("first")),
    ];
    settings.extend_from_slice(more);
    Source::new("postgres", settings)
}

/// SQL that adds rows.
fn add(numbers: std::ops::Range<u32>) -> String {
    let (first, last) = (numbers.start, numbers.end - 1);
    format!(
        "INSERT INTO outbox (topic, key, payload) SELECT 'orders', n::text, jsonb_build_object('n', n) FROM generate_series({first}, {last}) AS n"
    )
}

/// The numbers of the next rows.
fn numbers(source: &mut Source, count: usize) -> Vec<u32> {
    let messages = source.take(count).into_iter();
    let number = |payload: &[u8]| {
        let row: serde_json::Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(row["topic"], "orders");
        u32::try_from(row["payload"]["n"].as_u64().unwrap()).unwrap()
    };
    messages.map(|message| number(&message.payload)).collect()
}

#[test]
fn an_outbox_is_gone_on_with_exactly_where_it_was_whoever_is_killed() {
    let mut cluster = shop("outbox");
    cluster.sql("shop", &add(0..2_500));
    let mut source = source(&cluster, &[]);
    source.connected();
    let mut all = numbers(&mut source, 1_100);
    source.fetch_in_vain();
    source.restart();
    cluster.kill();
    assert!((0..100).any(|_| source.fetch().is_err()));
    cluster.run();
    source.connected();
    cluster.sql("shop", &add(2_500..2_510));
    all.extend(numbers(&mut source, 1_410));
    assert_eq!(all, (0..2_510).collect::<Vec<_>>());
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
}

#[test]
fn a_row_that_is_committed_late_is_not_passed_over() {
    let cluster = shop("late");
    let mut source = source(&cluster, &[("poll_ms", Value::Number(60_000))]);
    source.connected();
    cluster.sql(
        "shop",
        &format!(
            "SET session_replication_role = replica; BEGIN; {}; PREPARE TRANSACTION 'late'",
            add(1..2)
        ),
    );
    cluster.sql("shop", &add(2..3));
    // Whoever prepares may not notify, so its trigger is off. The second is committed and the first is not: a reader that goes by numbers would take it now, and never the first.
    for _ in 0..5 {
        source.fetch().unwrap();
    }
    cluster.sql("shop", "COMMIT PREPARED 'late'");
    cluster.sql("shop", &add(3..4));
    assert_eq!(numbers(&mut source, 3), [1, 2, 3]);
    // Nobody has said a word of the last one but `NOTIFY`.
    cluster.sql("shop", &add(4..5));
    assert_eq!(numbers(&mut source, 1), [4]);
}

#[test]
fn a_source_that_begins_with_what_is_new_knows_where_that_was() {
    let cluster = shop("new");
    cluster.sql("shop", &add(0..5));
    let mut source = source(&cluster, &[("begin", text("new"))]);
    source.connected();
    source.fetch().unwrap();
    cluster.sql("shop", &add(5..8));
    source.restart();
    assert_eq!(numbers(&mut source, 3), [5, 6, 7]);
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
}

#[test]
fn rows_that_were_deleted_before_they_were_read_are_a_counted_gap() {
    let cluster = shop("deleted");
    cluster.sql("shop", &add(0..10));
    let mut source = source(&cluster, &[]);
    source.connected();
    assert_eq!(numbers(&mut source, 10), (0..10).collect::<Vec<_>>());
    cluster.sql("shop", &add(10..20));
    cluster.sql("shop", "DELETE FROM outbox WHERE id <= 15");
    source.restart();
    assert_eq!(numbers(&mut source, 5), (15..20).collect::<Vec<_>>());
    assert_eq!(source.gaps.iter().map(|gap| gap.messages).collect::<Vec<_>>(), [5]);
    // What was read is not missed.
    cluster.sql("shop", "DELETE FROM outbox");
    source.restart();
    cluster.sql("shop", &add(20..21));
    assert_eq!(numbers(&mut source, 1), [20]);
    assert_eq!(source.gaps.len(), 1);
}

#[test]
fn a_row_that_is_too_large_is_passed_over() {
    let cluster = shop("large");
    let large = "INSERT INTO outbox (topic, payload) VALUES ('orders', jsonb_build_object('n', 1, 'x', repeat('x', 5000000)))";
    cluster.sql("shop", &format!("{}; {large}; {}", add(0..1), add(2..3)));
    let mut source = source(&cluster, &[]);
    source.connected();
    assert_eq!(numbers(&mut source, 2), [0, 2]);
    assert_eq!(source.unusable.len(), 1);
    assert_eq!(source.unusable[0].at, "row 2");
}

#[test]
fn an_older_database_is_found_out() {
    let cluster = shop("older");
    cluster.sql("shop", &add(0..3));
    let mut source = source(&cluster, &[]);
    source.connected();
    assert_eq!(numbers(&mut source, 3), [0, 1, 2]);
    source.resume = Some(fanwire::source::Resume(b"1 999999999 3 3".as_slice().into()));
    source.restart();
    assert_eq!(numbers(&mut source, 3), [0, 1, 2]);
    assert_eq!(source.gaps.len(), 1);
}

#[test]
fn what_is_not_there_or_not_allowed_is_said() {
    let mut cluster = shop("denied");
    cluster.sql("shop", "CREATE ROLE bob LOGIN");
    let fault = source(&cluster, &[("table", text("nothing"))]).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Wrong, "{fault}");
    let address = cluster.address("shop").replace("user=ada", "user=bob");
    let fault = source(&cluster, &[("address", text(address))]).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    // Over TCP, with a password that nobody asks for.
    let secret = cluster.folder().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let settings = [
        ("address", text(format!("postgres://ada@127.0.0.1:{}/shop", cluster.port()))),
        ("secret_file", text(secret.display().to_string())),
    ];
    source(&cluster, &settings).connect().unwrap();
    cluster.stop();
    let fault = source(&cluster, &[]).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
}
