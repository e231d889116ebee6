//! Cells: aligned ranges of codes, as wide as a power of four, and which dimension is best cut into them.
//!
//! Invariant: a range of codes takes at most two cells, each at most four times as wide as it. Never looks at events.

use crate::matcher::clause::ClauseRef;
use crate::matcher::clause::Need;
use crate::matcher::dimensions::DimId;

/// Entries that are looked at to choose a dimension, and as many values that an event might have.
const SAMPLE: usize = 48;

/// An aligned range of 2^`width` codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cell {
    pub(super) width: u8,
    pub(super) place: u32,
}

impl Cell {
    /// The cell of this width that has `code`.
    pub(super) fn of(code: u32, width: u8) -> Self {
        Self { width, place: place(code, width) }
    }

    /// Which power of four its width is.
    pub(super) const fn order(self) -> usize {
        self.width as usize / 2
    }

    /// The width that is this power of four.
    pub(super) fn width_of(order: u32) -> u8 {
        u8::try_from(2 * order).expect("at most 32 bits")
    }
}

/// The place of the cell of this width that has `code`.
pub(super) fn place(code: u32, width: u8) -> u32 {
    code.checked_shr(width.into()).unwrap_or(0)
}

/// The dimension by which a split rules most of the entries out; `None` if none rules out a quarter of them.
///
/// An event is thought to be like the entries themselves: where one has a need, an event has a code in the middle of it.
pub(super) fn best_dimension(
    clauses: &[ClauseRef],
    taken: &[DimId],
    copies: usize,
) -> Option<DimId> {
    let stride = clauses.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&ClauseRef> = clauses.iter().step_by(stride).collect();
    let mut dims: Vec<DimId> = Vec::new();
    for need in sample.iter().flat_map(|clause| &clause.clause().needs) {
        if !dims.contains(&need.dim)
            && !taken.contains(&need.dim)
            && distinct_cells(need).len() <= copies
        {
            dims.push(need.dim);
        }
    }
    let gains = dims.into_iter().map(|dim| (gain(&sample, dim), dim));
    let (gain, dim) = gains.max_by_key(|(gain, dim)| (*gain, std::cmp::Reverse(*dim)))?;
    (gain * 4 >= sample.len() * sample.len()).then_some(dim)
}

/// Of all pairs of an entry and an event like some entry, how many a split by `dim` spares.
fn gain(sample: &[&ClauseRef], dim: DimId) -> usize {
    let needs: Vec<&Need> = sample.iter().filter_map(|clause| clause.need(dim)).collect();
    let cells: Vec<Vec<Cell>> = needs.iter().map(|need| distinct_cells(need)).collect();
    let mut met = 0;
    for need in &needs {
        let part = need.parts()[need.parts().len() / 2];
        let code = part.lo.midpoint(part.hi);
        met += cells
            .iter()
            .filter(|cells| cells.iter().any(|cell| place(code, cell.width) == cell.place))
            .count();
    }
    (needs.len() * needs.len() - met) * sample.len() / needs.len().max(1)
}

/// The cells that a need takes, each once: at most two for each of its ranges.
pub(super) fn distinct_cells(need: &Need) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::with_capacity(2 * need.parts().len());
    for part in need.parts() {
        // Crossed ranges, which only several values at once can meet, take the codes between.
        let (lo, hi) = (part.lo.min(part.hi), part.lo.max(part.hi));
        let bits = u32::BITS - (hi - lo).leading_zeros();
        let width = u8::try_from(bits.next_multiple_of(2)).expect("at most 32 bits");
        cells.extend([Cell::of(lo, width), Cell::of(hi, width)]);
    }
    cells.sort_unstable();
    cells.dedup();
    cells
}
