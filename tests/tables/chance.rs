//! Values, rows, changes, filters and queries by chance: few and nasty, so that equal ones meet.

use fanwire::tables::Change;
use fanwire::tables::ColumnId;
use fanwire::tables::Comparison;
use fanwire::tables::Filter;
use fanwire::tables::Preload;
use fanwire::tables::Query;
use fanwire::tables::RelationId;
use fanwire::tables::Schema;
use fanwire::tables::Sort;
use fanwire::tables::TableId;
use fanwire::tables::Test;
use fanwire::tables::Type;
use fanwire::tables::Value;

use crate::support::random::Random;

/// Every type, and nasty texts of it in JSON.
pub(crate) const VALUES: [(Type, &[&str]); 8] = [
    (Type::Bool, &["true", "false"]),
    (
        Type::Int,
        &[
            "0",
            "-1",
            "7",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
        ],
    ),
    (
        Type::Decimal,
        &[
            "0",
            "-0.0",
            "1.5",
            "1.50",
            "15e-1",
            "9007199254740993",
            "0.1",
            "0.1000000000000000055",
            "-12.5",
            "123456789012345678901234567890.1",
            "1e300",
            "1e-300",
        ],
    ),
    (
        Type::Float,
        &[
            "0",
            "-0.0",
            "0.1",
            "1e22",
            "-1.5",
            "9007199254740993",
            "5e-324",
            "1.7976931348623157e308",
        ],
    ),
    (
        Type::Text,
        &[
            r#""""#,
            r#""a""#,
            r#""A""#,
            r#""ab""#,
            r#""a%b_\\""#,
            r#""'; DROP TABLE \"all\"; --""#,
            r#""é""#,
            r#""É""#,
            r#""\uffff""#,
            r#""\ud83d\ude00""#,
            r#""\ud800""#,
            r#""10""#,
            r#""9""#,
        ],
    ),
    (
        Type::Time,
        &[
            r#""2026-01-10T12:00:00Z""#,
            r#""2026-01-10T13:00:00+01:00""#,
            r#""2026-01-10T12:00:00.5Z""#,
            r#""2026-01-10T12:00:00.000001Z""#,
            r#""1969-12-31T23:59:59.999999Z""#,
            r#""0001-01-01T00:00:00Z""#,
        ],
    ),
    (Type::Bytes, &[r#""""#, r#""AA==""#, r#""AAE=""#, r#""/w==""#]),
    (
        Type::Json,
        &["{}", r#"{"b":1, "a":[1e400,"\ud800"]}"#, "[]", r#""x""#, "12345678901234567890"],
    ),
];

const WORDS: [&str; 12] =
    ["%", "_", "a%", "%B", "a\\%b_\\\\", "\\", "É", "1_", "%5", "tr%", "", "%%é%"];

pub(crate) struct Chance<'a> {
    pub(crate) random: Random,
    pub(crate) schema: &'a Schema,
}

impl Chance<'_> {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound)
    }

    fn value(&mut self, kind: Type) -> Value {
        let (_, texts) = VALUES.into_iter().find(|(of, _)| *of == kind).unwrap();
        let at = self.below(texts.len() + 1);
        texts.get(at).map_or(Value::Null, |text| kind.read(text).unwrap())
    }

    pub(crate) fn row(&mut self, table: TableId) -> Vec<(ColumnId, Value)> {
        let table = self.schema.table(table);
        let mut row = Vec::new();
        for id in table.ids() {
            let column = table.column(id);
            let value = match &*column.name {
                "id" | "of" | "number" => Value::Int([1, 2, 3, 4, 5, 9][self.below(6)]),
                "name" => Value::Text(["x", "X", "é"][self.below(3)].into()),
                _ => self.value(column.kind),
            };
            if !table.is_key(id) && self.below(4) == 0 {
                continue;
            }
            row.push((id, value));
        }
        row
    }

    pub(crate) fn change(&mut self, table: TableId) -> Change {
        let mut row = self.row(table);
        let key = fanwire::tables::key_of(self.schema.table(table), &row);
        match self.below(6) {
            0 => Change::Create(row),
            1 if table == TableId(0) => {
                row.remove(0);
                Change::Create(row)
            }
            2 => {
                row.retain(|(id, _)| !self.schema.table(table).is_key(*id));
                Change::Update { key, set: row }
            }
            3 => Change::Delete { key },
            _ => Change::Upsert(row),
        }
    }

    pub(crate) fn filter(&mut self, table: TableId, depth: usize) -> Filter {
        if depth > 0 {
            let each = |chance: &mut Self| {
                let count = chance.below(4);
                (0..count).map(|_| chance.filter(table, depth - 1)).collect()
            };
            match self.below(4) {
                0 => return Filter::And(each(self)),
                1 => return Filter::Or(each(self)),
                2 => return Filter::Not(Box::new(self.filter(table, depth - 1))),
                _ => {}
            }
        }
        let of = self.schema.table(table);
        let column = ColumnId(self.below(of.columns.len()) as u16);
        let kind = of.column(column).kind;
        let test = match self.below(5) {
            0 => Test::Null,
            1 => Test::NotNull,
            2 if kind.has_text() => {
                let pattern = WORDS[self.below(WORDS.len())].into();
                Test::Like { pattern, ignore_case: self.below(2) == 0 }
            }
            3 if kind.is_ordered() => {
                let count = self.below(4);
                Test::In((0..count).map(|_| self.value(kind)).collect())
            }
            _ if kind.is_ordered() => {
                let comparison = [
                    Comparison::Equal,
                    Comparison::NotEqual,
                    Comparison::Less,
                    Comparison::LessOrEqual,
                    Comparison::Greater,
                    Comparison::GreaterOrEqual,
                ][self.below(6)];
                Test::Compare(comparison, self.value(kind))
            }
            _ => Test::Null,
        };
        Filter::Test { column, test }
    }

    fn sorts(&mut self, table: TableId) -> Vec<Sort> {
        let of = self.schema.table(table);
        let count = self.below(4);
        let sort = |chance: &mut Self| Sort {
            column: ColumnId(chance.below(of.columns.len()) as u16),
            descending: chance.below(2) == 0,
        };
        let mut sorts: Vec<Sort> = (0..count).map(|_| sort(self)).collect();
        sorts.retain(|sort| of.column(sort.column).kind.is_ordered());
        sorts
    }

    fn preloads(&mut self, table: TableId, depth: usize) -> Vec<Preload> {
        let of = self.schema.table(table);
        let count = if depth == 0 { 0 } else { self.below(of.relations.len() + 1) };
        (0..count)
            .map(|index| {
                let related = self.schema.find(&of.relations[index].table).unwrap();
                Preload {
                    relation: RelationId(index as u16),
                    columns: self.columns(related),
                    filter: self.filter(related, 1),
                    sort: self.sorts(related),
                    limit: (self.below(3) == 0).then_some(1),
                    preload: self.preloads(related, depth - 1),
                }
            })
            .collect()
    }

    fn columns(&mut self, table: TableId) -> Vec<ColumnId> {
        let mut columns: Vec<ColumnId> = self.schema.table(table).ids().collect();
        columns.retain(|_| self.random.below(3) > 0);
        columns.reverse();
        columns
    }

    pub(crate) fn query(&mut self) -> Query {
        let table = TableId(self.below(2) as u16);
        let key = fanwire::tables::key_of(self.schema.table(table), &self.row(table));
        Query {
            table,
            columns: self.columns(table),
            filter: self.filter(table, 3),
            sort: self.sorts(table),
            limit: (self.below(2) == 0).then(|| self.random.below(5) as u64),
            offset: if self.below(2) == 0 { 0 } else { self.random.below(4) as u64 },
            wants_total: self.below(2) == 0,
            number_of: (self.below(5) == 0).then_some(key),
            preload: self.preloads(table, 2),
        }
    }
}
