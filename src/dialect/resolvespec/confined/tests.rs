//! What rules leave of rows and columns, and what mistakes in them do.

use super::*;
use crate::dialect::View;
use crate::tables::Column;
use crate::tables::Type;
use crate::tables::Value;

fn schema() -> Schema {
    let users = vec![
        Column::key("id", Type::Int),
        Column::new("team", Type::Text),
        Column::new("age", Type::Int),
    ];
    let notes = vec![Column::key("code", Type::Text), Column::new("age", Type::Int)];
    let tables =
        vec![Table::new("public.users", users).unwrap(), Table::new("notes", notes).unwrap()];
    Schema::new(tables).unwrap()
}

fn of(filters: &str, mask: Option<&str>) -> Result<(Schema, Confined), String> {
    let schema = schema();
    let mut verdict = Verdict::default();
    if !filters.is_empty() {
        verdict = verdict.with_filters(Json::new(filters).unwrap());
    }
    if let Some(mask) = mask {
        verdict = verdict.with_mask(Json::new(mask).unwrap());
    }
    let mut confined = Confined::default();
    confined.take(&verdict, (&schema, &View::default()))?;
    Ok((schema, confined))
}

const USERS: TableId = TableId(0);
const NOTES: TableId = TableId(1);

fn passes(filters: &str, team: &str, age: i64) -> bool {
    let (schema, confined) = of(filters, None).unwrap();
    let row = [Value::Int(1), Value::Text(team.into()), Value::Int(age)];
    confined.of(&schema, USERS).unwrap().filter.passes(&row)
}

#[test]
fn a_list_holds_of_every_table_and_closes_those_that_it_cannot_be_put_to() {
    let red = r#"[{"column":"team","operator":"eq","value":"red"}]"#;
    assert!(passes(red, "red", 1) && !passes(red, "blue", 1));
    let (schema, confined) = of(red, None).unwrap();
    assert_eq!(confined.of(&schema, NOTES).unwrap_err().code, ErrorCode::Forbidden);
    let by_table = r#"{"users":[{"column":"team","operator":"eq","value":"red"}],"notes":[]}"#;
    let (schema, confined) = of(by_table, None).unwrap();
    assert!(confined.of(&schema, NOTES).unwrap().filter.passes(&[]));
    let (schema, confined) = of(r#"{"public.users":[]}"#, None).unwrap();
    assert!(confined.of(&schema, NOTES).is_err(), "what is not named is closed");
    assert!(confined.of(&schema, USERS).is_ok());
}

#[test]
fn mistakes_close_and_do_not_open() {
    // A client's empty list, or null, is no condition; a hook's is one that nothing passes.
    for value in ["[]", "null", "[null]"] {
        let filters = format!(r#"[{{"column":"team","operator":"in","value":{value}}}]"#);
        assert!(!passes(&filters, "red", 1), "{filters}");
    }
    for filters in [
        r#"[{"column":"team","operator":"equal","value":"red"}]"#,
        r#"[{"column":"team","operator":"","value":"red"}]"#,
        r#"[{"col":"team","operator":"eq","value":"red"}]"#,
        r#"[{"column":7,"operator":"eq"}]"#,
        r#"[7]"#,
        "7",
        r#"{"users":7}"#,
        r#"{"people":[]}"#,
        r#"{"users":[{"column":"teem","operator":"eq","value":"red"}]}"#,
        r#"{"users":[{"column":"age","operator":"eq","value":"old"}]}"#,
        r#"{"users":[],"public.users":[]}"#,
    ] {
        assert!(of(filters, None).is_err(), "{filters}");
    }
    for mask in ["7", "[7]", r#"["id"]"#, r#"{"users":["wage"]}"#, r#"{"users":["id"]}"#] {
        assert!(of("", Some(mask)).is_err(), "{mask}");
    }
}

#[test]
fn alternatives_are_those_of_one_run() {
    let filters = r#"[{"column":"team","operator":"eq","value":"red"},{"column":"age","operator":"gt","value":9},{"column":"age","operator":"lt","value":3,"logic_operator":"OR"}]"#;
    assert!(passes(filters, "red", 10) && passes(filters, "red", 2));
    assert!(!passes(filters, "red", 5) && !passes(filters, "blue", 10));
}

#[test]
fn what_is_masked_is_asked_by_nobody() {
    let (schema, confined) = of("", Some(r#"{"users":["age"]}"#)).unwrap();
    assert!(confined.says_masks());
    let users = schema.table(USERS);
    let age = users.find_column("age").unwrap();
    let mut query = Query::all(USERS);
    confined.narrow(&schema, &mut query, Filter::all()).unwrap();
    assert!(!query.columns.contains(&age) && query.columns.len() == 2);
    let by_age = |filter| Query { filter, ..Query::all(USERS) };
    let asked = Filter::Not(Box::new(Filter::null(age)));
    let refused = confined.narrow(&schema, &mut by_age(asked), Filter::all());
    assert_eq!(refused.unwrap_err().code, ErrorCode::UnknownColumn);
    let sort = vec![crate::tables::Sort { column: age, descending: false }];
    let mut sorted = Query { sort, ..Query::all(USERS) };
    assert!(confined.narrow(&schema, &mut sorted, Filter::all()).is_err());
    let mut shown = Query { columns: vec![age], ..Query::all(USERS) };
    assert!(confined.narrow(&schema, &mut shown, Filter::all()).is_err());
    let set = vec![(age, Value::Int(7))];
    let mut write =
        Write::new(USERS, Change::Update { key: [Value::Int(1)].into(), set: set.clone() });
    confined.narrow_write(&schema, &mut write, (Filter::all(), false)).unwrap();
    assert!(matches!(&write.change, Change::Update { set, .. } if set.is_empty()));
    let mut write = Write::new(USERS, Change::Create(set));
    confined.narrow_write(&schema, &mut write, (Filter::all(), true)).unwrap();
    assert!(matches!(&write.change, Change::Create(values) if values.len() == 1));
}
