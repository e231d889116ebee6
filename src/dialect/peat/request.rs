//! What a subscriber asks for: collections, a query, and which of the past.
//!
//! Invariant: collections stand as they were asked for, in order and as often. An empty list means all of them.

use std::fmt;
use std::sync::Arc;

use super::proto;
use super::proto::ProtoError;
use super::query::Query;
use super::query::QueryError;
use crate::batch::Slow;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::dialect::Wish;
use crate::dialect::json;
use crate::event::TopicPattern;
use crate::limits::PEAT_COLLECTIONS_MAX;
use crate::position::Since;

/// A subscriber's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub collections: Vec<String>,
    pub query: Option<Query>,
    pub snapshot: Snapshot,
}

/// Of which collections the present state is told first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshot {
    //= peat-node#1.3
    //# Snapshot only for collections **named** in the request, in request order, ids in store-scan order
    #[default]
    Named,
    All,
    None,
}

/// Why there is no such request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    Query(QueryError),
    Proto(ProtoError),
    NotJson { reason: Box<str> },
    UnknownMember { member: Box<str> },
    CollectionsNotStrings,
    TooManyCollections,
    UnknownSnapshot { word: Box<str> },
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(error) => error.fmt(f),
            Self::Proto(error) => error.fmt(f),
            Self::NotJson { reason } => write!(f, "request is not a JSON object: {reason}"),
            Self::UnknownMember { member } => write!(f, "unknown field `{member}`"),
            Self::CollectionsNotStrings => write!(f, "collections is not a list of strings"),
            Self::TooManyCollections => write!(f, "more than {PEAT_COLLECTIONS_MAX} collections"),
            Self::UnknownSnapshot { word } => {
                write!(f, "snapshot is `all` or `none`, not `{word}`")
            }
        }
    }
}

impl std::error::Error for RequestError {}

impl Request {
    /// Reads the parameters of a URL. Parameters that are not known are passed over, as the origin does.
    ///
    /// # Errors
    /// What is wrong with one that is.
    pub fn of_query<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, RequestError> {
        let mut request = Self::default();
        for (name, value) in pairs {
            let value = value.as_ref();
            match name.as_ref() {
                "collections" => {
                    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                    request.collections.extend(names.map(str::to_owned));
                }
                "query" => {
                    request.query = Some(Query::parse_json(value).map_err(RequestError::Query)?);
                }
                "snapshot" => {
                    request.snapshot = match value {
                        "all" => Snapshot::All,
                        "none" => Snapshot::None,
                        word => return Err(RequestError::UnknownSnapshot { word: word.into() }),
                    }
                }
                _ => {}
            }
        }
        request.checked()
    }

    /// Reads the proto3-JSON of a `SubscribeRequest`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_json(text: &str) -> Result<Self, RequestError> {
        let members = json::members(text)
            .map_err(|e| RequestError::NotJson { reason: e.to_string().into() })?;
        let mut request = Self::default();
        for (name, raw) in members {
            match (name.as_str(), raw.get()) {
                ("collections" | "query", "null") => {}
                ("collections", text) => {
                    request.collections = serde_json::from_str(text)
                        .map_err(|_| RequestError::CollectionsNotStrings)?;
                }
                ("query", text) => {
                    request.query = Some(Query::parse_json(text).map_err(RequestError::Query)?);
                }
                _ => return Err(RequestError::UnknownMember { member: name.into() }),
            }
        }
        request.checked()
    }

    /// Reads a `SubscribeRequest` as protobuf.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_proto(bytes: &[u8]) -> Result<Self, RequestError> {
        let (collections, query) = proto::subscribe_request(bytes).map_err(RequestError::Proto)?;
        Self { collections, query, snapshot: Snapshot::default() }.checked()
    }

    fn checked(self) -> Result<Self, RequestError> {
        if self.collections.len() > PEAT_COLLECTIONS_MAX {
            return Err(RequestError::TooManyCollections);
        }
        Ok(self)
    }

    /// The subscription that this is; `None` if no event can have any of the collections.
    #[must_use]
    pub fn subscription(&self, view: &View) -> Option<Arc<Subscription>> {
        let mut topics = self.topics(view);
        topics.sort_unstable();
        topics.dedup();
        if topics.is_empty() {
            return None;
        }
        let filter = self.query.as_ref().map(Query::filter).transpose().ok()?;
        Some(Arc::new(Subscription {
            id: Arc::from("0"),
            topics,
            filter,
            slow: Slow::DropSilently,
            ..Subscription::default()
        }))
    }

    fn topics(&self, view: &View) -> Vec<TopicPattern> {
        if self.collections.is_empty() {
            return view.topics.clone();
        }
        let names = self.collections.iter().filter_map(|name| view.topic_of(name));
        names.map(TopicPattern::Exact).collect()
    }

    /// What is told first: of named collections those that were not named `before`, as often as they stand here.
    #[must_use]
    pub fn since(&self, before: &[String], view: &View) -> Since {
        let topics = match (self.snapshot, self.collections.is_empty()) {
            (Snapshot::None, _) | (Snapshot::Named, true) => Vec::new(),
            (Snapshot::All, true) => view.topics.clone(),
            (Snapshot::Named | Snapshot::All, false) => {
                let new = self.collections.iter().filter(|name| !before.contains(name));
                new.filter_map(|name| view.topic_of(name)).map(TopicPattern::Exact).collect()
            }
        };
        if topics.is_empty() { Since::Now } else { Since::Snapshot(topics) }
    }

    /// What is told first to a client that comes back with a position that is none here: the present state of all that it asks for, for what it
    /// missed of that is not known.
    #[must_use]
    pub fn since_lost(&self, view: &View) -> Since {
        match self.snapshot {
            Snapshot::None => Since::Now,
            Snapshot::Named | Snapshot::All => {
                Self { snapshot: Snapshot::All, ..self.clone() }.since(&[], view)
            }
        }
    }

    /// The subscription and its past, as one wish.
    #[must_use]
    pub fn wish(&self, before: &[String], view: &View) -> Option<Wish> {
        let subscription = self.subscription(view)?;
        Some(Wish::new(subscription, self.since(before, view)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_query(query: &[(&str, &str)]) -> Result<Request, RequestError> {
        Request::of_query(query.iter().copied())
    }

    #[test]
    fn collections_are_trimmed_empties_dropped_and_repeats_kept() {
        let request = of_query(&[("collections", " a ,,b,"), ("collections", "a"), ("x", "y")]);
        assert_eq!(request.unwrap().collections, ["a", "b", "a"]);
        assert!(of_query(&[("collections", "")]).unwrap().collections.is_empty());
    }

    #[test]
    fn a_snapshot_is_of_what_was_named_and_is_new() {
        let view = View::default();
        let topics = |names: &[&str]| {
            Since::Snapshot(names.iter().map(|name| TopicPattern::new(name).unwrap()).collect())
        };
        let named = of_query(&[("collections", "b,a,b")]).unwrap();
        assert_eq!(named.since(&[], &view), topics(&["b", "a", "b"]));
        assert_eq!(named.since(&["b".to_owned()], &view), topics(&["a"]));
        assert_eq!(of_query(&[]).unwrap().since(&[], &view), Since::Now);
        assert_eq!(of_query(&[("snapshot", "all")]).unwrap().since(&[], &view), topics(&["**"]));
        let none = of_query(&[("collections", "a"), ("snapshot", "none")]).unwrap();
        assert_eq!(none.since(&[], &view), Since::Now);
    }

    #[test]
    fn a_request_that_is_wrong_says_how() {
        assert_eq!(
            of_query(&[("query", "{}")]).unwrap_err().to_string(),
            "invalid subscription query: query node has no variant set (oneof q is empty)"
        );
        assert_eq!(
            of_query(&[("snapshot", "some")]).unwrap_err().to_string(),
            "snapshot is `all` or `none`, not `some`"
        );
        let refused = |text: &str| Request::of_json(text).unwrap_err().to_string();
        assert_eq!(refused(r#"{"type":"ping"}"#), "unknown field `type`");
        assert_eq!(refused(r#"{"collections":[1]}"#), "collections is not a list of strings");
        assert!(refused("[").starts_with("request is not a JSON object: "));
        let many = vec!["\"a\""; 257].join(",");
        assert_eq!(refused(&format!(r#"{{"collections":[{many}]}}"#)), "more than 256 collections");
        let clauses = vec![r#"{"all":{}}"#; 255].join(",");
        let query = format!(r#"{{"query":{{"or":{{"clauses":[{clauses}]}}}}}}"#);
        assert!(refused(&query).ends_with("query has more than 255 nodes"));
        let proto = |bytes: &[u8]| Request::of_proto(bytes).unwrap_err().to_string();
        for (bytes, text) in [
            (&[0x0a, 5, b'a'][..], "protobuf message ends in the middle of a field"),
            (&[0xff; 11], "protobuf varint has more than 10 bytes"),
            (&[0x0b], "protobuf field has wire type 3"),
            (&[0x0a, 1, 0xff], "protobuf string is not UTF-8"),
        ] {
            assert_eq!(proto(bytes), text, "{bytes:?}");
        }
        assert_eq!(
            Request::of_json(r#"{"collections":["a"],"query":{"all":{}}}"#).unwrap().query,
            Some(Query::All)
        );
    }

    #[test]
    fn names_that_no_topic_can_have_are_no_error() {
        let long = "x".repeat(300);
        let request = of_query(&[("collections", &long)]).unwrap();
        assert_eq!(request.subscription(&View::default()), None);
    }
}
