//! Which fields of a payload somebody's filter reads.
//!
//! A shard makes an [`Interest`] of the paths of its live filters and tells it to the others; whoever takes an event in merges
//! them and finds those fields in the one parse that checks the payload. Invariants: an interest is never changed once made, its
//! paths are sorted and each stands once. Never looks at a payload.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Weak;

use foldhash::fast::RandomState;

use crate::limits::INTEREST_BYTES_MAX;
use crate::limits::INTEREST_PATHS_MAX;
use crate::limits::PATH_BYTES_MAX;
use crate::limits::PATH_STEPS_MAX;

/// What a path does where it meets an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arrays {
    /// The path goes through each element, so one path may find many values.
    #[default]
    Through,
    /// The path does not enter an array, and what it finds, array or object, is one value.
    Whole,
}

/// Where in a payload a value stands: the members to follow from the top.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    steps: Arc<[Box<str>]>,
    arrays: Arrays,
}

/// Bytes of a step's name in the path and as a member of its parent in the tree, without the text.
const STEP_BYTES: usize =
    size_of::<Box<str>>() + size_of::<(Box<str>, usize)>() + 4 * size_of::<usize>();

/// Why a list of member names is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    Empty,
    TooManySteps { count: usize },
    TooLong { bytes: usize },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "path names no field"),
            Self::TooManySteps { count } => {
                write!(f, "path has {count} steps; at most {PATH_STEPS_MAX} are allowed")
            }
            Self::TooLong { bytes } => {
                write!(f, "path has {bytes} bytes; at most {PATH_BYTES_MAX} are allowed")
            }
        }
    }
}

impl std::error::Error for PathError {}

impl FieldPath {
    /// The path that follows `steps`. A step is a member's name as it is, dots and all.
    ///
    /// # Errors
    /// If there is no step, or more or longer ones than the limits allow.
    pub fn new<S: AsRef<str>>(steps: &[S], arrays: Arrays) -> Result<Self, PathError> {
        if steps.is_empty() {
            return Err(PathError::Empty);
        }
        if steps.len() > PATH_STEPS_MAX {
            return Err(PathError::TooManySteps { count: steps.len() });
        }
        let bytes = steps.iter().map(|step| step.as_ref().len()).sum();
        if bytes > PATH_BYTES_MAX {
            return Err(PathError::TooLong { bytes });
        }
        Ok(Self { steps: steps.iter().map(|step| Box::from(step.as_ref())).collect(), arrays })
    }

    /// The member names, from the top.
    #[must_use]
    pub fn steps(&self) -> &[Box<str>] {
        &self.steps
    }

    /// Bytes that an interest takes for it at most: the path, and a node of the tree for each step.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let text: usize = self.steps.iter().map(|step| step.len()).sum();
        size_of::<Self>() + 2 * text + self.steps.len() * (size_of::<Node>() + STEP_BYTES)
    }

    /// What the path does where it meets an array.
    #[must_use]
    pub const fn arrays(&self) -> Arrays {
        self.arrays
    }
}

/// A set of paths, ready to be looked for. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Interest(Option<Arc<Wanted>>);

#[derive(Debug)]
struct Wanted {
    paths: Vec<FieldPath>,
    /// The paths as a tree of member names. Node 0 is the payload itself.
    nodes: Vec<Node>,
}

/// What was looked for in a payload, for as long as anyone looks for it: it keeps no interest alive. Events of the past are many and
/// remember each the interest of its time; who reads one whose interest is gone looks for what it needs itself.
#[derive(Clone, Debug, Default)]
pub struct Sought(Option<Weak<Wanted>>);

impl Sought {
    /// Whether what was sought was this very interest.
    #[inline]
    #[must_use]
    pub fn is(&self, interest: &Interest) -> bool {
        match (&self.0, &interest.0) {
            (Some(sought), Some(wanted)) => std::ptr::eq(sought.as_ptr(), Arc::as_ptr(wanted)),
            (None, None) => true,
            _ => false,
        }
    }

    /// The interest, unless nobody has it any more.
    #[must_use]
    pub fn interest(&self) -> Option<Interest> {
        match &self.0 {
            Some(sought) => sought.upgrade().map(|wanted| Interest(Some(wanted))),
            None => Some(Interest::default()),
        }
    }
}

impl Sought {
    /// Bytes that this keeps alive: of an interest that is gone the place where it was.
    pub(super) const fn weight_bytes(&self) -> usize {
        match self.0 {
            Some(_) => size_of::<Wanted>() + 2 * size_of::<usize>(),
            None => 0,
        }
    }
}

/// One member of interest.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) members: Members,
    /// The path that ends here and goes through arrays: its place in the list.
    pub(super) through: Option<u32>,
    /// The path that ends here and takes an array as one value.
    pub(super) whole: Option<u32>,
}

/// Member names to nodes. The usual few are compared one by one, which is faster than hashing each name of a payload.
#[derive(Debug)]
pub(super) enum Members {
    Few(Vec<(Box<str>, usize)>),
    Many(HashMap<Box<str>, usize, RandomState>),
}

/// From here on a hash is faster than comparing lengths and bytes one by one.
const MEMBERS_FEW_MAX: usize = 12;

impl Default for Members {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Members {
    #[inline]
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        match self {
            Self::Few(list) => {
                list.iter().find(|(known, _)| **known == *name).map(|(_, node)| *node)
            }
            Self::Many(map) => map.get(name).copied(),
        }
    }

    fn add(&mut self, name: &str, node: usize) {
        match self {
            Self::Few(list) if list.len() < MEMBERS_FEW_MAX => list.push((Box::from(name), node)),
            Self::Few(list) => {
                let mut map: HashMap<_, _, _> = list.drain(..).collect();
                map.insert(Box::from(name), node);
                *self = Self::Many(map);
            }
            Self::Many(map) => {
                map.insert(Box::from(name), node);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(list) => list.is_empty(),
            Self::Many(map) => map.is_empty(),
        }
    }
}

impl Interest {
    /// The interest in these paths.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a FieldPath>) -> Self {
        let paths: BTreeSet<&FieldPath> = paths.into_iter().collect();
        Self::of_sorted(paths.into_iter())
    }

    fn of_sorted<'a>(paths: impl Iterator<Item = &'a FieldPath>) -> Self {
        let paths: Vec<FieldPath> = paths.cloned().collect();
        if paths.is_empty() {
            return Self::default();
        }
        let mut nodes = vec![Node::default()];
        for (place, path) in (0_u32..).zip(&paths) {
            let end = grow(&mut nodes, path);
            match path.arrays {
                Arrays::Through => nodes[end].through = Some(place),
                Arrays::Whole => nodes[end].whole = Some(place),
            }
        }
        Self(Some(Arc::new(Wanted { paths, nodes })))
    }

    /// What any of `interests` is interested in. Of more than `INTEREST_PATHS_MAX` paths or `INTEREST_BYTES_MAX` the rest is left out: a
    /// matcher looks itself for what is missing.
    #[must_use]
    pub fn merged<'a>(interests: impl IntoIterator<Item = &'a Self>) -> Self {
        let paths: BTreeSet<&FieldPath> = interests.into_iter().flat_map(Self::paths).collect();
        let mut bytes = 0;
        let has_room = |path: &&FieldPath| {
            bytes += path.weight_bytes();
            bytes <= INTEREST_BYTES_MAX
        };
        Self::of_sorted(paths.into_iter().take(INTEREST_PATHS_MAX).take_while(has_room))
    }

    /// The interest, or, if it is too large to be told to others, the part that `merged` leaves of it.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let bytes: usize = self.paths().iter().map(FieldPath::weight_bytes).sum();
        if self.paths().len() <= INTEREST_PATHS_MAX && bytes <= INTEREST_BYTES_MAX {
            return self.clone();
        }
        Self::merged([self])
    }

    /// The paths, sorted.
    #[must_use]
    pub fn paths(&self) -> &[FieldPath] {
        self.0.as_ref().map_or(&[], |wanted| &wanted.paths)
    }

    /// Whether nobody is interested in anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether two interests are one object.
    #[cfg(test)]
    fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// A reminder of it that does not keep it alive.
    #[must_use]
    pub fn sought(&self) -> Sought {
        Sought(self.0.as_ref().map(Arc::downgrade))
    }

    pub(super) fn nodes(&self) -> &[Node] {
        self.0.as_ref().map_or(&[], |wanted| &wanted.nodes)
    }
}

fn grow(nodes: &mut Vec<Node>, path: &FieldPath) -> usize {
    let mut at = 0;
    for step in path.steps() {
        at = match nodes[at].members.find(step) {
            Some(next) => next,
            None => {
                let next = nodes.len();
                nodes.push(Node::default());
                nodes[at].members.add(step, next);
                next
            }
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> FieldPath {
        FieldPath::new(steps, Arrays::Through).unwrap()
    }

    #[test]
    fn equal_interests_are_merged_into_one_list() {
        let one = Interest::of(&[path(&["b"]), path(&["a", "x"]), path(&["b"])]);
        let other =
            Interest::of(&[path(&["a", "x"]), FieldPath::new(&["b"], Arrays::Whole).unwrap()]);
        let merged = Interest::merged([&one, &other, &Interest::default()]);
        assert_eq!(merged.paths().len(), 3);
        assert!(merged.paths().is_sorted());
        assert!(merged.is_same(&merged.clone()));
        assert!(!merged.is_same(&one));
        assert!(Interest::merged([]).is_empty());
    }

    #[test]
    fn what_was_sought_is_known_while_anyone_has_it_and_keeps_nothing_alive() {
        let interest = Interest::of(&[path(&["a"])]);
        let (sought, other) = (interest.sought(), Interest::of(&[path(&["a"])]));
        assert!(sought.is(&interest) && !sought.is(&other) && !sought.is(&Interest::default()));
        assert!(sought.interest().is_some_and(|found| found.is_same(&interest)));
        drop(interest);
        assert!(sought.interest().is_none());
        assert!(Sought::default().is(&Interest::default()));
        assert!(Sought::default().interest().is_some_and(|nothing| nothing.is_empty()));
    }

    #[test]
    fn more_paths_than_the_limit_are_left_out() {
        let paths: Vec<FieldPath> =
            (0..=INTEREST_PATHS_MAX).map(|which| path(&[&format!("f{which}")])).collect();
        assert_eq!(Interest::merged([&Interest::of(&paths)]).paths().len(), INTEREST_PATHS_MAX);
    }

    #[test]
    fn what_is_told_to_others_has_bytes_to_stay_within() {
        let paths: Vec<FieldPath> =
            (0..1000).map(|which| path(&[&format!("{which}{}", "x".repeat(200))])).collect();
        let all = Interest::of(&paths);
        assert_eq!(all.paths().len(), 1000);
        let told = all.bounded();
        let bytes: usize = told.paths().iter().map(FieldPath::weight_bytes).sum();
        assert!(bytes <= INTEREST_BYTES_MAX && bytes > INTEREST_BYTES_MAX / 2, "{bytes} bytes");
        assert!(told.bounded().is_same(&told));
    }

    #[test]
    fn a_path_has_limits() {
        assert_eq!(FieldPath::new::<&str>(&[], Arrays::Through), Err(PathError::Empty));
        assert_eq!(
            FieldPath::new(&["a"; 17], Arrays::Through),
            Err(PathError::TooManySteps { count: 17 })
        );
        assert_eq!(
            FieldPath::new(&["x".repeat(256)], Arrays::Through),
            Err(PathError::TooLong { bytes: 256 })
        );
        assert!(FieldPath::new(&["a.b", ""], Arrays::Through).is_ok());
    }
}
