//! Random filters and events for the property tests: few names and values, so that much of it meets.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Arrays;
use crate::event::Event;
use crate::event::FieldPath;
use crate::event::Fields;
use crate::event::HomeId;
use crate::event::Number;
use crate::event::Op;
use crate::event::TopicName;
use crate::matcher::filter::Area;
use crate::matcher::filter::Edge;
use crate::matcher::filter::GeoPoint;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Regex;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Style;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;

const NAMES: [&str; 5] = ["a", "b", "kind", "lat", "lon"];
const TEXTS: [&str; 12] = [
    "",
    "a",
    "ab",
    "abc",
    "push",
    "Push",
    "é\u{e000}",
    "😀",
    "1",
    "1.0",
    "true",
    "9007199254740993",
];
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "1.0",
    "2",
    "2.5",
    "10",
    "-0.001",
    "1e300",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551615",
    "46.5",
    "8.5",
];

/// Decides at random, the same way for the same seed.
#[derive(Debug)]
pub(super) struct Arbitrary(pub(super) fastrand::Rng);

impl Arbitrary {
    pub(super) fn with_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(super) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.0.usize(..list.len())]
    }

    fn number(&mut self) -> Number {
        Number::parse(self.one_of(&NUMBERS)).unwrap()
    }

    fn path(&mut self) -> FieldPath {
        let first = self.one_of(&NAMES);
        let arrays = if self.0.u8(..5) == 0 { Arrays::Whole } else { Arrays::Through };
        if self.0.u8(..3) == 0 {
            FieldPath::new(&[first, self.one_of(&NAMES)], arrays).unwrap()
        } else if self.0.u8(..12) == 0 {
            FieldPath::new(&["x.`y"], arrays).unwrap()
        } else {
            FieldPath::new(&[first], arrays).unwrap()
        }
    }

    fn source(&mut self) -> Source {
        match self.0.u8(..14) {
            0 => Source::Topic,
            1 => Source::Key,
            2 => Source::Op,
            3 => Source::First((0..self.0.usize(1..4)).map(|_| self.path()).collect()),
            _ => Source::Field(self.path()),
        }
    }

    fn scalar(&mut self, rule: Rule) -> Scalar {
        match self.0.u8(..12) {
            0 => Scalar::Bool(self.0.bool()),
            1 if matches!(rule, Rule::JsonStrict | Rule::Typed | Rule::Sql) => Scalar::Null,
            2 if rule == Rule::JsonStrict => {
                Scalar::Json(Arc::from(self.one_of(&["[]", "{\"a\":1}", "[1,\"a\"]"])))
            }
            3..=6 => Scalar::text(self.one_of(&TEXTS)),
            _ => Scalar::Number(self.number()),
        }
    }

    fn range(&mut self) -> Range {
        let numeric = self.0.u8(..4) > 0;
        let edge = |this: &mut Self| Edge {
            value: if numeric {
                Scalar::Number(this.number())
            } else {
                Scalar::text(this.one_of(&TEXTS))
            },
            inclusive: this.0.bool(),
        };
        let (one, other) = (edge(self), edge(self));
        match self.0.u8(..3) {
            0 => Range { low: Some(one), high: None },
            1 => Range { low: None, high: Some(one) },
            _ if one.value <= other.value => Range { low: Some(one), high: Some(other) },
            _ => Range { low: Some(other), high: Some(one) },
        }
    }

    fn pattern(&mut self) -> Wildcard {
        let text: String = (0..self.0.usize(..4))
            .map(|_| self.one_of(&["a", "ab", "%", "_", "push", "B", "\\%"]))
            .collect();
        Wildcard::parse(&text, Style::Sql, self.0.bool()).unwrap()
    }

    fn area(&mut self) -> Area {
        let place = |this: &mut Self| {
            let near = this.0.bool();
            let spread = |this: &mut Self, middle: f64, all: f64| {
                if near {
                    middle + this.0.f64() * 4.0 - 2.0
                } else {
                    (this.0.f64() * 2.0 - 1.0) * all
                }
            };
            GeoPoint::new(spread(this, 46.5, 90.0), spread(this, 8.5, 180.0)).unwrap()
        };
        let (one, other) = (place(self), place(self));
        match self.0.u8(..3) {
            0 if one.latitude <= other.latitude => Area::rectangle(one, other).unwrap(),
            1 => {
                let size = self.0.f64();
                let corner = |y: f64, x: f64| {
                    let at = (one.latitude.to_f64() + y * size, one.longitude.to_f64() + x * size);
                    GeoPoint::new(at.0.clamp(-90.0, 90.0), at.1.clamp(-180.0, 180.0)).unwrap()
                };
                Area::polygon(&[
                    corner(0.0, 0.0),
                    corner(3.0, 1.0),
                    corner(0.0, 3.0),
                    corner(1.0, 1.0),
                ])
                .unwrap()
            }
            _ => Area::circle(one, 10_f64.powf(self.0.f64() * 4.0 + 3.0)).unwrap(),
        }
    }

    pub(super) fn term(&mut self) -> Term {
        let rules = [
            Rule::Native,
            Rule::JsonStrict,
            Rule::JsonOrder,
            Rule::Typed,
            Rule::Sql,
            Rule::Loose,
            Rule::Instant,
        ];
        let rule = if self.0.u8(..3) == 0 { self.one_of(&rules) } else { Rule::Native };
        let field = |name: &str| Source::Field(FieldPath::new(&[name], Arrays::Through).unwrap());
        let test = match self.0.u8(..16) {
            0..=3 => Test::In((0..self.0.usize(..4)).map(|_| self.scalar(rule)).collect()),
            4 => Test::NotIn((0..self.0.usize(..3)).map(|_| self.scalar(rule)).collect()),
            5..=8 => Test::Range(self.range()),
            9..=10 => Test::Like(self.pattern()),
            11 => Test::Regex(
                Regex::new(self.one_of(&[
                    "a",
                    "^ab",
                    "^pu.h$",
                    "(?i)PUSH",
                    "[0-9]+",
                    "(ab|a)c?$",
                    "x*",
                ]))
                .unwrap(),
            ),
            12 => Test::Exists,
            13 => Test::Null,
            _ => {
                let longitude = if self.0.u8(..8) == 0 { self.source() } else { field("lon") };
                let area = Arc::new(self.area());
                let source = if self.0.u8(..8) == 0 { self.source() } else { field("lat") };
                return Term { source, rule, test: Test::Within { longitude, area } };
            }
        };
        Term { source: self.source(), rule, test }
    }

    /// A tree of at most `depth` levels.
    pub(super) fn predicate(&mut self, depth: usize) -> Predicate {
        match self.0.u8(..if depth == 0 { 6 } else { 10 }) {
            0..=5 => Predicate::Test(self.term()),
            6 | 7 => {
                Predicate::And((0..self.0.usize(..4)).map(|_| self.predicate(depth - 1)).collect())
            }
            8 => Predicate::Or((0..self.0.usize(..4)).map(|_| self.predicate(depth - 1)).collect()),
            _ => self.predicate(depth - 1).negated(),
        }
    }

    fn json(&mut self, depth: usize) -> String {
        match self.0.u8(..if depth == 0 { 10 } else { 14 }) {
            0 => "null".to_owned(),
            1 => self.0.bool().to_string(),
            2..=5 => self.one_of(&NUMBERS).to_owned(),
            6..=9 => serde_json::to_string(self.one_of(&TEXTS)).unwrap(),
            10 | 11 => format!(
                "[{}]",
                (0..self.0.usize(..3)).map(|_| self.json(depth - 1)).collect::<Vec<_>>().join(",")
            ),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let members: Vec<String> = (0..self.0.usize(..5))
            .map(|_| {
                let name = if self.0.u8(..12) == 0 { "x.`y" } else { self.one_of(&NAMES) };
                let value = match name {
                    "lat" if self.0.u8(..4) > 0 => format!("{:.3}", 44.5 + self.0.f64() * 4.0),
                    "lon" if self.0.u8(..4) > 0 => format!("{:.3}", 6.5 + self.0.f64() * 4.0),
                    _ => self.json(depth),
                };
                format!("\"{name}\":{value}")
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    pub(super) fn event(&mut self, topic: &str) -> Event {
        let key = self.one_of(&["", "a", "abc", "push"]);
        let op = self.one_of(&[Op::Upsert, Op::Delete, Op::Event]);
        event(topic, key, op, &self.object(2))
    }
}

/// An event in which nothing was looked for yet.
pub(super) fn event(topic: &str, key: &str, op: Op, payload: &str) -> Event {
    Event {
        topic: TopicName::new(topic).unwrap(),
        key: Arc::from(key),
        op,
        home: HomeId(0),
        offset: 1,
        previous: 0,
        time_us: 1,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        fields: Fields::default(),
        before: None,
        meta: None,
    }
}
