//! A filter made ready to be asked: its tests in one piece of memory, the usual ones without a pointer to follow.
//!
//! Among 100,000 filters the one that is asked next is never in the cache, so what counts is how many lines of memory it takes. Invariant: a
//! program passes an event exactly if its filter's expression holds. Never allocates when asked.

use crate::event::Number;
use crate::event::fields::Value;
use crate::matcher::facts::Facts;
use crate::matcher::facts::PositionId;
use crate::matcher::facts::SlotId;
use crate::matcher::facts::Slots;
use crate::matcher::filter;
use crate::matcher::filter::Expr;
use crate::matcher::filter::Literal;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Shape;
use crate::matcher::filter::Test;

/// Bytes of a text that stand in the check itself.
const INLINE_BYTES: usize = 30;

/// What must all hold. The cheaper and the more telling first.
#[derive(Debug)]
pub(super) struct Program(Box<[Check]>);

#[derive(Debug)]
enum Check {
    /// The chord from the centre, squared, is at most `chord_squared`.
    Circle { position: PositionId, centre: [f64; 3], chord_squared: f64 },
    /// Some number is at least (or more than) `low` and at most (or less than) `high`.
    Number { slot: SlotId, low: f64, high: f64, low_inclusive: bool, high_inclusive: bool },
    /// Some text is this.
    Word { slot: SlotId, length: u8, bytes: [u8; INLINE_BYTES] },
    /// Anything else.
    Expr(Box<(Expr, Box<[SlotId]>)>),
}

const _: () = assert!(size_of::<Check>() <= 48, "four checks fit in three lines of memory");

impl Program {
    /// Of a filter's expression; `places` has the slot of each of its sources. Counts one use of each position that it asks for.
    pub(super) fn new(expr: &Expr, places: &[SlotId], slots: &mut Slots) -> Self {
        let members =
            if let Expr::And(members) = expr { members } else { std::slice::from_ref(expr) };
        let mut checks: Vec<Check> =
            members.iter().map(|member| check_of(member, places, slots)).collect();
        checks.sort_by_key(|check| match check {
            Check::Circle { .. } => 0,
            Check::Number { .. } => 1,
            Check::Word { .. } => 2,
            Check::Expr(_) => 3,
        });
        Self(checks.into_boxed_slice())
    }

    /// Gives back what [`Program::new`] counted.
    pub(super) fn release(&self, slots: &mut Slots) {
        for check in &self.0 {
            if let Check::Circle { position, .. } = check {
                slots.remove_position(*position);
            }
        }
    }

    /// Whether the event passes.
    #[inline]
    pub(super) fn passes(&self, facts: &Facts<'_>) -> bool {
        let work = facts.work();
        work.begin_filter();
        self.0.iter().all(|check| check.passes(facts)) && !work.is_spent()
    }
}

fn check_of(expr: &Expr, places: &[SlotId], slots: &mut Slots) -> Check {
    if let Expr::Literal(literal) = expr
        && let Some(check) = simple_check(literal, places, slots)
    {
        return check;
    }
    Check::Expr(Box::new((expr.clone(), Box::from(places))))
}

/// A literal that needs no pointer.
fn simple_check(literal: &Literal, places: &[SlotId], slots: &mut Slots) -> Option<Check> {
    if literal.negated || literal.term.rule != Rule::Native {
        return None;
    }
    let slot = places[usize::from(literal.source)];
    match &literal.term.test {
        Test::Within { area, .. } => {
            let (centre, chord_squared) =
                matches!(area.shape(), Shape::Circle { .. }).then(|| area.cap())?;
            let position = slots.insert_position(slot, places[usize::from(literal.other)]);
            Some(Check::Circle { position, centre, chord_squared })
        }
        Test::Range(range) => number_check(slot, range),
        Test::In(list) => match list.as_slice() {
            [Scalar::Text(text)] if text.len() <= INLINE_BYTES => {
                let mut bytes = [0; INLINE_BYTES];
                bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
                Some(Check::Word { slot, length: u8::try_from(text.len()).ok()?, bytes })
            }
            [value @ Scalar::Number(_)] => {
                number_check(slot, &Range::between(value.clone(), value.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Edges that a double holds exactly: then comparing with the nearest double of a number is exact unless it is the edge, where
/// what the number lacks decides.
fn number_check(slot: SlotId, range: &Range) -> Option<Check> {
    let edge = |scalar: &Scalar| match scalar {
        Scalar::Number(number) if number.same_value(Number::from_f64(number.to_f64())) => {
            Some(number.to_f64())
        }
        _ => None,
    };
    let (low, low_inclusive) = match &range.low {
        Some(low) => (edge(&low.value)?, low.inclusive),
        None => (f64::NEG_INFINITY, true),
    };
    let (high, high_inclusive) = match &range.high {
        Some(high) => (edge(&high.value)?, high.inclusive),
        None => (f64::INFINITY, true),
    };
    Some(Check::Number { slot, low, high, low_inclusive, high_inclusive })
}

impl Check {
    #[inline]
    fn passes(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Circle { position, centre, chord_squared } => {
                let near =
                    |place: &[f64; 3]| filter::chord_squared(centre, *place) <= *chord_squared;
                let places = facts.places(*position);
                facts.work().take(places.len());
                places.iter().any(near)
            }
            Self::Number { slot, low, high, low_inclusive, high_inclusive } => {
                let values = facts.of(*slot);
                facts.work().take(values.len());
                values.iter().any(|value| {
                    let Value::Number(number) = value else { return false };
                    let (near, lack) = (number.to_f64(), number.lack());
                    (near > *low || (near == *low && (lack > 0 || (lack == 0 && *low_inclusive))))
                        && (near < *high
                            || (near == *high && (lack < 0 || (lack == 0 && *high_inclusive))))
                })
            }
            Self::Word { slot, length, bytes } => {
                let word = bytes.get(..usize::from(*length)).unwrap_or_default();
                let values = facts.of(*slot);
                facts.work().take(values.len());
                values
                    .iter()
                    .any(|value| matches!(value, Value::Text(text) if text.as_bytes() == word))
            }
            Self::Expr(boxed) => {
                let (expr, slots) = &**boxed;
                let values = |source| facts.numbered(slots[usize::from(source)]);
                filter::holds(expr, &values, facts.work())
            }
        }
    }
}
