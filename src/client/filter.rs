//! Filters, built: what comes out is the structured notation of `docs/FILTERS.md`.
//!
//! Checks nothing that the server does; a filter that cannot be is refused with its place. Pure.

use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::Not;

use serde_json::Value;
use serde_json::json;

/// Words that begin something else where a path may stand.
const KEYWORDS: [&str; 6] = ["not", "true", "false", "first", "whole", "within"];

/// Says which events are wanted: `a & b` is both, `a | b` either, `!a` what it does not let pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Value);

impl From<Filter> for Value {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl Filter {
    /// All of them; without any it lets everything pass.
    #[must_use]
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(json!({"and": filters.into_iter().map(Value::from).collect::<Vec<_>>()}))
    }

    /// At least one of them; without any it lets nothing pass.
    #[must_use]
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self(json!({"or": filters.into_iter().map(Value::from).collect::<Vec<_>>()}))
    }

    /// The position that these two fields are lies in the area, edges included.
    #[must_use]
    pub fn within(latitude: &Field, longitude: &Field, area: &Area) -> Self {
        Self(json!({"within": [latitude.0, longitude.0, area.0]}))
    }
}

impl BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self::all([self, other])
    }
}

impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::any([self, other])
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self(json!({"not": self.0}))
    }
}

/// Part of the globe.
#[derive(Clone, Debug, PartialEq)]
pub struct Area(Value);

impl Area {
    /// Degrees; west greater than east crosses the antimeridian.
    #[must_use]
    pub fn rectangle(south: f64, west: f64, north: f64, east: f64) -> Self {
        Self(json!({"box": [south, west, north, east]}))
    }

    /// Around a position in degrees, with a radius in metres.
    #[must_use]
    pub fn circle(latitude: f64, longitude: f64, radius_m: f64) -> Self {
        Self(json!({"circle": [latitude, longitude, radius_m]}))
    }

    /// Latitude and longitude of each corner, in degrees; the last is joined to the first.
    #[must_use]
    pub fn polygon(corners: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let corners: Vec<Value> = corners.into_iter().map(|(lat, lon)| json!([lat, lon])).collect();
        Self(json!({"polygon": corners}))
    }
}

/// What is tested: a member of the payload, or of the event itself.
#[derive(Clone, Debug)]
pub struct Field(String);

/// A member of the payload, whatever characters its name has.
#[must_use]
pub fn field(name: &str) -> Field {
    Field::at([name])
}

impl Field {
    /// A member of a member: `["position", "lat"]`.
    #[must_use]
    pub fn at<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(quoted).collect::<Vec<_>>().join("."))
    }

    /// The event's topic.
    #[must_use]
    pub fn topic() -> Self {
        Self("$topic".to_owned())
    }

    /// The event's key.
    #[must_use]
    pub fn key() -> Self {
        Self("$key".to_owned())
    }

    /// The event's operation.
    #[must_use]
    pub fn op() -> Self {
        Self("$op".to_owned())
    }

    /// The first of these fields that is in the payload.
    #[must_use]
    pub fn first<'a>(fields: impl IntoIterator<Item = &'a Self>) -> Self {
        let sources: Vec<&str> = fields.into_iter().map(|field| &*field.0).collect();
        Self(format!("first({})", sources.join(", ")))
    }

    fn test(&self, operator: &str, value: impl Into<Value>) -> Filter {
        Filter(json!({operator: [self.0, value.into()]}))
    }

    /// Some value equals this one.
    #[must_use]
    pub fn eq(&self, value: impl Into<Value>) -> Filter {
        self.test("eq", value)
    }

    /// There is a value, and none equals this one.
    #[must_use]
    pub fn ne(&self, value: impl Into<Value>) -> Filter {
        self.test("ne", value)
    }

    /// Less than this.
    #[must_use]
    pub fn lt(&self, value: impl Into<Value>) -> Filter {
        self.test("lt", value)
    }

    /// At most this.
    #[must_use]
    pub fn le(&self, value: impl Into<Value>) -> Filter {
        self.test("le", value)
    }

    /// More than this.
    #[must_use]
    pub fn gt(&self, value: impl Into<Value>) -> Filter {
        self.test("gt", value)
    }

    /// At least this.
    #[must_use]
    pub fn ge(&self, value: impl Into<Value>) -> Filter {
        self.test("ge", value)
    }

    /// Some value equals one of these.
    #[must_use]
    pub fn is_in<T: Into<Value>>(&self, values: impl IntoIterator<Item = T>) -> Filter {
        self.test("in", values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }

    /// There is a value, and none equals any of these.
    #[must_use]
    pub fn is_not_in<T: Into<Value>>(&self, values: impl IntoIterator<Item = T>) -> Filter {
        self.test("not_in", values.into_iter().map(Into::into).collect::<Vec<Value>>())
    }

    /// Between these two, both included, by one element if the field is a list.
    #[must_use]
    pub fn between(&self, low: impl Into<Value>, high: impl Into<Value>) -> Filter {
        Filter(json!({"between": [self.0, low.into(), high.into()]}))
    }

    /// `*` is any run of characters, `?` any one.
    #[must_use]
    pub fn glob(&self, pattern: &str) -> Filter {
        self.test("glob", pattern)
    }

    /// In SQL's signs, `%` and `_`.
    #[must_use]
    pub fn like(&self, pattern: &str) -> Filter {
        self.test("like", pattern)
    }

    /// The same without regard to case.
    #[must_use]
    pub fn ilike(&self, pattern: &str) -> Filter {
        self.test("ilike", pattern)
    }

    /// The field's text begins with this.
    #[must_use]
    pub fn prefix(&self, text: &str) -> Filter {
        self.test("prefix", text)
    }

    /// The field's text ends with this.
    #[must_use]
    pub fn suffix(&self, text: &str) -> Filter {
        self.test("suffix", text)
    }

    /// The field's text has this in it.
    #[must_use]
    pub fn contains(&self, text: &str) -> Filter {
        self.test("contains", text)
    }

    /// The same without regard to case.
    #[must_use]
    pub fn icontains(&self, text: &str) -> Filter {
        self.test("icontains", text)
    }

    /// The expression finds something; syntax of the crate `regex`.
    #[must_use]
    pub fn regex(&self, expression: &str) -> Filter {
        self.test("regex", expression)
    }

    /// The field is there, be it null.
    #[must_use]
    pub fn exists(&self) -> Filter {
        Filter(json!({"exists": self.0}))
    }

    /// The field is null.
    #[must_use]
    pub fn is_null(&self) -> Filter {
        Filter(json!({"null": self.0}))
    }

    /// The field is there and not null.
    #[must_use]
    pub fn is_known(&self) -> Filter {
        Filter(json!({"known": self.0}))
    }
}

/// A name as paths have it: words as they are, others in backticks.
fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let is_word = chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| matches!(c, '_' | '-') || c.is_ascii_alphanumeric());
    if is_word && !KEYWORDS.iter().any(|word| name.eq_ignore_ascii_case(word)) {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('`', "``"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_becomes_the_notation_of_the_page() {
        let a = field("a");
        let places = (field("lat"), field("lon"));
        let within = |area: Area| Filter::within(&places.0, &places.1, &area);
        for (built, notation) in [
            (a.eq(1), json!({"eq": ["a", 1]})),
            (a.ne("x"), json!({"ne": ["a", "x"]})),
            (Field::at(["a", "b"]).lt(1.5), json!({"lt": ["a.b", 1.5]})),
            (a.le(1), json!({"le": ["a", 1]})),
            (a.gt(1), json!({"gt": ["a", 1]})),
            (a.ge(1), json!({"ge": ["a", 1]})),
            (a.is_in([1, 2]), json!({"in": ["a", [1, 2]]})),
            (a.is_not_in(["x"]), json!({"not_in": ["a", ["x"]]})),
            (a.between(1, 2), json!({"between": ["a", 1, 2]})),
            (a.glob("S*"), json!({"glob": ["a", "S*"]})),
            (a.like("S%"), json!({"like": ["a", "S%"]})),
            (a.ilike("S%"), json!({"ilike": ["a", "S%"]})),
            (a.prefix("S"), json!({"prefix": ["a", "S"]})),
            (a.suffix("S"), json!({"suffix": ["a", "S"]})),
            (a.contains("S"), json!({"contains": ["a", "S"]})),
            (a.icontains("S"), json!({"icontains": ["a", "S"]})),
            (a.regex("^S"), json!({"regex": ["a", "^S"]})),
            (a.exists(), json!({"exists": "a"})),
            (a.is_null(), json!({"null": "a"})),
            (a.is_known(), json!({"known": "a"})),
            (
                Field::at(["odd name", "a.b", "`", "Not", "9"]).eq(1),
                json!({"eq": ["`odd name`.`a.b`.````.`Not`.`9`", 1]}),
            ),
            (Field::first([&a, &field("b")]).eq(1), json!({"eq": ["first(a, b)", 1]})),
            (Field::topic().eq("t"), json!({"eq": ["$topic", "t"]})),
            (Field::key().eq("k"), json!({"eq": ["$key", "k"]})),
            (Field::op().ne("delete"), json!({"ne": ["$op", "delete"]})),
            (
                within(Area::rectangle(46.0, 6.0, 47.0, 8.0)),
                json!({"within": ["lat", "lon", {"box": [46.0, 6.0, 47.0, 8.0]}]}),
            ),
            (
                within(Area::circle(46.0, 6.0, 30_000.0)),
                json!({"within": ["lat", "lon", {"circle": [46.0, 6.0, 30_000.0]}]}),
            ),
            (
                within(Area::polygon([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)])),
                json!({"within": ["lat", "lon", {"polygon": [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]}]}),
            ),
            (
                !a.eq(1) & (a.eq(2) | a.eq(3)),
                json!({"and": [{"not": {"eq": ["a", 1]}}, {"or": [{"eq": ["a", 2]}, {"eq": ["a", 3]}]}]}),
            ),
            (Filter::any([]), json!({"or": []})),
        ] {
            assert_eq!(Value::from(built), notation);
        }
    }
}
