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

use foldhash::fast::RandomState;

use crate::matcher::cells::Cell;
use crate::matcher::cells::best_dimension;
use crate::matcher::cells::distinct_cells;
use crate::matcher::cells::place;
use crate::matcher::clause::ClauseRef;
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

/// All nodes of all trees.
#[derive(Debug, Default)]
pub(super) struct Forest {
    /// By node: what events look at.
    faces: Vec<Face>,
    /// By node: what else there is to it.
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// The cells of all splits: the node of each, and its place in its split's list.
    cells: HashMap<(SplitId, Cell), (NodeId, u32), RandomState>,
    splits_free: Vec<SplitId>,
    splits_next: u32,
    /// The nodes that an event reaches, kept for its memory.
    reached: Vec<NodeId>,
}

/// One split, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct SplitId(u32);

/// What an event looks at in a node: one line of memory, unless it has several splits.
#[derive(Debug, Default)]
struct Face {
    entries: Vec<NodeEntry>,
    first: Head,
    /// The heads of further splits.
    more: Vec<Head>,
}

const _: () = assert!(size_of::<Face>() <= 64, "a node's face is one line of memory");

/// What an event looks at in a split.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    split: SplitId,
    dim: DimId,
    /// The widths of its cells: bit n for 4^n codes. None: there is no split.
    widths: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// The clause of each entry, for when it is moved or removed.
    clauses: Vec<ClauseRef>,
    splits: Vec<Split>,
    /// When the node has more entries than this, a split is tried.
    patience: usize,
}

#[derive(Debug)]
struct Split {
    id: SplitId,
    dim: DimId,
    cells: Vec<Cell>,
    /// How many cells have each width: by n of 4^n codes.
    width_counts: [u32; WIDTHS],
}

/// Widths that cells may have: 1, 4, 16, … codes.
const WIDTHS: usize = 17;

/// An entry of a node, as it is looked at for every event that comes by. Unused tests are of `ANYTHING`.
#[derive(Clone, Copy, Debug)]
struct NodeEntry {
    owner: GroupId,
    dims: [DimId; TESTS],
    codes: [Codes; TESTS],
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
        self.faces.push(Face::default());
        self.nodes.push(Node { patience: BUCKET_MAX, ..Node::default() });
        NodeId(u32::try_from(self.nodes.len() - 1).expect("nodes are counted in 32 bits"))
    }

    /// Gives a tree back that holds nothing any more.
    pub(super) fn give_back(&mut self, root: NodeId) {
        debug_assert!(self.is_empty(root), "every clause is removed before its tree");
        self.clear(root);
    }

    /// Adds a clause.
    pub(super) fn insert(&mut self, root: NodeId, owner: GroupId, clause: &ClauseRef) {
        self.insert_at(root, &mut Descent { owner, clause, taken: Vec::new() }, COPIES_MAX);
    }

    fn insert_at(&mut self, at: NodeId, descent: &mut Descent<'_>, copies: usize) {
        let Some((which, dim, need, left)) = self.way(at, descent.clause, copies) else {
            self.faces[at.index()].entries.push(entry_of(descent));
            let node = &mut self.nodes[at.index()];
            node.clauses.push(descent.clause.clone());
            if node.clauses.len() > node.patience {
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

    /// The node of a cell, made if need be.
    fn cell(&mut self, at: NodeId, which: usize, cell: Cell) -> NodeId {
        let id = self.nodes[at.index()].splits[which].id;
        if let Some((child, _)) = self.cells.get(&(id, cell)) {
            return *child;
        }
        let child = self.root();
        let split = &mut self.nodes[at.index()].splits[which];
        let place = u32::try_from(split.cells.len()).expect("cells are counted in 32 bits");
        split.cells.push(cell);
        split.width_counts[cell.order()] += 1;
        self.cells.insert((id, cell), (child, place));
        self.show(at);
        child
    }

    /// Forgets a cell whose node is empty.
    fn forget(&mut self, at: NodeId, which: usize, cell: Cell) {
        let split = &mut self.nodes[at.index()].splits[which];
        let (child, place) = self.cells.remove(&(split.id, cell)).expect("the cell is there");
        split.cells.swap_remove(place as usize);
        if let Some(moved) = split.cells.get(place as usize)
            && let Some((_, moved_place)) = self.cells.get_mut(&(split.id, *moved))
        {
            *moved_place = place;
        }
        split.width_counts[cell.order()] -= 1;
        self.clear(child);
        self.show(at);
    }

    /// Makes a node's face what its splits are.
    fn show(&mut self, at: NodeId) {
        let mut heads = self.nodes[at.index()].splits.iter().map(Split::head);
        let face = &mut self.faces[at.index()];
        face.first = heads.next().unwrap_or_default();
        face.more.clear();
        face.more.extend(heads);
    }

    fn is_empty(&self, at: NodeId) -> bool {
        let node = &self.nodes[at.index()];
        node.clauses.is_empty() && node.splits.is_empty()
    }

    /// Removes a clause, which must be there.
    pub(super) fn remove(&mut self, root: NodeId, owner: GroupId, clause: &ClauseRef) {
        self.remove_at(root, owner, clause, COPIES_MAX);
    }

    fn remove_at(&mut self, at: NodeId, owner: GroupId, clause: &ClauseRef, copies: usize) {
        let Some((which, _, need, left)) = self.way(at, clause, copies) else {
            let node = &mut self.nodes[at.index()];
            let entries = &mut self.faces[at.index()].entries;
            let is_it = |(entry, other): (&NodeEntry, &ClauseRef)| {
                entry.owner == owner && other.which == clause.which
            };
            let place = entries
                .iter()
                .zip(&node.clauses)
                .position(is_it)
                .expect("what is removed was inserted");
            entries.swap_remove(place);
            node.clauses.swap_remove(place);
            node.patience = node.patience.min(BUCKET_MAX.max(2 * node.clauses.len()));
            return;
        };
        let id = self.nodes[at.index()].splits[which].id;
        for cell in distinct_cells(need) {
            let (child, _) = self.cells[&(id, cell)];
            self.remove_at(child, owner, clause, left);
            if self.is_empty(child) {
                self.forget(at, which, cell);
            }
        }
        if self.nodes[at.index()].splits[which].cells.is_empty() {
            self.nodes[at.index()].splits.remove(which);
            self.splits_free.push(id);
            self.show(at);
        }
    }

    fn clear(&mut self, node: NodeId) {
        self.faces[node.index()] = Face::default();
        self.nodes[node.index()] = Node { patience: BUCKET_MAX, ..Node::default() };
        self.free.push(node);
    }

    /// Moves those entries of a node that have a need in the best dimension into cells.
    fn split(&mut self, at: NodeId, descent: &mut Descent<'_>, copies: usize) {
        let node = &mut self.nodes[at.index()];
        let Some(dim) = best_dimension(&node.clauses, &descent.taken, copies) else {
            node.patience = 2 * node.clauses.len();
            return;
        };
        let id = self.splits_free.pop().unwrap_or_else(|| {
            self.splits_next += 1;
            SplitId(self.splits_next - 1)
        });
        node.splits.push(Split { id, dim, cells: Vec::new(), width_counts: [0; WIDTHS] });
        let which = node.splits.len() - 1;
        let clauses = std::mem::take(&mut node.clauses);
        let entries = std::mem::take(&mut self.faces[at.index()].entries);
        let mut taken = std::mem::take(&mut descent.taken);
        for (entry, clause) in entries.into_iter().zip(clauses) {
            let fit = clause
                .need(dim)
                .map(|need| (need, copies / distinct_cells(need).len()))
                .filter(|(_, left)| *left > 0);
            let Some((need, left)) = fit else {
                self.faces[at.index()].entries.push(entry);
                self.nodes[at.index()].clauses.push(clause);
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
        node.patience = BUCKET_MAX.max(2 * node.clauses.len());
    }

    /// Whether every node was given back.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.free.len() == self.nodes.len()
            && self.cells.is_empty()
            && self.splits_free.len() == self.splits_next as usize
    }

    #[cfg(test)]
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Appends the owner of each clause whose needs in place the event meets; one may come several times.
    pub(super) fn search(&mut self, root: NodeId, dimensions: &Dimensions, out: &mut Vec<GroupId>) {
        let mut reached = std::mem::take(&mut self.reached);
        reached.clear();
        reached.push(root);
        // First all nodes, then their entries: so the memory of many is waited for at once.
        let mut next = 0;
        while let Some(at) = reached.get(next).copied() {
            next += 1;
            let face = &self.faces[at.index()];
            self.visit(at, face.first, dimensions, &mut reached);
            for head in &face.more {
                self.visit(at, *head, dimensions, &mut reached);
            }
        }
        let seen = dimensions.all_seen();
        for at in &reached {
            let met = self.faces[at.index()].entries.iter().filter(|entry| entry.is_met(seen));
            out.extend(met.map(|entry| entry.owner));
        }
        self.reached = reached;
    }

    /// Appends the nodes of the cells that the event is in.
    #[inline]
    fn visit(&self, at: NodeId, head: Head, dimensions: &Dimensions, out: &mut Vec<NodeId>) {
        let seen = dimensions.seen(head.dim);
        let Codes { lo, hi } = seen.codes;
        if lo > hi {
            return;
        }
        let points = dimensions.points(seen);
        let node_of = |cell: Cell| self.cells.get(&(head.split, cell)).map(|(node, _)| *node);
        let mut widths = head.widths;
        while widths != 0 {
            let width = Cell::width_of(widths.trailing_zeros());
            widths &= widths - 1;
            let (first, last) = (place(lo, width), place(hi, width));
            if !points.is_empty() {
                out.extend(points.iter().filter_map(|point| node_of(Cell::of(*point, width))));
            } else if last - first <= LOOKUPS_MAX {
                out.extend((first..=last).filter_map(|place| node_of(Cell { width, place })));
            } else {
                let splits = &self.nodes[at.index()].splits;
                let all = splits
                    .iter()
                    .filter(|split| split.id == head.split)
                    .flat_map(|split| &split.cells);
                let met =
                    all.filter(|cell| cell.width == width && (first..=last).contains(&cell.place));
                out.extend(met.filter_map(|cell| node_of(*cell)));
            }
        }
    }
}

impl NodeEntry {
    #[inline]
    fn is_met(&self, seen: &[Seen]) -> bool {
        let test =
            |which: usize| self.codes[which].meets(seen[usize::from(self.dims[which].0)].codes);
        test(0) && (test(1) & test(2))
    }
}

impl Split {
    fn head(&self) -> Head {
        let has = |(order, count): (u32, &u32)| if *count > 0 { 1 << order } else { 0 };
        Head { split: self.id, dim: self.dim, widths: (0..).zip(&self.width_counts).map(has).sum() }
    }
}

fn entry_of(descent: &Descent<'_>) -> NodeEntry {
    let mut entry =
        NodeEntry { owner: descent.owner, dims: [ANYTHING; TESTS], codes: [Codes::ALL; TESTS] };
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
