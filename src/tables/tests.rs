//! What the parts of tables say together: values in and out, operators, and statements that hold no word of a client's.

use super::sql::Engine;
use super::sql::Statement;
use super::sql::Stored;
use super::*;

fn table() -> Table {
    let mut columns = vec![Column::key("id", Type::Int)];
    columns.extend(Type::ALL.map(|kind| Column::new(kind.name(), kind)));
    Table::new("public.all", columns).unwrap()
}

fn written(value: &Value) -> String {
    let mut out = String::new();
    value.put_json(&mut out);
    out
}

#[test]
fn what_each_type_makes_of_json_is_what_the_page_says() {
    for (kind, json, expected) in [
        (Type::Bool, "true", "true"),
        (Type::Bool, r#""false""#, "false"),
        (Type::Int, "9007199254740993", "9007199254740993"),
        (Type::Int, "1e3", "1000"),
        (Type::Int, r#""-7""#, "-7"),
        (Type::Decimal, "1.50", "1.5"),
        (Type::Decimal, "123456789012345678901234567890.5", "123456789012345678901234567890.5"),
        (Type::Float, "-0.0", "0"),
        (Type::Float, "0.1", "0.1"),
        (Type::Float, "1e22", "1e22"),
        (Type::Text, "12.50", r#""12.50""#),
        (Type::Text, r#""\ud83d\ude00""#, "\"\u{1f600}\""),
        (Type::Text, r#""\ud800""#, "\"\u{fffd}\""),
        (Type::Time, r#""2026-01-10T13:00:00.250+01:00""#, r#""2026-01-10T12:00:00.250Z""#),
        (Type::Time, r#""2026-01-10T12:00:00""#, r#""2026-01-10T12:00:00Z""#),
        (Type::Time, r#""2026-01-10T12:00:00.000001Z""#, r#""2026-01-10T12:00:00.000001Z""#),
        (Type::Bytes, r#""AAE=""#, r#""AAE=""#),
        (Type::Json, r#" {"b":1, "a":"\ud800"} "#, r#"{"b":1, "a":"\ud800"}"#),
        (Type::Json, "12345678901234567890.10", "12345678901234567890.10"),
    ] {
        assert_eq!(written(&kind.read(json).unwrap()), expected, "{} {json}", kind.name());
        assert!(kind.read("null").unwrap().is_null());
    }
    for (kind, json, problem) in [
        (Type::Bool, "1", "it must be true or false, and is a number"),
        (Type::Int, "1.5", "it must be a whole number, and is a number with a fraction"),
        (Type::Int, "9223372036854775808", "it does not fit 64 bits"),
        (Type::Int, r#""x""#, "it must be a whole number, and is a text"),
        (Type::Decimal, "1e401", "it has too many digits"),
        (Type::Float, "1e309", "it does not fit a double"),
        (Type::Text, r#""a\u0000b""#, "a text may not hold U+0000"),
        (Type::Text, "{}", "it must be a text, and is an object"),
        (
            Type::Time,
            r#""soon""#,
            "it must be a time of the years 1 to 9999, as in 2026-01-10T12:00:00Z",
        ),
        (Type::Bytes, r#""A""#, "it must be bytes in base64"),
        (Type::Json, "{", "it is no JSON: the text ends within a value at byte 1"),
        (Type::Int, "[1]", "it must be a whole number, and is an array"),
    ] {
        assert_eq!(kind.read(json).unwrap_err().to_string(), problem, "{} {json}", kind.name());
    }
}

#[test]
fn keys_are_read_and_written_as_their_text() {
    let one = table();
    assert_eq!(&*one.read_key("7").unwrap(), [Value::Int(7)]);
    assert_eq!(
        one.read_key("x").unwrap_err().to_string(),
        "id: it must be a whole number, and is a text"
    );
    let columns = vec![Column::key("size", Type::Text), Column::key("kind", Type::Text)];
    let two = Table { key: vec![ColumnId(0), ColumnId(1)], ..Table::new("two", columns).unwrap() };
    let key = two.read_key(r#"["5m", "p\"q"]"#).unwrap();
    assert_eq!(event_key_of(&key), r#"["5m","p\"q"]"#);
    assert_eq!(two.read_key(&event_key_of(&key)).unwrap(), key);
    for text in ["5m", "[\"5m\"]", "[\"5m\",\"a\",\"b\"]", "[\"5m\",\"a\"] x"] {
        assert_eq!(two.read_key(text).unwrap_err().code, ErrorCode::BadValue, "{text}");
    }
}

#[test]
fn operators_make_the_filters_that_the_page_says() {
    let table = table();
    let column = |name: &str| table.find_column(name).unwrap();
    let row = |text: &str, int: &str| -> Vec<Value> {
        table
            .ids()
            .map(|id| match &*table.column(id).name {
                "text" => Type::Text.read(text).unwrap(),
                "int" => Type::Int.read(int).unwrap(),
                _ => Value::Null,
            })
            .collect()
    };
    for (name, operator, value, passing, failing) in [
        ("int", "=", "5", "5", "6"),
        ("int", "neq", "5", "6", "null"),
        ("int", "gt", r#""5""#, "6", "5"),
        ("int", "lte", "5", "5", "6"),
        ("int", "in", "[5,null,6]", "6", "7"),
        ("int", "in", "5", "5", "6"),
        ("int", "between", "[5,7]", "6", "5"),
        ("int", "between_inclusive", "[5,7]", "5", "8"),
        ("int", "like", r#""5%""#, "57", "75"),
        ("text", "like", r#""a%""#, r#""ab""#, r#""Ab""#),
        ("text", "ilike", r#""a_""#, r#""AB""#, r#""ABC""#),
        ("text", "contains", r#""50%""#, r#""a50%b""#, r#""a500b""#),
        ("text", "startswith", r#""a""#, r#""Ab""#, r#""ba""#),
        ("text", "endswith", r#""a""#, r#""bA""#, r#""ab""#),
        ("text", "is_null", "null", r#""""#, r#""a""#),
        ("text", "is_not_null", "null", r#""a""#, r#""""#),
    ] {
        let operator_of = Operator::from_name(operator).unwrap();
        let filter = operator_of.filter(&table, column(name), value).unwrap();
        let with = |said: &str| if name == "int" { row("null", said) } else { row(said, "null") };
        assert!(filter.passes(&with(passing)), "{operator} {value} {passing}");
        assert!(!filter.passes(&with(failing)), "{operator} {value} {failing}");
    }
    // No condition at all.
    for value in ["[]", "null", "[null]"] {
        let filter = Operator::In.filter(&table, column("int"), value).unwrap();
        assert!(filter.is_all(), "{value}");
    }
    assert_eq!(Operator::from_name("LIKE"), None);
}

/// Statements differ by what is asked, and never by the values that it is asked with.
#[test]
fn no_word_of_a_client_becomes_a_word_of_a_statement() {
    let table = table();
    let text = |said: &str| Value::Text(said.into());
    let stored = Stored::default();
    let make = |engine: Engine<'_>, said: &str| {
        let column = table.find_column("text").unwrap();
        let json = table.find_column("json").unwrap();
        let filter = Filter::Or(vec![
            Filter::equal(column, text(said)),
            Filter::Not(Box::new(Filter::like(column, said, true))),
            Filter::one_of(column, vec![text(said), text("b")]),
            Filter::around(column, said, (true, true), false),
            Filter::null(json),
        ]);
        let sort = vec![Sort { column, descending: true }];
        let query =
            Query { filter: filter.clone(), sort, limit: Some(3), ..Query::all(TableId(0)) };
        let numbered = Query { number_of: Some([Value::Int(1)].into()), ..query.clone() };
        let row = vec![(column, text(said)), (json, Value::Json(said.into()))];
        [
            Statement::rows(engine, &table, &query),
            Statement::rows(engine, &table, &numbered),
            Statement::count(engine, &table, &filter),
            Statement::insert(engine, &table, &row),
            Statement::update(engine, &table, &[Value::Int(1)], &row),
            Statement::delete(engine, &table, &[Value::Int(1)]),
        ]
    };
    let engines = [Engine::Sqlite, Engine::Postgres(&stored)];
    let plain = engines.map(|engine| make(engine, "a"));
    for hostile in ["'; DROP TABLE x; --", "\"", "?1", "$1", "\\", "%_", "\u{202e}", "a\" OR 1=1"] {
        for (engine, plain) in engines.into_iter().zip(&plain) {
            for (one, other) in make(engine, hostile).iter().zip(plain) {
                assert_eq!(one.sql, other.sql, "{hostile}");
                assert_eq!(one.params.len(), other.params.len(), "{hostile}");
            }
        }
    }
    assert_eq!(
        plain[0][2].sql,
        "SELECT count(*) FROM \"public.all\" WHERE ((\"text\" = ?1) OR ((fw_like(?2, \"text\", 1)) IS NOT TRUE) OR (\"text\" IN (?3, ?4)) OR (fw_like(?5, \"text\", 0)) OR (\"json\" IS NULL))"
    );
    assert_eq!(
        plain[1][2].sql,
        "SELECT count(*) FROM \"public\".\"all\" WHERE ((\"text\" = $1::text) OR ((\"text\"::text COLLATE \"C\" ILIKE $2::text) IS NOT TRUE) OR (\"text\" IN ($3::text, $4::text)) OR (\"text\"::text COLLATE \"C\" LIKE $5::text) OR (\"json\" IS NULL))"
    );
}

#[test]
fn what_is_too_large_or_makes_no_sense_is_refused() {
    let schema = Schema::new(vec![table()]).unwrap();
    let table = schema.table(TableId(0));
    let column = |name: &str| table.find_column(name).unwrap();
    let mut deep = Filter::all();
    for _ in 0..40 {
        deep = Filter::Not(Box::new(deep));
    }
    let many = vec![Value::Int(1); 5000];
    for (filter, code) in [
        (deep, ErrorCode::TooLarge),
        (Filter::one_of(column("int"), many), ErrorCode::TooLarge),
        (Filter::And(vec![Filter::null(column("int")); 300]), ErrorCode::TooLarge),
        (Filter::equal(column("json"), Value::Json("{}".into())), ErrorCode::CannotFilter),
        (Filter::like(column("time"), "2%", false), ErrorCode::CannotFilter),
        (Filter::equal(column("int"), Value::Bool(true)), ErrorCode::CannotFilter),
        (Filter::null(ColumnId(99)), ErrorCode::UnknownColumn),
    ] {
        let query = Query { filter, ..Query::all(TableId(0)) };
        assert_eq!(query.check(&schema).unwrap_err().code, code);
    }
    let sort = vec![Sort { column: column("json"), descending: false }];
    let query = Query { sort, ..Query::all(TableId(0)) };
    assert_eq!(query.check(&schema).unwrap_err().code, ErrorCode::CannotFilter);
    let large = Value::Text("x".repeat(600 * 1024).into());
    let row = vec![(ColumnId(0), Value::Int(1)), (column("text"), large)];
    let write = Write::new(TableId(0), Change::Create(row));
    assert_eq!(write.check(&schema).unwrap_err().code, ErrorCode::TooLarge);
    let set = vec![(ColumnId(0), Value::Int(2))];
    let write = Write::new(TableId(0), Change::Update { key: [Value::Int(1)].into(), set });
    assert_eq!(write.check(&schema).unwrap_err().to_string(), "id: a row's key cannot be changed");
}
