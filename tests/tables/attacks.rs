//! What one query may take of whoever has tables in memory, beside whom others wait: its work and its answer have bounds, and what comes behind it is
//! answered.

use fanwire::event::ShardId;
use fanwire::limits::TABLE_ANSWERS_BYTES_MAX;
use fanwire::limits::TABLE_PATTERN_BYTES_MAX;
use fanwire::tables::Change;
use fanwire::tables::Column;
use fanwire::tables::ColumnId;
use fanwire::tables::ErrorCode;
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
use fanwire::tables::keeper::Keeper;
use fanwire::tables::keeper::Outcome;

const TEXT: ColumnId = ColumnId(1);
const ASKER: Asker = Asker { shard: ShardId(0), conn: 1 };

/// So many rows of a long text in which nearly every pattern nearly fits nearly everywhere.
fn filled(rows: i64, bytes: usize) -> (Schema, TableId, Keeper) {
    let columns = vec![Column::key("id", Type::Int), Column::new("text", Type::Text)];
    let schema = Schema::new(vec![Table::new("t", columns).unwrap()]).unwrap();
    let table = schema.find("t").unwrap();
    let mut keeper = Keeper::new(schema.clone(), 1 << 30);
    for id in 0..rows {
        let text = Value::Text("a".repeat(bytes).into());
        let row = vec![(ColumnId(0), Value::Int(id)), (TEXT, text)];
        let write = Box::new(Write::new(table, Change::Create(row)));
        keeper.hear(Ask::Write { asker: ASKER, write }, &mut Vec::new());
    }
    (schema, table, keeper)
}

fn ask(keeper: &mut Keeper, query: Query) -> Answer {
    let mut out = Vec::new();
    keeper.hear(Ask::Query { asker: ASKER, query: Box::new(query) }, &mut out);
    match out.pop() {
        Some(Outcome::Answer(_, answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pattern_that_nearly_fits_everywhere_is_ended_and_harms_nobody() {
    let (schema, table, mut keeper) = filled(100, 100_000);
    let pattern = format!("%{}b%", "a".repeat(TABLE_PATTERN_BYTES_MAX - 3));
    let query = Query { filter: Filter::like(TEXT, &pattern, true), ..Query::all(table) };
    query.check(&schema).unwrap();
    let Answer::Failed(error) = ask(&mut keeper, query) else { panic!("it is not ended") };
    assert_eq!(error.code, ErrorCode::TooSlow);
    // Who asks for a key, or for what is found at once, is answered behind it.
    let filter = Filter::one_of(ColumnId(0), vec![Value::Int(7)]);
    let Answer::Page(page) = ask(&mut keeper, Query { filter, ..Query::all(table) }) else {
        panic!("it is answered")
    };
    assert_eq!(page.rows.len(), 1);
    let first =
        Query { filter: Filter::like(TEXT, "a%", false), limit: Some(1), ..Query::all(table) };
    assert!(matches!(ask(&mut keeper, first), Answer::Page(page) if page.rows.len() == 1));
}

#[test]
fn a_pattern_that_is_too_long_is_refused_with_its_place() {
    let (schema, table, _) = filled(0, 0);
    let of = |bytes: usize| Query {
        filter: Filter::like(TEXT, &"%".repeat(bytes), false),
        ..Query::all(table)
    };
    of(TABLE_PATTERN_BYTES_MAX).check(&schema).unwrap();
    let error = of(TABLE_PATTERN_BYTES_MAX + 1).check(&schema).unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert!(error.to_string().contains("a pattern has at most 256 bytes"), "{error}");
}

#[test]
fn an_answer_of_more_than_there_is_room_for_is_refused_before_it_is_made() {
    let rows = i64::try_from(TABLE_ANSWERS_BYTES_MAX / 400_000 + 2).unwrap();
    let (_, table, mut keeper) = filled(rows, 400_000);
    let Answer::Failed(error) = ask(&mut keeper, Query::all(table)) else {
        panic!("it is refused")
    };
    assert_eq!(error.code, ErrorCode::Busy);
    let held = keeper.held_bytes();
    assert!(matches!(
        ask(&mut keeper, Query { limit: Some(1), ..Query::all(table) }),
        Answer::Page(_)
    ));
    assert_eq!(keeper.held_bytes(), held, "nothing of it lies about");
}
