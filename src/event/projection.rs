//! Some members of a payload: what is left when a subscriber asked for a few fields only.
//!
//! Invariants: what is kept is kept byte for byte, in the payload's order; what is not there is left out. The result is one JSON object.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::Deserializer as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use super::text::Text;
use crate::limits::PROJECTION_DEPTH_MAX;
use crate::limits::SUBSCRIPTION_FIELDS_MAX;

/// The members that are kept: a tree of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Projection(BTreeMap<Box<str>, Chosen>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Chosen {
    Whole,
    Some(Projection),
}

/// Why a list of paths is no projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectionError {
    Empty,
    TooMany {
        count: usize,
    },
    /// Path number `index` has an empty step.
    EmptyStep {
        index: usize,
    },
    TooDeep {
        index: usize,
    },
}

impl fmt::Display for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "no fields are named"),
            Self::TooMany { count } => {
                write!(f, "{count} fields are named; at most {SUBSCRIPTION_FIELDS_MAX} are allowed")
            }
            Self::EmptyStep { index } => write!(f, "field {index} has an empty name in its path"),
            Self::TooDeep { index } => {
                write!(f, "field {index} has more than {PROJECTION_DEPTH_MAX} names in its path")
            }
        }
    }
}

impl std::error::Error for ProjectionError {}

impl Projection {
    /// Bytes that it takes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let below = |kept: &Chosen| match kept {
            Chosen::Whole => 0,
            Chosen::Some(projection) => projection.weight_bytes(),
        };
        // The smallest tree has room for a dozen names.
        let tree = 16 * size_of::<(Box<str>, Chosen)>();
        tree + self.0.iter().map(|(name, kept)| tree / 4 + name.len() + below(kept)).sum::<usize>()
    }

    /// The projection to these dotted paths.
    ///
    /// # Errors
    /// Which path is wrong.
    pub fn new<S: AsRef<str>>(paths: &[S]) -> Result<Self, ProjectionError> {
        match paths.len() {
            0 => return Err(ProjectionError::Empty),
            count if count > SUBSCRIPTION_FIELDS_MAX => {
                return Err(ProjectionError::TooMany { count });
            }
            _ => {}
        }
        let mut projection = Self::default();
        for (index, path) in paths.iter().enumerate() {
            let steps: Vec<&str> = path.as_ref().split('.').collect();
            if steps.iter().any(|step| step.is_empty()) {
                return Err(ProjectionError::EmptyStep { index });
            }
            if steps.len() > PROJECTION_DEPTH_MAX {
                return Err(ProjectionError::TooDeep { index });
            }
            projection.keep(&steps);
        }
        Ok(projection)
    }

    fn keep(&mut self, steps: &[&str]) {
        let [step, rest @ ..] = steps else { return };
        if rest.is_empty() {
            self.0.insert((*step).into(), Chosen::Whole);
            return;
        }
        match self.0.entry((*step).into()).or_insert_with(|| Chosen::Some(Self::default())) {
            Chosen::Whole => {}
            Chosen::Some(inner) => inner.keep(rest),
        }
    }

    /// What either keeps.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (name, kept) in &other.0 {
            match (both.0.get(name), kept) {
                (Some(Chosen::Whole), _) => {}
                (Some(Chosen::Some(ours)), Chosen::Some(theirs)) => {
                    let inner = ours.union(theirs);
                    both.0.insert(name.clone(), Chosen::Some(inner));
                }
                (None, _) | (_, Chosen::Whole) => {
                    both.0.insert(name.clone(), kept.clone());
                }
            }
        }
        both
    }

    /// Appends what is left of a payload, which is one JSON object.
    pub fn project(&self, payload: &[u8], out: &mut Text) {
        let text = std::str::from_utf8(payload).unwrap_or("{}");
        let start = out.mark();
        let mut json = serde_json::Deserializer::from_str(text);
        if json.deserialize_map(Projecting { projection: self, out }).is_err() {
            // A payload is an object, checked when it came in; nothing of what is not one is kept.
            out.truncate(start);
            out.bytes.extend_from_slice(b"{}");
        }
    }
}

struct Projecting<'p, 'o> {
    projection: &'p Projection,
    out: &'o mut Text,
}

impl<'de> Visitor<'de> for Projecting<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { projection, out } = self;
        out.bytes.push(b'{');
        let mut is_first = true;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let Some(kept) = projection.0.get(&*name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            let inner = match kept {
                Chosen::Whole => None,
                Chosen::Some(_) if !value.get().starts_with('{') => continue,
                Chosen::Some(inner) => Some(inner),
            };
            if !std::mem::take(&mut is_first) {
                out.bytes.push(b',');
            }
            // A name is plain nearly always; one that is not is written anew.
            if serde_json::to_writer(&mut out.bytes, &name).is_err() {
                continue;
            }
            out.bytes.push(b':');
            match inner {
                None => out.put(value.get().as_bytes()),
                Some(inner) => inner.project(value.get().as_bytes(), out),
            }
        }
        out.bytes.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projected(paths: &[&str], payload: &str) -> String {
        let mut out = Text::default();
        Projection::new(paths).unwrap().project(payload.as_bytes(), &mut out);
        String::from_utf8(out.bytes).unwrap()
    }

    #[test]
    fn what_is_kept_is_kept_as_it_was() {
        let payload = r#"{ "a" : 1.50, "p":{"lat":47.0e0,"lon":8},"z":[1, 2],"q":"x" }"#;
        assert_eq!(projected(&["z", "a"], payload), r#"{"a":1.50,"z":[1, 2]}"#);
        assert_eq!(projected(&["p.lat"], payload), r#"{"p":{"lat":47.0e0}}"#);
        assert_eq!(projected(&["p.lat", "p"], payload), r#"{"p":{"lat":47.0e0,"lon":8}}"#);
        assert_eq!(projected(&["none", "q.deep"], payload), "{}");
    }

    #[test]
    fn a_union_keeps_what_either_keeps() {
        let of = |paths: &[&str]| Projection::new(paths).unwrap();
        assert_eq!(of(&["a", "p.x"]).union(&of(&["p.y", "b"])), of(&["a", "b", "p.x", "p.y"]));
        assert_eq!(of(&["p"]).union(&of(&["p.y"])), of(&["p"]));
        assert_eq!(of(&["p.y"]).union(&of(&["p"])), of(&["p"]));
    }

    #[test]
    fn a_bad_path_is_named() {
        assert_eq!(Projection::new::<&str>(&[]), Err(ProjectionError::Empty));
        assert_eq!(Projection::new(&["a", "b..c"]), Err(ProjectionError::EmptyStep { index: 1 }));
    }
}
