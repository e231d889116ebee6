//! What whoever answers a hook says.
//!
//! Invariant: an answer is understood as a whole or not at all: a member that is unknown, or of another type, makes it a failure, so that a word that was written wrong never opens what it was to close.

use std::fmt;

use serde_json::value::RawValue;

use super::Hook;
use super::call::Json;
use crate::dialect::json;
use crate::event::TopicPattern;

/// How a request goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// `Some`: it does not, and this is why.
    pub abort: Option<Box<str>>,
    /// What takes the place of what the client said, or is answered. `None`: it stays.
    pub options: Option<Json>,
    pub data: Option<Json>,
    pub result: Option<Json>,
    /// What is noted of the connection from here on.
    pub metadata: Option<Json>,
    /// Conditions that rows must pass, whatever is asked: all of these lists hold.
    pub filters: Vec<Json>,
    /// Columns that are not there: those of all these lists. `Some`, even if it is empty: it was said what is masked.
    pub masks: Option<Vec<Json>>,
    /// Of `before_connect`: who the client is, where no token says it.
    pub identity: Identity,
}

/// Who a client is, and what it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `None`: anyone.
    pub user: Option<Box<str>>,
    pub roles: Vec<Box<str>>,
    /// `None`: the topics of all tables.
    pub subscribe: Option<Vec<TopicPattern>>,
    pub publish: Option<Vec<TopicPattern>>,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The answer took longer than it may.
    TooSlow,
    /// More is asked of hooks just now than is answered.
    Busy,
    /// Nobody is there, or what is there broke off.
    Unreachable,
    /// The answer is none that is understood: why.
    BadAnswer(Box<str>),
}

/// The words for all of them.
pub const FAILURES: [&str; 4] = ["too_slow", "busy", "unreachable", "bad_answer"];

impl Failure {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooSlow => FAILURES[0],
            Self::Busy => FAILURES[1],
            Self::Unreachable => FAILURES[2],
            Self::BadAnswer(_) => FAILURES[3],
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSlow => write!(f, "it was not answered in time"),
            Self::Busy => write!(f, "more is asked of hooks just now than is answered; try again"),
            Self::Unreachable => write!(f, "nobody answers it"),
            // What is wrong with it is the operator's affair, and in the log.
            Self::BadAnswer(_) => write!(f, "its answer is not understood"),
        }
    }
}

impl std::error::Error for Failure {}

impl Verdict {
    /// The request does not go on.
    #[must_use]
    pub fn abort(message: impl Into<Box<str>>) -> Self {
        Self { abort: Some(message.into()), ..Self::default() }
    }

    /// The request goes on, with rows that pass this list of conditions only, or this object with a list for each table.
    #[must_use]
    pub fn with_filters(mut self, filters: Json) -> Self {
        self.filters.push(filters);
        self
    }

    /// The request goes on, without these columns.
    #[must_use]
    pub fn with_mask(mut self, mask: Json) -> Self {
        self.masks.get_or_insert_default().push(mask);
        self
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let texts = [&self.options, &self.data, &self.result, &self.metadata];
        let lists = self.filters.iter().chain(self.masks.iter().flatten());
        size_of::<Self>()
            + texts
                .into_iter()
                .flatten()
                .chain(lists)
                .map(|text| text.as_str().len())
                .sum::<usize>()
    }
}

/// Reads an answer. Nothing at all is a yes that changes nothing.
///
/// # Errors
/// What is wrong with it.
pub fn read(hook: Hook, text: &[u8]) -> Result<Verdict, Failure> {
    let bad = |reason: &str| Failure::BadAnswer(reason.into());
    let text = std::str::from_utf8(text).map_err(|_| bad("it is no UTF-8"))?;
    let mut verdict = Verdict::default();
    if text.trim_ascii().is_empty() {
        return Ok(verdict);
    }
    let members = json::members(text).map_err(|error| bad(&format!("it is no object: {error}")))?;
    let (mut is_aborted, mut message) = (false, None);
    for (name, value) in &members {
        let wrong = |wanted: &str| bad(&format!("`{name}` must be {wanted}"));
        match &**name {
            "abort" => is_aborted = truth(value).ok_or_else(|| wrong("true or false"))?,
            "message" => message = Some(word(value).ok_or_else(|| wrong("a string"))?),
            "options" => verdict.options = object(value).ok_or_else(|| wrong("an object"))?,
            "data" => verdict.data = object(value).ok_or_else(|| wrong("an object"))?,
            "metadata" => verdict.metadata = object(value).ok_or_else(|| wrong("an object"))?,
            "result" if hook.sees_a_result() => verdict.result = Some(Json::of(value)),
            "filters" => verdict.filters.push(Json::of(value)),
            "mask" => verdict.masks.get_or_insert_default().push(Json::of(value)),
            "user" | "roles" | "subscribe" | "publish" if hook == Hook::BeforeConnect => {
                verdict.identity.take(name, value).ok_or_else(|| wrong(wanted_of(name)))?;
            }
            _ => return Err(bad(&format!("`{name}` is none of its members"))),
        }
    }
    if is_aborted {
        verdict.abort = Some(message.unwrap_or_else(|| "operation aborted by hook".into()));
    }
    Ok(verdict)
}

fn wanted_of(name: &str) -> &'static str {
    match name {
        "user" => "a string",
        "roles" => "a list of strings",
        _ => "a list of topics",
    }
}

impl Identity {
    fn take(&mut self, name: &str, value: &RawValue) -> Option<()> {
        let words = || serde_json::from_str::<Vec<Box<str>>>(value.get()).ok();
        let topics = || -> Option<Vec<TopicPattern>> {
            words()?.iter().map(|text| TopicPattern::new(text).ok()).collect()
        };
        match name {
            "user" => self.user = Some(word(value)?),
            "roles" => self.roles = words()?,
            "subscribe" => self.subscribe = Some(topics()?),
            _ => self.publish = Some(topics()?),
        }
        Some(())
    }
}

fn truth(value: &RawValue) -> Option<bool> {
    value.get().parse().ok()
}

fn word(value: &RawValue) -> Option<Box<str>> {
    json::text_of(value).map(Into::into)
}

/// An object, or null, which says nothing.
fn object(value: &RawValue) -> Option<Option<Json>> {
    match value.get() {
        "null" => Some(None),
        text if text.starts_with('{') => Some(Some(Json::of(value))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hook: Hook, text: &str) -> Result<Verdict, String> {
        read(hook, text.as_bytes()).map_err(|failure| match failure {
            Failure::BadAnswer(reason) => reason.into(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn an_answer_says_what_changes() {
        assert_eq!(of(Hook::BeforeRead, " "), Ok(Verdict::default()));
        assert_eq!(of(Hook::BeforeRead, "{}"), Ok(Verdict::default()));
        assert_eq!(
            of(Hook::BeforeRead, r#"{"abort":false,"options":null}"#),
            Ok(Verdict::default())
        );
        let aborted = of(Hook::BeforeRead, r#"{"abort":true,"message":"no"}"#);
        assert_eq!(aborted, Ok(Verdict::abort("no")));
        let aborted = of(Hook::BeforeRead, r#"{"abort":true}"#).unwrap();
        assert_eq!(aborted.abort.as_deref(), Some("operation aborted by hook"));
        let changed = of(
            Hook::AfterRead,
            r#"{"options":{"limit":1},"data":{"a":1.50},"result":[7],"metadata":{"t":"red"},"filters":[],"mask":["age"]}"#,
        )
        .unwrap();
        assert_eq!(changed.data.as_ref().map(Json::as_str), Some(r#"{"a":1.50}"#));
        assert_eq!(changed.result.as_ref().map(Json::as_str), Some("[7]"));
        assert_eq!((changed.filters.len(), changed.masks.map(|masks| masks.len())), (1, Some(1)));
        let known = of(Hook::BeforeConnect, r#"{"user":"ada","roles":["r"],"subscribe":["a/**"]}"#);
        let identity = known.unwrap().identity;
        assert_eq!((identity.user.as_deref(), identity.roles.len()), (Some("ada"), 1));
        assert!(identity.subscribe.is_some() && identity.publish.is_none());
    }

    #[test]
    fn what_is_not_understood_is_no_yes() {
        for (text, reason) in [
            ("no", "it is no object"),
            ("[]", "it is no object"),
            (r#"{"filter":[]}"#, "`filter` is none of its members"),
            (r#"{"abort":1}"#, "`abort` must be true or false"),
            (r#"{"abort":"true"}"#, "`abort` must be true or false"),
            (r#"{"options":[]}"#, "`options` must be an object"),
            (r#"{"data":7}"#, "`data` must be an object"),
            (r#"{"result":[]}"#, "`result` is none of its members"),
            (r#"{"user":"ada"}"#, "`user` is none of its members"),
        ] {
            let found = of(Hook::BeforeRead, text).unwrap_err();
            assert!(found.starts_with(reason), "{text}: {found}");
        }
        for text in [r#"{"subscribe":["a//b"]}"#, r#"{"roles":"r"}"#, r#"{"user":7}"#] {
            assert!(of(Hook::BeforeConnect, text).unwrap_err().contains("must be"), "{text}");
        }
        assert!(read(Hook::BeforeRead, b"\xff").is_err());
    }
}
