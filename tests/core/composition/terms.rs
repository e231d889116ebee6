//! What a subscription asked for, as the tests draw it: said in the protocol's words, and decided anew by a few lines of its own.
//!
//! Never asks the server's matcher or projection: those are what is tested.

use serde_json::Value;
use serde_json::json;

use crate::support::random::Random;

/// The filters that are drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Below(i64),
    Callsign(&'static str),
    Kind(&'static str),
    Both(i64, &'static str),
    Either(i64, &'static str),
}

impl Test {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let below = *random.pick(&[20, 50, 80]);
        match random.below(5) {
            0 => Self::Below(below),
            1 => Self::Callsign(random.pick::<&str>(&["SWR", "EZY"])),
            2 => Self::Kind(random.pick::<&str>(&["air", "sea"])),
            3 => Self::Both(below, random.pick::<&str>(&["SWR", "EZY"])),
            _ => Self::Either(below, random.pick::<&str>(&["air", "sea"])),
        }
    }

    pub(crate) fn passes(&self, payload: &Value) -> bool {
        let below = |n: &i64| payload["alt"].as_i64().is_some_and(|alt| alt < *n);
        let callsign = |p: &str| payload["cs"].as_str().is_some_and(|text| text.starts_with(p));
        let kind = |k: &str| payload["kind"].as_str() == Some(k);
        match self {
            Self::Below(n) => below(n),
            Self::Callsign(p) => callsign(p),
            Self::Kind(k) => kind(k),
            Self::Both(n, p) => below(n) && callsign(p),
            Self::Either(n, k) => below(n) || kind(k),
        }
    }

    /// In either notation.
    fn said(&self, as_text: bool) -> Value {
        if as_text {
            return Value::from(match self {
                Self::Below(n) => format!("alt < {n}"),
                Self::Callsign(p) => format!("cs ~ \"{p}*\""),
                Self::Kind(k) => format!("kind = \"{k}\""),
                Self::Both(n, p) => format!("alt < {n} and cs prefix \"{p}\""),
                Self::Either(n, k) => format!("alt < {n} or kind = \"{k}\""),
            });
        }
        match self {
            Self::Below(n) => json!({"lt": ["alt", n]}),
            Self::Callsign(p) => json!({"prefix": ["cs", p]}),
            Self::Kind(k) => json!({"eq": ["kind", k]}),
            Self::Both(n, p) => json!({"and": [{"lt": ["alt", n]}, {"prefix": ["cs", p]}]}),
            Self::Either(n, k) => json!({"or": [{"lt": ["alt", n]}, {"eq": ["kind", k]}]}),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_key: bool,
    pub(crate) every_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Terms {
    pub(crate) filter: Option<Test>,
    pub(crate) batch: Option<(u16, u32)>,
    /// Batches come in columns.
    pub(crate) in_columns: bool,
    pub(crate) slow: &'static str,
    pub(crate) rate: Option<Rate>,
    pub(crate) fields: Option<Vec<&'static str>>,
    pub(crate) leave: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            filter: None,
            batch: None,
            in_columns: false,
            slow: "disconnect",
            rate: None,
            fields: None,
            leave: false,
        }
    }
}

impl Terms {
    pub(crate) fn passes(&self, payload: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes(payload))
    }

    /// Every option as a member; those not taken are `null` if `with_null`.
    pub(crate) fn say(&self, message: &mut Value, as_text: bool, with_null: bool) {
        let mut member = |name: &str, value: Option<Value>| match value {
            Some(value) => message[name] = value,
            None if with_null => message[name] = Value::Null,
            None => {}
        };
        member("filter", self.filter.as_ref().map(|filter| filter.said(as_text)));
        let form = if self.in_columns { "columns" } else { "rows" };
        let batch =
            self.batch.map(|(n, ms)| json!({"max_events": n, "max_delay_ms": ms, "form": form}));
        member("batch", batch);
        member("slow", Some(Value::from(self.slow)));
        let rate = self.rate.map(|rate| {
            let per = if rate.per_key { "key" } else { "subscription" };
            json!({"per": per, "hz": 1000.0 / rate.every_ms as f64})
        });
        member("max_rate", rate);
        member("fields", self.fields.clone().map(Value::from));
        member("leave", self.leave.then_some(Value::from(true)));
    }
}

/// What is left of a payload when several subscriptions want these fields together; `None`: all.
pub(crate) fn project(wanted: &[Option<&Vec<&'static str>>], payload: &Value) -> Value {
    if wanted.iter().any(Option::is_none) {
        return payload.clone();
    }
    let names: Vec<&str> =
        wanted.iter().flatten().flat_map(|names| names.iter().copied()).collect();
    let mut kept = json!({});
    for (name, value) in payload.as_object().expect("a payload is an object") {
        if names.contains(&name.as_str()) {
            kept[name] = value.clone();
        } else if name == "pos" && names.contains(&"pos.x") {
            kept[name] = json!({"x": value["x"]});
        }
    }
    kept
}
