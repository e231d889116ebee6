//! Dimensions: what the index sees of values, as numbers of 32 bits.
//!
//! A *dimension* is a slot looked at in one way: as a number in order, as a word to be equal to, as the first bytes of a text, and so on.
//! An event has a code or a range of codes in it; a test needs one, or a range. Where the codes do not meet, the test fails for
//! certain; where they meet, the test itself is asked. Invariants: numbers and the beginnings of texts have codes in their order; equal
//! words have equal codes. Never decides that something matches.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::event::Number;
use crate::event::fields::Value;
use crate::limits::MATCHER_DIMENSIONS_MAX;
use crate::matcher::facts::Facts;
use crate::matcher::facts::SlotId;
use crate::matcher::filter::Values;
use crate::matcher::filter::Work;
use crate::matcher::filter::text_form;

/// One dimension, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DimId(pub(super) u16);

/// In which every event has the same code, and every test meets it.
pub(super) const ANYTHING: DimId = DimId(0);

/// How a slot is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum View {
    /// Numbers, in order.
    Number,
    /// Texts by their first four bytes, in order.
    Order,
    /// Texts, numbers and truth values, to be equal to.
    Word,
    /// Scalars by their text, to be equal to.
    Form,
    /// As `Word`, but a text that writes a number is that number.
    Loose,
    /// The first so many bytes of texts, to be equal to.
    Prefix(u8),
    /// The last so many bytes of texts, to be equal to.
    Suffix(u8),
    /// Any three bytes in a row of texts, to be equal to.
    Gram,
    /// Any three bytes in a row of lower-cased texts, to be equal to.
    GramFolded,
}

/// Lengths of prefixes and suffixes that are looked at; of others the next shorter.
const AFFIX_BYTES: [u8; 9] = [1, 2, 3, 4, 6, 8, 12, 16, 24];
/// Bytes that a gram has.
pub(super) const GRAM_BYTES: usize = 3;
/// From a longer text no grams are taken: it may hold any.
const GRAM_TEXT_BYTES_MAX: usize = 4096;
/// More values than this are not looked at one by one: they may be anything.
const VALUES_MAX: usize = 4096;
/// Values, and bytes of a text, from which on it pays to look only once for all slots that have the same ones.
const SHARED_VALUES_MIN: usize = 16;
const SHARED_BYTES_MIN: usize = 128;

/// The codes from `lo` to `hi`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Codes {
    pub(super) lo: u32,
    pub(super) hi: u32,
}

impl Codes {
    pub(super) const ALL: Self = Self { lo: 0, hi: u32::MAX };
    /// Meets nothing that leaves anything out.
    const MISSING: Self = Self { lo: u32::MAX, hi: 0 };

    pub(super) const fn point(code: u32) -> Self {
        Self { lo: code, hi: code }
    }

    pub(super) const fn is_point(self) -> bool {
        self.lo == self.hi
    }

    /// Whether the two have a code in common. Crossed ones (`lo` above `hi`), which two tests of one field may leave, meet a
    /// range that has something for each of the two.
    #[inline]
    pub(super) const fn meets(self, other: Self) -> bool {
        (self.lo <= other.hi) & (self.hi >= other.lo)
    }

    fn widened(self, code: u32) -> Self {
        Self { lo: self.lo.min(code), hi: self.hi.max(code) }
    }
}

/// What an event is in one dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// From the least of its codes to the greatest.
    pub(super) codes: Codes,
    /// Where the list of points has each of them, if they have no order and are few.
    start: u32,
    end: u32,
}

const NOT_SEEN: Seen = Seen { codes: Codes::MISSING, start: 0, end: 0 };

/// The dimensions that live filters need, and what the present event is in each.
#[derive(Debug)]
pub(super) struct Dimensions {
    by_view: HashMap<(SlotId, View), DimId, RandomState>,
    /// By dimension; `None` where a number is free, and for `ANYTHING`.
    used: Vec<Option<Dimension>>,
    free: Vec<DimId>,
    /// By slot.
    of_slot: Vec<Vec<DimId>>,
    seen: Vec<Seen>,
    points: Vec<u32>,
    filled: Vec<DimId>,
    /// What was seen of large values, by the number of their first: other slots may have the same.
    shared: HashMap<(usize, View), Seen, RandomState>,
    pub(super) hashing: Hashing,
}

#[derive(Debug)]
struct Dimension {
    slot: SlotId,
    view: View,
    uses: u32,
}

impl Default for Dimensions {
    fn default() -> Self {
        Self {
            by_view: HashMap::default(),
            used: vec![None],
            free: Vec::new(),
            of_slot: Vec::new(),
            seen: vec![Seen { codes: Codes::ALL, start: 0, end: 0 }],
            points: Vec::new(),
            filled: Vec::new(),
            shared: HashMap::default(),
            hashing: Hashing::default(),
        }
    }
}

impl Dimensions {
    /// Counts one more use of a dimension; `None` if there are as many as there may be.
    pub(super) fn insert(&mut self, slot: SlotId, view: View) -> Option<DimId> {
        if let Some(dim) = self.by_view.get(&(slot, view)) {
            if let Some(Some(dimension)) = self.used.get_mut(usize::from(dim.0)) {
                dimension.uses += 1;
            }
            return Some(*dim);
        }
        let dim = match self.free.pop() {
            Some(dim) => dim,
            None if self.used.len() >= MATCHER_DIMENSIONS_MAX => return None,
            None => {
                self.used.push(None);
                self.seen.push(NOT_SEEN);
                DimId(u16::try_from(self.used.len() - 1).ok()?)
            }
        };
        self.used[usize::from(dim.0)] = Some(Dimension { slot, view, uses: 1 });
        self.by_view.insert((slot, view), dim);
        if self.of_slot.len() <= slot.index() {
            self.of_slot.resize_with(slot.index() + 1, Vec::new);
        }
        self.of_slot[slot.index()].push(dim);
        Some(dim)
    }

    /// Counts one use less.
    pub(super) fn remove(&mut self, dim: DimId) {
        let dimension =
            self.used[usize::from(dim.0)].as_mut().expect("only dimensions in use are removed");
        dimension.uses -= 1;
        if dimension.uses > 0 {
            return;
        }
        if let Some(Dimension { slot, view, .. }) = self.used[usize::from(dim.0)].take() {
            self.by_view.remove(&(slot, view));
            self.of_slot[slot.index()].retain(|other| *other != dim);
        }
        self.free.push(dim);
    }

    /// Whether no dimension is in use.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.by_view.is_empty()
            && self.used.iter().all(Option::is_none)
            && self.of_slot.iter().all(Vec::is_empty)
    }

    /// Forgets the last event and looks at the next. What that takes grows with the event and the number of dimensions, not with both
    /// multiplied.
    pub(super) fn look(&mut self, facts: &Facts<'_>) {
        for dim in self.filled.drain(..) {
            self.seen[usize::from(dim.0)] = NOT_SEEN;
        }
        self.points.clear();
        self.shared.clear();
        for slot in facts.filled() {
            let Some(dims) = self.of_slot.get(slot.index()) else { continue };
            let values = facts.numbered(*slot);
            let is_large = facts.is_large() && is_large(values.list);
            for dim in dims {
                let Some(Some(dimension)) = self.used.get(usize::from(dim.0)) else { continue };
                let view = dimension.view;
                let shared =
                    if is_large { self.shared.get(&(values.first, view)).copied() } else { None };
                let seen = shared.unwrap_or_else(|| {
                    see(view, values, facts.work(), &self.hashing, &mut self.points)
                });
                if is_large && shared.is_none() {
                    self.shared.insert((values.first, view), seen);
                }
                self.seen[usize::from(dim.0)] = seen;
                self.filled.push(*dim);
            }
        }
    }

    /// What the event is in a dimension.
    #[inline]
    pub(super) fn seen(&self, dim: DimId) -> Seen {
        self.seen[usize::from(dim.0)]
    }

    /// What the event is in each dimension.
    #[inline]
    pub(super) fn all_seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The codes of something seen, one by one; empty if only the range is known.
    #[inline]
    pub(super) fn points(&self, seen: Seen) -> &[u32] {
        self.points.get(seen.start as usize..seen.end as usize).unwrap_or_default()
    }
}

/// How words become codes: with a seed of its own, so that nobody outside can make many words meet.
#[derive(Debug, Default)]
pub(super) struct Hashing(RandomState);

impl Hashing {
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn code(&self, kind: u8, bytes: &[u8]) -> u32 {
        self.0.hash_one((kind, bytes)) as u32
    }

    pub(super) fn text(&self, text: &str) -> u32 {
        self.code(0, text.as_bytes())
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    pub(super) fn number(&self, number: Number) -> u32 {
        let (near, rest) = number.to_bits();
        self.0.hash_one((near, rest)) as u32
    }

    pub(super) fn bool(&self, value: bool) -> u32 {
        self.text(if value { "true" } else { "false" })
    }

    pub(super) fn affix(&self, bytes: &[u8]) -> u32 {
        self.code(1, bytes)
    }

    pub(super) fn loose(&self, text: &str) -> u32 {
        Number::parse(text).map_or_else(|| self.text(text), |number| self.number(number))
    }
}

/// The code of a number. Linear near 0, then ever coarser like the number itself: 1 + |x| as a float, read as an integer.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit becomes infinite, which keeps the order"
)]
pub(super) fn number_code(number: f64) -> u32 {
    const MIDDLE: u32 = 0x8000_0000;
    let size = ((1.0 + number.abs()) as f32).to_bits() - 1.0_f32.to_bits();
    if number < 0.0 { MIDDLE - size } else { MIDDLE + size }
}

/// The greatest code of the beginning of a text.
pub(super) const ORDER_MAX: u32 = u32::MAX >> 1;

/// The code of a text's beginning.
pub(super) fn order_code(text: &str) -> u32 {
    let mut first = [0; 4];
    for (to, from) in first.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    u32::from_be_bytes(first) >> 1
}

/// The length at which an affix of `bytes` bytes is looked at; `None` if it is empty.
pub(super) fn affix_bytes(bytes: usize) -> Option<u8> {
    AFFIX_BYTES.into_iter().rev().find(|length| usize::from(*length) <= bytes)
}

fn is_large(values: &[Value<'_>]) -> bool {
    let is_long =
        |value: &Value<'_>| matches!(value, Value::Text(text) if text.len() >= SHARED_BYTES_MIN);
    values.len() >= SHARED_VALUES_MIN || values.iter().any(is_long)
}

/// Anything: the test itself is asked.
const ANY: Seen = Seen { codes: Codes::ALL, start: 0, end: 0 };

fn see(
    view: View,
    values: Values<'_>,
    work: &Work,
    hashing: &Hashing,
    points: &mut Vec<u32>,
) -> Seen {
    let Values { list: values, first } = values;
    if values.len() > VALUES_MAX && !matches!(view, View::Number | View::Order) {
        return ANY;
    }
    let start = u32::try_from(points.len()).expect("a payload has fewer values than 2^32");
    let texts = values
        .iter()
        .filter_map(|value| if let Value::Text(text) = value { Some(*text) } else { None });
    match view {
        View::Number | View::Order => {
            let codes = values.iter().filter_map(|value| match (view, value) {
                (View::Number, Value::Number(number)) => Some(number_code(number.to_f64())),
                (View::Order, Value::Text(text)) => Some(order_code(text)),
                _ => None,
            });
            return Seen { codes: codes.fold(Codes::MISSING, Codes::widened), start: 0, end: 0 };
        }
        View::Word => points.extend(values.iter().filter_map(|value| match value {
            Value::Text(text) => Some(hashing.text(text)),
            Value::Number(number) => Some(hashing.number(*number)),
            Value::Bool(value) => Some(hashing.bool(*value)),
            _ => None,
        })),
        View::Form => {
            points.extend(values.iter().filter_map(text_form).map(|text| hashing.text(&text)));
        }
        View::Loose => points.extend(values.iter().filter_map(|value| match value {
            Value::Text(text) => Some(hashing.loose(text)),
            Value::Number(number) => Some(hashing.number(*number)),
            Value::Bool(value) => Some(hashing.bool(*value)),
            _ => None,
        })),
        View::Prefix(length) => {
            points.extend(
                texts
                    .filter_map(|text| text.as_bytes().get(..length.into()))
                    .map(|bytes| hashing.affix(bytes)),
            );
        }
        View::Suffix(length) => {
            let ends = texts.filter_map(|text| {
                text.len().checked_sub(length.into()).and_then(|at| text.as_bytes().get(at..))
            });
            points.extend(ends.map(|bytes| hashing.affix(bytes)));
        }
        View::Gram | View::GramFolded => {
            if texts.clone().map(str::len).sum::<usize>() > GRAM_TEXT_BYTES_MAX {
                return ANY;
            }
            let mut push = |text: &str| {
                let grams = text.as_bytes().windows(GRAM_BYTES);
                points.extend(grams.map(|bytes| hashing.affix(bytes)));
            };
            if view == View::Gram {
                texts.for_each(push);
            } else {
                for (place, value) in (first..).zip(values) {
                    if let Value::Text(text) = value {
                        work.folded(place, text, &mut push);
                    }
                }
            }
        }
    }
    let list = points.get(start as usize..).unwrap_or_default();
    let codes = list.iter().copied().fold(Codes::MISSING, Codes::widened);
    let end = u32::try_from(points.len()).expect("a payload has fewer values than 2^32");
    Seen { codes, start, end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_the_order_of_numbers() {
        let numbers = [
            f64::MIN,
            -1e10,
            -45.5,
            -1.0,
            -0.001,
            0.0,
            0.001,
            0.5,
            1.0,
            8.5,
            8.500_01,
            46.0,
            1e6,
            1e300,
            f64::MAX,
        ];
        assert!(numbers.map(number_code).is_sorted());
        assert!(number_code(8.5) < number_code(8.500_01), "a metre apart on the ground");
        assert!(number_code(0.0) < number_code(0.000_01), "also at Greenwich");
    }

    #[test]
    fn codes_keep_the_order_of_texts() {
        let texts = ["", "\0", "a", "aaaa", "aaab", "ab", "b", "é", "\u{10ffff}"];
        assert!(texts.map(order_code).is_sorted());
        assert!(texts.iter().all(|text| order_code(text) <= ORDER_MAX));
    }

    #[test]
    fn what_is_missing_meets_no_need() {
        for need in [
            Codes { lo: 1, hi: u32::MAX },
            Codes { lo: 0, hi: u32::MAX - 1 },
            Codes::point(0),
            Codes::point(u32::MAX),
        ] {
            assert!(!need.meets(Codes::MISSING));
        }
    }
}
