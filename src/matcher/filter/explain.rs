//! What each test of a filter says of one event: for people who ask why it passed or did not.
//!
//! Invariant: the whole says what `Filter::evaluate` does. Not for the hot path: a filter is made of each of its parts.

use super::Expr;
use super::Filter;
use super::cost::Cost;
use super::print;
use crate::event::Event;
use crate::event::Interest;
use crate::event::fields;
use crate::event::fields::Scratch;
use crate::event::fields::Value;

/// A part of a filter, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// In the text notation.
    pub text: String,
    pub passes: bool,
    /// Of a test: the values that the event has for it, in words. `None`: it is not one test.
    pub found: Option<Vec<String>>,
    /// The parts of the term, if it has any.
    pub of: Vec<Self>,
}

impl Filter {
    /// What each part says of an event.
    #[must_use]
    pub fn explain(&self, event: &Event) -> Explained {
        let of = match self.expr() {
            Expr::And(members) | Expr::Or(members) => {
                members.iter().map(|member| part(member).explain(event)).collect()
            }
            Expr::Constant(_) | Expr::Literal(_) => Vec::new(),
        };
        let found = matches!(self.expr(), Expr::Literal(_)).then(|| self.values_of(event));
        Explained { text: print::to_text(self.expr()), passes: self.evaluate(event), found, of }
    }

    /// The values of the payload that the tests read, in words.
    fn values_of(&self, event: &Event) -> Vec<String> {
        let interest = Interest::of(self.paths());
        let found = fields::extract(&event.payload, &mut Scratch::default(), &interest);
        let found = found.unwrap_or_default();
        let places = 0..interest.paths().len();
        places.flat_map(|place| found.of(place)).map(|value| in_words(&value)).collect()
    }
}

/// A member of a filter, as a filter of its own.
fn part(member: &Expr) -> Filter {
    Filter::of_expr(member.clone(), &Cost::default())
}

fn in_words(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("\"{text}\""),
        Value::Other => "an object or list".to_owned(),
        Value::Json(text) => (*text).to_owned(),
    }
}
