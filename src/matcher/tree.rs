//! The index: clauses by their needs, so that an event finds those that it meets without a look at most others.
//!
//! A tree in the manner of the BE-tree. A node holds *entries* (a clause, and the three needs of it that fewest events meet, in
//! place, so that most are ruled out without touching anything else) and *splits*. A split takes the entries that have a need in
//! one dimension and puts them in *cells*: aligned ranges of codes as wide as a power of four, each the least that takes a need
//! in at most two. An event is in one cell of each width, so it looks at a few cells of each split and, in each, at a node again:
//! equality, ranges and, latitude upon longitude, places are all found this way. A bucket is split, when it has grown too large,
//! by the dimension that rules most entries out.
//!
//! Invariants: an entry stands in the first split of its node that it fits, and only if it fits none among the node's entries; so
//! to remove is to go the way of inserting. No node but a root is empty, no split is without cells. Never evaluates.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::matcher::clause::Clause;
use crate::matcher::clause::Need;
use crate::matcher::dimensions::ANYTHING;
use crate::matcher::dimensions::Codes;
use crate::matcher::dimensions::DimId;
use crate::matcher::dimensions::Dimensions;
use crate::matcher::dimensions::Seen;
use crate::matcher::groups::GroupId;

/// A node that has more entries is split, if that helps.
const BUCKET_MAX: usize = 48;
/// In how many cells, over all splits on its way, one entry may stand at most; if it would take more, it stays where it is.
const COPIES_MAX: usize = 32;
/// Needs that an entry has in place.
const TESTS: usize = 3;
/// Entries that are looked at to choose a split, and as many values that an event might have.
const SAMPLE: usize = 48;
/// Of a range of codes wider than this, all cells of a split are visited rather than each looked up.
const LOOKUPS_MAX: u32 = 16;

/// One node, numbered densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One alternative of one filter. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ClauseRef {
    pub(super) clauses: Arc<[Clause]>,
    pub(super) which: u32,
}

impl ClauseRef {
    fn clause(&self) -> &Clause {
        &self.clauses[self.which as usize]
    }

    fn need(&self, dim: DimId) -> Option<&Need> {
        self.clause().needs.iter().find(|need| need.dim == dim)
    }
}

/// All nodes of all trees.
#[derive(Debug, Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Nodes to be visited, kept for its memory.
    waiting: Vec<NodeId>,
}

#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
    /// The clause of each entry, for when it is moved or removed.
    clauses: Vec<ClauseRef>,
    splits: Vec<Split>,
    /// When it has more entries than this, a split is tried.
    patience: usize,
}

impl Node {
    const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.splits.is_empty()
    }
}

/// What is looked at for every event that comes by. Unused tests are of `ANYTHING`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    owner: GroupId,
    dims: [DimId; TESTS],
    codes: [Codes; TESTS],
}

#[derive(Debug)]
struct Split {
    dim: DimId,
    cells: HashMap<Cell, NodeId, RandomState>,
    /// The widths that occur, and how many cells have each.
    widths: Vec<(u8, u32)>,
}

/// An aligned range of 2^`width` codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    width: u8,
    place: u32,
}

impl Cell {
    fn of(code: u32, width: u8) -> Self {
        Self { width, place: place(code, width) }
    }
}

fn place(code: u32, width: u8) -> u32 {
    code.checked_shr(width.into()).unwrap_or(0)
}

/// Where an entry is on its way down.
struct Descent<'a> {
    owner: GroupId,
    clause: &'a ClauseRef,
    /// The dimensions that the splits on the way were by.
    taken: Vec<DimId>,
}

impl Forest {
    /// Plants a tree.
    pub(super) fn root(&mut self) -> NodeId {
        if let Some(node) = self.free.pop() {
            return node;
        }
        self.nodes.push(Node { patience: BUCKET_MAX, ..Node::default() });
        NodeId(u32::try_from(self.nodes.len() - 1).expect("nodes are counted in 32 bits"))
    }

    /// Gives a tree back that holds nothing any more.
    pub(super) fn give_back(&mut self, root: NodeId) {
        debug_assert!(
            self.nodes[root.index()].is_empty(),
            "every clause is removed before its tree"
        );
        self.clear(root);
    }

    /// Adds a clause.
    pub(super) fn insert(&mut self, root: NodeId, owner: GroupId, clause: &ClauseRef) {
        self.insert_at(root, &mut Descent { owner, clause, taken: Vec::new() }, COPIES_MAX);
    }

    fn insert_at(&mut self, at: NodeId, descent: &mut Descent<'_>, copies: usize) {
        let Some((which, dim, need, left)) = self.way(at, descent.clause, copies) else {
            let entry = entry_of(descent);
            let node = &mut self.nodes[at.index()];
            node.entries.push(entry);
            node.clauses.push(descent.clause.clone());
            if node.entries.len() > node.patience {
                self.split(at, descent, copies);
            }
            return;
        };
        descent.taken.push(dim);
        for cell in distinct_cells(need) {
            let child = self.cell(at, which, cell);
            self.insert_at(child, descent, left);
        }
        descent.taken.pop();
    }

    /// The first split of a node that a clause fits: its place, its dimension, the clause's need, and the copies that each cell may make.
    fn way<'a>(
        &self,
        at: NodeId,
        clause: &'a ClauseRef,
        copies: usize,
    ) -> Option<(usize, DimId, &'a Need, usize)> {
        self.nodes[at.index()].splits.iter().enumerate().find_map(|(which, split)| {
            let need = clause.need(split.dim)?;
            let left = copies / distinct_cells(need).len();
            (left > 0).then_some((which, split.dim, need, left))
        })
    }

    fn cell(&mut self, at: NodeId, which: usize, cell: Cell) -> NodeId {
        if let Some(child) = self.nodes[at.index()].splits[which].cells.get(&cell) {
            return *child;
        }
        let child = self.root();
        let split = &mut self.nodes[at.index()].splits[which];
        split.cells.insert(cell, child);
        match split.widths.iter_mut().find(|(width, _)| *width == cell.width) {
            Some((_, count)) => *count += 1,
            None => split.widths.push((cell.width, 1)),
        }
        child
    }

    /// Removes a clause, which must be there.
    pub(super) fn remove(&mut self, root: NodeId, owner: GroupId, clause: &ClauseRef) {
        self.remove_at(root, owner, clause, COPIES_MAX);
    }

    fn remove_at(&mut self, at: NodeId, owner: GroupId, clause: &ClauseRef, copies: usize) {
        let Some((which, _, need, left)) = self.way(at, clause, copies) else {
            let node = &mut self.nodes[at.index()];
            let is_it = |(entry, other): (&Entry, &ClauseRef)| {
                entry.owner == owner && other.which == clause.which
            };
            let place = node
                .entries
                .iter()
                .zip(&node.clauses)
                .position(is_it)
                .expect("what is removed was inserted");
            node.entries.swap_remove(place);
            node.clauses.swap_remove(place);
            node.patience = node.patience.min(BUCKET_MAX.max(2 * node.entries.len()));
            return;
        };
        for cell in distinct_cells(need) {
            let child = self.nodes[at.index()].splits[which].cells[&cell];
            self.remove_at(child, owner, clause, left);
            if self.nodes[child.index()].is_empty() {
                self.clear(child);
                self.nodes[at.index()].splits[which].forget(cell);
            }
        }
        if self.nodes[at.index()].splits[which].cells.is_empty() {
            self.nodes[at.index()].splits.remove(which);
        }
    }

    fn clear(&mut self, node: NodeId) {
        self.nodes[node.index()] = Node { patience: BUCKET_MAX, ..Node::default() };
        self.free.push(node);
    }

    /// Moves those entries of a node that have a need in the best dimension into cells.
    fn split(&mut self, at: NodeId, descent: &mut Descent<'_>, copies: usize) {
        let node = &mut self.nodes[at.index()];
        let Some(dim) = best_dimension(&node.clauses, &descent.taken, copies) else {
            node.patience = 2 * node.entries.len();
            return;
        };
        node.splits.push(Split { dim, cells: HashMap::default(), widths: Vec::new() });
        let which = node.splits.len() - 1;
        let entries = std::mem::take(&mut node.entries);
        let clauses = std::mem::take(&mut node.clauses);
        let mut taken = std::mem::take(&mut descent.taken);
        for (entry, clause) in entries.into_iter().zip(clauses) {
            let fit = clause
                .need(dim)
                .map(|need| (need, copies / distinct_cells(need).len()))
                .filter(|(_, left)| *left > 0);
            let Some((need, left)) = fit else {
                let node = &mut self.nodes[at.index()];
                node.entries.push(entry);
                node.clauses.push(clause);
                continue;
            };
            taken.push(dim);
            let mut moved = Descent { owner: entry.owner, clause: &clause, taken };
            for cell in distinct_cells(need) {
                let child = self.cell(at, which, cell);
                self.insert_at(child, &mut moved, left);
            }
            taken = moved.taken;
            taken.pop();
        }
        descent.taken = taken;
        let node = &mut self.nodes[at.index()];
        node.patience = BUCKET_MAX.max(2 * node.entries.len());
    }

    /// Whether every node was given back.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.free.len() == self.nodes.len() && self.nodes.iter().all(Node::is_empty)
    }

    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Appends the owner of each clause whose needs in place the event meets; one may come several times.
    pub(super) fn search(&mut self, root: NodeId, dimensions: &Dimensions, out: &mut Vec<GroupId>) {
        let seen = dimensions.all_seen();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.push(root);
        while let Some(at) = waiting.pop() {
            let node = &self.nodes[at.index()];
            for entry in &node.entries {
                if entry.is_met(seen) {
                    out.push(entry.owner);
                }
            }
            for split in &node.splits {
                split.visit(dimensions, &mut waiting);
            }
        }
        self.waiting = waiting;
    }
}

impl Entry {
    #[inline]
    fn is_met(&self, seen: &[Seen]) -> bool {
        let test =
            |which: usize| self.codes[which].meets(seen[usize::from(self.dims[which].0)].codes);
        test(0) && (test(1) & test(2))
    }
}

impl Split {
    /// Appends the cells that the event is in.
    fn visit(&self, dimensions: &Dimensions, out: &mut Vec<NodeId>) {
        let seen = dimensions.seen(self.dim);
        let Codes { lo, hi } = seen.codes;
        if lo > hi {
            return;
        }
        let points = dimensions.points(seen);
        for (width, _) in &self.widths {
            if !points.is_empty() {
                out.extend(
                    points.iter().filter_map(|point| self.cells.get(&Cell::of(*point, *width))),
                );
                continue;
            }
            let (first, last) = (place(lo, *width), place(hi, *width));
            if last - first <= LOOKUPS_MAX {
                out.extend(
                    (first..=last)
                        .filter_map(|place| self.cells.get(&Cell { width: *width, place })),
                );
            } else {
                let is_met =
                    |cell: &Cell| cell.width == *width && (first..=last).contains(&cell.place);
                out.extend(
                    self.cells.iter().filter(|(cell, _)| is_met(cell)).map(|(_, node)| *node),
                );
            }
        }
    }

    fn forget(&mut self, cell: Cell) {
        self.cells.remove(&cell);
        if let Some((_, count)) = self.widths.iter_mut().find(|(width, _)| *width == cell.width) {
            *count -= 1;
        }
        self.widths.retain(|(_, count)| *count > 0);
    }
}

/// The dimension by which a split rules most of the entries out; `None` if none rules out a quarter of them.
///
/// An event is thought to be like the entries themselves: where one has a need, an event has a code in the middle of it.
fn best_dimension(clauses: &[ClauseRef], taken: &[DimId], copies: usize) -> Option<DimId> {
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
fn distinct_cells(need: &Need) -> Vec<Cell> {
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

fn entry_of(descent: &Descent<'_>) -> Entry {
    let mut entry =
        Entry { owner: descent.owner, dims: [ANYTHING; TESTS], codes: [Codes::ALL; TESTS] };
    // Where the way led through a cell of one code, that need is met; of a wider cell it may not be.
    let is_open = |need: &&Need| !(need.is_points() && descent.taken.contains(&need.dim));
    for (place, need) in
        descent.clause.clause().needs.iter().filter(is_open).take(TESTS).enumerate()
    {
        entry.dims[place] = need.dim;
        entry.codes[place] = need.codes;
    }
    entry
}
