//! Of which types members must be: what a typed decoder would refuse is refused here.
//!
//! Invariant: null is of every type, and says nothing; what no shape names is of any.

use serde_json::value::RawValue;

use crate::dialect::json;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    /// A whole number of 64 bits, written without a fraction or an exponent.
    Int,
    Bool,
    List(&'static Self),
    /// An object, all of whose members are so.
    Map(&'static Self),
    /// An object, of whose members these are so.
    Object(&'static [(&'static str, Self)]),
}

/// The member of this name, whatever its case: the last one that is not null.
pub(super) fn find<'a>(members: &json::Members<'a>, name: &str) -> Option<&'a RawValue> {
    let is_meant = |(own, value): &&(String, &RawValue)| {
        own.eq_ignore_ascii_case(name) && value.get() != "null"
    };
    members.iter().rev().find(is_meant).map(|(_, value)| *value)
}

/// Whether members are as an object's shape says.
pub(super) fn are(members: &json::Members<'_>, shape: &Shape) -> bool {
    match shape {
        Shape::Object(shapes) => members.iter().all(|(name, value)| {
            let meant = shapes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            meant.is_none_or(|(_, shape)| is(value, shape))
        }),
        Shape::Map(shape) => members.iter().all(|(_, value)| is(value, shape)),
        Shape::Text | Shape::Int | Shape::Bool | Shape::List(_) => false,
    }
}

fn is(value: &RawValue, shape: &Shape) -> bool {
    let text = value.get();
    if text == "null" {
        return true;
    }
    match shape {
        Shape::Text => text.starts_with('"'),
        Shape::Int => text.parse::<i64>().is_ok(),
        Shape::Bool => text == "true" || text == "false",
        Shape::List(shape) => serde_json::from_str::<Vec<&RawValue>>(text)
            .is_ok_and(|elements| elements.into_iter().all(|element| is(element, shape))),
        Shape::Map(_) | Shape::Object(_) => {
            json::members(text).is_ok_and(|members| are(&members, shape))
        }
    }
}
