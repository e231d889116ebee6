//! A client's message, read as the origin's decoder reads it: members are found whatever their case, null says nothing, and what is none of its member's type is no message.
//!
//! Invariant: everything that the protocol names is checked, also what is passed over; what it does not name is not looked at.

use serde_json::value::RawValue;

use super::shape;
use super::shape::Shape;
use crate::dialect::json;
use crate::event::json::unescaped;

/// A message.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) operation: String,
    pub(super) schema: String,
    pub(super) entity: String,
    pub(super) record_id: String,
    pub(super) data: Option<&'a RawValue>,
    pub(super) options: Options<'a>,
    /// The same as they were written.
    pub(super) options_text: Option<&'a RawValue>,
    pub(super) subscription_id: String,
}

/// What is used of `options`.
#[derive(Debug, Default)]
pub(super) struct Options<'a> {
    pub(super) filters: Vec<Filter<'a>>,
    pub(super) columns: Vec<String>,
    pub(super) sort: Vec<Sort>,
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    /// The names of relations.
    pub(super) preload: Vec<String>,
    pub(super) fetch_row_number: String,
}

/// One condition.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    pub(super) column: String,
    pub(super) operator: String,
    /// As it is written; null if it is not there.
    pub(super) value: &'a str,
    /// Whether this one or the one before it is enough.
    pub(super) is_alternative: bool,
}

/// One column to sort by.
#[derive(Debug)]
pub(super) struct Sort {
    pub(super) column: String,
    pub(super) direction: String,
}

/// What was said is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotParsed;

//= resolvespec#3A.2
//# `options` (all optional): `filters[]{column,operator,value,logic_operator}`, `columns[]`, `omit_columns[]`,
//# `sort[]{column,direction}`, `limit`, `offset`, `preload[]{relation,table_name,columns,omit_columns,sort,
//# filters,where,limit,offset,updateable,computed_ql,recursive,primary_key,related_key,foreign_key,
//# recursive_child_key,sql_joins,join_aliases}`, `customOperators[]{name,sql}`,
//# `computedColumns[]{name,expression}`, `parameters[]{name,value,sequence}`, `cursor_forward`,
//# `cursor_backward`, `fetch_row_number` (string).
const MESSAGE: Shape = Shape::Object(&[
    ("id", Shape::Text),
    ("type", Shape::Text),
    ("operation", Shape::Text),
    ("schema", Shape::Text),
    ("entity", Shape::Text),
    ("record_id", Shape::Text),
    ("options", OPTIONS),
    ("subscription_id", Shape::Text),
]);
const OPTIONS: Shape = Shape::Object(&[
    ("filters", FILTERS),
    ("columns", TEXTS),
    ("omit_columns", TEXTS),
    ("sort", SORTS),
    ("limit", Shape::Int),
    ("offset", Shape::Int),
    ("preload", PRELOADS),
    ("customOperators", OPERATORS),
    ("computedColumns", COMPUTED),
    ("parameters", PARAMETERS),
    ("cursor_forward", Shape::Text),
    ("cursor_backward", Shape::Text),
    ("fetch_row_number", Shape::Text),
]);
const TEXTS: Shape = Shape::List(&Shape::Text);
const FILTERS: Shape = Shape::List(&Shape::Object(&[
    ("column", Shape::Text),
    ("operator", Shape::Text),
    ("logic_operator", Shape::Text),
]));
const SORTS: Shape =
    Shape::List(&Shape::Object(&[("column", Shape::Text), ("direction", Shape::Text)]));
const PARAMETERS: Shape = Shape::List(&Shape::Object(&[
    ("name", Shape::Text),
    ("value", Shape::Text),
    ("sequence", Shape::Int),
]));
const PRELOADS: Shape = Shape::List(&Shape::Object(&[
    ("relation", Shape::Text),
    ("table_name", Shape::Text),
    ("columns", TEXTS),
    ("omit_columns", TEXTS),
    ("sort", SORTS),
    ("filters", FILTERS),
    ("where", Shape::Text),
    ("limit", Shape::Int),
    ("offset", Shape::Int),
    ("updateable", Shape::Bool),
    ("computed_ql", Shape::Map(&Shape::Text)),
    ("recursive", Shape::Bool),
    ("primary_key", Shape::Text),
    ("related_key", Shape::Text),
    ("foreign_key", Shape::Text),
    ("recursive_child_key", Shape::Text),
    ("sql_joins", TEXTS),
    ("join_aliases", TEXTS),
]));

const OPERATORS: Shape =
    Shape::List(&Shape::Object(&[("name", Shape::Text), ("sql", Shape::Text)]));
const COMPUTED: Shape =
    Shape::List(&Shape::Object(&[("name", Shape::Text), ("expression", Shape::Text)]));

impl<'a> Message<'a> {
    //= resolvespec#3A.2
    //# unknown fields ignored; names matched case-insensitively by Go's decoder;
    //# wrong JSON types, e.g. numeric `id` or `record_id`, are a parse error
    /// Reads a message.
    pub(super) fn read(text: &'a str) -> Result<Self, NotParsed> {
        if text.trim_ascii() == "null" {
            return Ok(Self::default());
        }
        let members = json::members(text).map_err(|_| NotParsed)?;
        if !shape::are(&members, &MESSAGE) {
            return Err(NotParsed);
        }
        let options = object(&members, "options").map(|members| Options::of(&members));
        Ok(Self {
            id: text_of(&members, "id"),
            kind: text_of(&members, "type"),
            operation: text_of(&members, "operation"),
            schema: text_of(&members, "schema"),
            entity: text_of(&members, "entity"),
            record_id: text_of(&members, "record_id"),
            data: shape::find(&members, "data"),
            options: options.unwrap_or_default(),
            options_text: shape::find(&members, "options"),
            subscription_id: text_of(&members, "subscription_id"),
        })
    }

    //= resolvespec#3A.2
    //# Validation (`IsValid`): `type` non-empty; `request` needs `id`, `operation`, `entity`; `subscription`
    //# needs `id`, `operation`.
    /// Whether everything is there.
    pub(super) const fn is_valid(&self) -> bool {
        let has_deed = !self.id.is_empty() && !self.operation.is_empty();
        match self.kind.as_bytes() {
            b"" => false,
            b"request" => has_deed && !self.entity.is_empty(),
            b"subscription" => has_deed,
            _ => true,
        }
    }
}

impl<'a> Options<'a> {
    /// Reads options that stand by themselves.
    pub(super) fn read(text: &'a str) -> Result<Self, NotParsed> {
        let members = json::members(text).map_err(|_| NotParsed)?;
        if !shape::are(&members, &OPTIONS) {
            return Err(NotParsed);
        }
        Ok(Self::of(&members))
    }

    fn of(members: &json::Members<'a>) -> Self {
        let filters = objects(members, "filters");
        let sort = objects(members, "sort");
        let preload = objects(members, "preload");
        Self {
            filters: filters.iter().map(Filter::of).collect(),
            columns: texts(members, "columns"),
            sort: sort
                .iter()
                .map(|sort| Sort {
                    column: text_of(sort, "column"),
                    direction: text_of(sort, "direction"),
                })
                .collect(),
            limit: number(members, "limit"),
            offset: number(members, "offset"),
            preload: preload.iter().map(|preload| text_of(preload, "relation")).collect(),
            fetch_row_number: text_of(members, "fetch_row_number"),
        }
    }
}

impl<'a> Filter<'a> {
    pub(super) fn of(members: &json::Members<'a>) -> Self {
        Self {
            column: text_of(members, "column"),
            operator: text_of(members, "operator"),
            value: shape::find(members, "value").map_or("null", RawValue::get),
            is_alternative: text_of(members, "logic_operator").eq_ignore_ascii_case("or"),
        }
    }
}

/// The text of a string.
fn unquoted(raw: &RawValue) -> String {
    let token = raw.get().strip_prefix('"').and_then(|token| token.strip_suffix('"'));
    unescaped(token.unwrap_or_default()).into_owned()
}

fn text_of(members: &json::Members<'_>, name: &str) -> String {
    shape::find(members, name).map(unquoted).unwrap_or_default()
}

fn number(members: &json::Members<'_>, name: &str) -> Option<i64> {
    shape::find(members, name)?.get().parse().ok()
}

fn elements<'a>(members: &json::Members<'a>, name: &str) -> Vec<&'a RawValue> {
    let list = shape::find(members, name);
    list.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default()
}

fn texts(members: &json::Members<'_>, name: &str) -> Vec<String> {
    let text = |raw: &RawValue| if raw.get() == "null" { String::new() } else { unquoted(raw) };
    elements(members, name).into_iter().map(text).collect()
}

fn object<'a>(members: &json::Members<'a>, name: &str) -> Option<json::Members<'a>> {
    json::members(shape::find(members, name)?.get()).ok()
}

/// Objects; null is one without members.
fn objects<'a>(members: &json::Members<'a>, name: &str) -> Vec<json::Members<'a>> {
    let object = |raw: &'a RawValue| json::members(raw.get()).unwrap_or_default();
    elements(members, name).into_iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_their_case_and_null_says_nothing() {
        let message = Message::read(
            r#"{"ID":"1","Type":"request","OPERATION":"read","entity":"users","entity":null,"Record_Id":"7","more":[],"data":null,"options":{"Limit":5,"FILTERS":[{"Column":"a","value":1.50,"logic_operator":"oR"},null],"columns":["a\u00e9",null]}}"#,
        )
        .unwrap();
        assert!(message.is_valid() && message.data.is_none());
        assert_eq!((&*message.entity, &*message.record_id), ("users", "7"));
        let options = &message.options;
        assert_eq!((options.limit, options.offset), (Some(5), None));
        assert_eq!(options.columns, ["aé", ""]);
        let filters: Vec<_> = options
            .filters
            .iter()
            .map(|own| (&*own.column, own.value, own.is_alternative))
            .collect();
        assert_eq!(filters, [("a", "1.50", true), ("", "null", false)]);
    }

    #[test]
    fn what_is_of_another_type_is_no_message() {
        for text in [
            "",
            "7",
            "[]",
            r#""text""#,
            r#"{"id":"1"} x"#,
            r#"{"id":1}"#,
            r#"{"id":"1","record_id":7}"#,
            r#"{"options":[]}"#,
            r#"{"options":{"limit":"5"}}"#,
            r#"{"options":{"limit":5.0}}"#,
            r#"{"options":{"limit":1e2}}"#,
            r#"{"options":{"limit":9223372036854775808}}"#,
            r#"{"options":{"filters":{}}}"#,
            r#"{"options":{"filters":[{"column":1}]}}"#,
            r#"{"options":{"columns":[1]}}"#,
            r#"{"options":{"preload":[{"updateable":1}]}}"#,
            r#"{"options":{"preload":[{"sort":[{"direction":true}]}]}}"#,
            r#"{"options":{"preload":[{"computed_ql":{"a":1}}]}}"#,
            r#"{"options":{"parameters":[{"sequence":"1"}]}}"#,
            r#"{"options":{"customOperators":[{"sql":1}]}}"#,
            r#"{"options":{"computedColumns":[{"expression":1}]}}"#,
        ] {
            assert_eq!(Message::read(text).err(), Some(NotParsed), "{text}");
        }
    }

    #[test]
    fn what_is_missing_makes_a_message_invalid() {
        for (text, is_valid) in [
            ("null", false),
            ("{}", false),
            (r#"{"type":"ping"}"#, true),
            (r#"{"type":"other"}"#, true),
            (r#"{"type":"request","id":"1","operation":"read"}"#, false),
            (r#"{"type":"request","id":"1","entity":"users"}"#, false),
            (r#"{"type":"request","operation":"read","entity":"users"}"#, false),
            (r#"{"type":"request","id":"1","operation":"read","entity":"users"}"#, true),
            (r#"{"type":"subscription","id":"1"}"#, false),
            (r#"{"type":"subscription","operation":"subscribe"}"#, false),
            (r#"{"type":"subscription","id":"1","operation":"subscribe"}"#, true),
        ] {
            assert_eq!(Message::read(text).unwrap().is_valid(), is_valid, "{text}");
        }
    }
}
