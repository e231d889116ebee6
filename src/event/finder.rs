//! Finds the values of an interest on the tape of a parsed payload.
//!
//! Invariants: of members with the same name the last one counts; what is found comes in the order of the interest's paths. Recurses no
//! deeper than payloads may be nested.

use simd_json::Node;
use simd_json::StaticNode;

use crate::event::Interest;
use crate::event::Number;
use crate::event::interest;
use crate::event::json;

/// A value that was found for a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The path's place in the interest.
    pub(super) path: u32,
    pub(super) value: FoundValue,
}

/// A value whose text stands elsewhere, from here to there.
#[derive(Clone, Copy, Debug)]
pub(super) enum FoundValue {
    Null,
    Bool(bool),
    Number(Number),
    Text { start: u32, end: u32 },
    Other,
    Json { start: u32, end: u32 },
}

/// How many nodes of the tape the value at `at` takes.
pub(super) fn node_count(tape: &[Node<'_>], at: usize) -> usize {
    match tape.get(at) {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        _ => 1,
    }
}

/// Finds the values of an interest on a tape. Its lists are kept for their memory.
#[derive(Debug, Default)]
pub(super) struct Finder {
    found: Vec<Found>,
    text: String,
    /// Members to go into: the interest's node and the value's place on the tape.
    members: Vec<(usize, usize)>,
}

impl Finder {
    /// Looks for every path of `interest`. Answers what was found, and the text that it refers to.
    pub(super) fn find(
        &mut self,
        tape: &[Node<'_>],
        interest: &Interest,
    ) -> (Box<[Found]>, Box<str>) {
        self.found.clear();
        self.text.clear();
        self.visit(tape, 0, interest.nodes(), 0, false);
        self.found.sort_by_key(|found| found.path);
        (Box::from(&*self.found), Box::from(&*self.text))
    }

    /// Takes what `nodes[node]` wants of the value at `at`. Recurses no deeper than the payload is nested.
    fn visit(
        &mut self,
        tape: &[Node<'_>],
        at: usize,
        nodes: &[interest::Node],
        node: usize,
        in_array: bool,
    ) {
        let Some(wanted) = nodes.get(node) else { return };
        if let Some(path) = wanted.whole
            && !in_array
        {
            let value = self.keep_whole(tape, at);
            self.found.push(Found { path, value });
        }
        match tape.get(at) {
            Some(Node::Array { len, .. }) if *len > 0 => {
                let mut element = at + 1;
                for _ in 0..*len {
                    self.visit(tape, element, nodes, node, true);
                    element += node_count(tape, element);
                }
            }
            Some(value) => {
                if let Some(path) = wanted.through {
                    let value = self.keep(*value);
                    self.found.push(Found { path, value });
                }
                if let Node::Object { len, .. } = value
                    && !wanted.members.is_empty()
                {
                    self.visit_members(tape, (at, *len), nodes, &wanted.members, in_array);
                }
            }
            None => {}
        }
    }

    fn visit_members(
        &mut self,
        tape: &[Node<'_>],
        (at, len): (usize, usize),
        nodes: &[interest::Node],
        wanted: &interest::Members,
        in_array: bool,
    ) {
        let base = self.members.len();
        let mut name_at = at + 1;
        for _ in 0..len {
            if let Some(Node::String(name)) = tape.get(name_at)
                && let Some(node) = wanted.find(name)
            {
                match self.members.iter_mut().skip(base).find(|(known, _)| *known == node) {
                    Some((_, value_at)) => *value_at = name_at + 1,
                    None => self.members.push((node, name_at + 1)),
                }
            }
            name_at += 1 + node_count(tape, name_at + 1);
        }
        for which in base..self.members.len() {
            let (node, value_at) = self.members[which];
            self.visit(tape, value_at, nodes, node, in_array);
        }
        self.members.truncate(base);
    }

    fn keep(&mut self, value: Node<'_>) -> FoundValue {
        match value {
            Node::Static(StaticNode::Null) => FoundValue::Null,
            Node::Static(StaticNode::Bool(value)) => FoundValue::Bool(value),
            Node::Static(StaticNode::I64(value)) => FoundValue::Number(Number::from_i64(value)),
            Node::Static(StaticNode::U64(value)) => FoundValue::Number(Number::from_u64(value)),
            Node::Static(StaticNode::F64(value)) => FoundValue::Number(Number::from_f64(value)),
            Node::String(text) => {
                let (start, end) = self.keep_text(|kept| kept.push_str(text));
                FoundValue::Text { start, end }
            }
            Node::Object { .. } | Node::Array { .. } => FoundValue::Other,
        }
    }

    fn keep_whole(&mut self, tape: &[Node<'_>], at: usize) -> FoundValue {
        match tape.get(at) {
            Some(Node::Object { .. } | Node::Array { .. }) => {
                let (start, end) = self.keep_text(|kept| push_canonical(tape, at, kept));
                FoundValue::Json { start, end }
            }
            Some(value) => self.keep(*value),
            None => FoundValue::Other,
        }
    }

    fn keep_text(&mut self, push: impl FnOnce(&mut String)) -> (u32, u32) {
        let place =
            |text: &String| u32::try_from(text.len()).expect("a payload is far smaller than 4 GiB");
        let start = place(&self.text);
        push(&mut self.text);
        (start, place(&self.text))
    }
}

/// Appends the value at `at` as JSON with sorted names, the last of each name, and without space. No deeper than the payload is.
pub(super) fn push_canonical(tape: &[Node<'_>], at: usize, out: &mut String) {
    match tape.get(at) {
        Some(Node::Object { len, .. }) => {
            let mut members = std::collections::BTreeMap::new();
            let mut name_at = at + 1;
            for _ in 0..*len {
                if let Some(Node::String(name)) = tape.get(name_at) {
                    members.insert(*name, name_at + 1);
                }
                name_at += 1 + node_count(tape, name_at + 1);
            }
            for (place, (name, value_at)) in members.into_iter().enumerate() {
                out.push(if place == 0 { '{' } else { ',' });
                json::push_string(name, out);
                out.push(':');
                push_canonical(tape, value_at, out);
            }
            out.push_str(if *len == 0 { "{}" } else { "}" });
        }
        Some(Node::Array { len, .. }) => {
            let mut element = at + 1;
            for place in 0..*len {
                out.push(if place == 0 { '[' } else { ',' });
                push_canonical(tape, element, out);
                element += node_count(tape, element);
            }
            out.push_str(if *len == 0 { "[]" } else { "]" });
        }
        Some(Node::String(text)) => json::push_string(text, out),
        Some(Node::Static(StaticNode::I64(value))) => push(out, value),
        Some(Node::Static(StaticNode::U64(value))) => push(out, value),
        Some(Node::Static(StaticNode::F64(value))) => push(out, &Number::from_f64(*value)),
        Some(Node::Static(StaticNode::Bool(true))) => out.push_str("true"),
        Some(Node::Static(StaticNode::Bool(false))) => out.push_str("false"),
        Some(Node::Static(StaticNode::Null)) | None => out.push_str("null"),
    }
}

fn push(out: &mut String, value: &impl std::fmt::Display) {
    use std::fmt::Write;
    write!(out, "{value}").expect("a String takes every write");
}
