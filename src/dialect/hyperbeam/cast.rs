//! A message that is cast: which topic it goes to.
//!
//! Invariant: the message is published byte for byte. What names no topic, or is no JSON object, goes nowhere, in silence.

use serde_json::value::RawValue;

use super::topics;
use super::topics::Options;
use crate::dialect::json;
use crate::limits::KEY_BYTES_MAX;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The topic's name, as the message has it.
    pub topic: String,
    /// The message's own id; empty if it has none that may be a key.
    pub key: String,
}

/// Reads a message. One without a topic goes, if there are derived topics, to the first of those that it has.
#[must_use]
pub fn cast(body: &str, options: Options) -> Option<Cast> {
    let members = json::members(body).ok()?;
    let topic = topic_of(&members).or_else(|| {
        let derived = topics::DERIVED.iter().find_map(|(prefix, names)| {
            let id = names.iter().find_map(|name| json::member(&members, name));
            Some(format!("{prefix}{}", json::text_of(id?)?))
        });
        derived.filter(|_| options.derived)
    })?;
    let id = ["Id", "id"].into_iter().find_map(|name| {
        let id = json::key_text_of(json::member(&members, name)?)?;
        (id != Ok(String::new())).then_some(id)
    });
    // An id that stands for no text names nothing, and must not be taken for another one that does not.
    let id = id.transpose().ok()?;
    let key = id.filter(|id| id.len() <= KEY_BYTES_MAX).unwrap_or_default();
    Some(Cast { topic, key })
}

//= hyperbeam#2.2
//# Topic extraction, first hit wins: `tags.Topic`, `tags.topic` (only when `tags` is a **map**), then
//# top-level `Topic`, then `topic`. None → the message is dropped silently.
//= hyperbeam#2.4
//# extractor also accepts `Tags`/`tags` as a list of `{name,value}`, tag name `Topic` case-insensitively,
//# **after** the four origin rules;
fn topic_of(members: &json::Members<'_>) -> Option<String> {
    let tags = json::member(members, "tags").and_then(|tags| json::members(tags.get()).ok());
    let of_tags = |name: &str| tags.as_ref().and_then(|tags| text(tags, name));
    of_tags("Topic")
        .or_else(|| of_tags("topic"))
        .or_else(|| text(members, "Topic"))
        .or_else(|| text(members, "topic"))
        .or_else(|| ["Tags", "tags"].into_iter().find_map(|name| listed(members, name)))
}

/// The value of the tag `Topic` in a list of tags.
fn listed(members: &json::Members<'_>, name: &str) -> Option<String> {
    let list: Vec<&RawValue> = serde_json::from_str(json::member(members, name)?.get()).ok()?;
    list.into_iter().find_map(|tag| {
        let tag = json::members(tag.get()).ok()?;
        let is_topic = text(&tag, "name")?.eq_ignore_ascii_case("topic");
        if is_topic { text(&tag, "value") } else { None }
    })
}

fn text(members: &json::Members<'_>, name: &str) -> Option<String> {
    json::member(members, name).and_then(json::text_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(body: &str) -> Option<String> {
        cast(body, Options::default()).map(|cast| cast.topic)
    }

    #[test]
    fn the_first_rule_that_finds_a_topic_wins() {
        for (body, expected) in [
            (r#"{"tags":{"Topic":"a","topic":"b"},"Topic":"c","topic":"d"}"#, Some("a")),
            (r#"{"tags":{"topic":"b"},"Topic":"c","topic":"d"}"#, Some("b")),
            (r#"{"Topic":"c","topic":"d"}"#, Some("c")),
            (r#"{"topic":"d","Tags":[{"name":"Topic","value":"e"}]}"#, Some("d")),
            (r#"{"Tags":[{"name":"X","value":"x"},{"name":"TOPIC","value":"e"}]}"#, Some("e")),
            (r#"{"tags":[{"name":"topic","value":"f"}]}"#, Some("f")),
            (r#"{"tags":{"Topic":7},"topic":"d"}"#, Some("d")),
            (r#"{"tags":{"Topic":""},"topic":"d"}"#, Some("")),
            (r#"{"process":"p"}"#, None),
            (r#"{"data":1}"#, None),
            (r#"["topic"]"#, None),
            ("not JSON", None),
            ("", None),
        ] {
            assert_eq!(topic(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn the_message_id_is_the_key() {
        let key = |body: &str| cast(body, Options::default()).map(|cast| cast.key);
        assert_eq!(key(r#"{"topic":"a","Id":"m1"}"#).as_deref(), Some("m1"));
        assert_eq!(key(r#"{"topic":"a","Id":"","id":"m2"}"#).as_deref(), Some("m2"));
        assert_eq!(key(r#"{"topic":"a","id":7}"#).as_deref(), Some(""));
        let long = format!(r#"{{"topic":"a","id":"{}"}}"#, "x".repeat(300));
        assert_eq!(key(&long).as_deref(), Some(""));
        assert_eq!(key(r#"{"topic":"a","id":"\ud800"}"#), None);
    }

    #[test]
    fn a_message_without_a_topic_goes_to_the_first_that_is_derived_from_it() {
        let derived = Options { derived: true, ..Options::default() };
        for (body, expected) in [
            (r#"{"Target":"t","From-Process":"f"}"#, Some("process:f")),
            (r#"{"hashpath":"h"}"#, Some("hashpath:h")),
            (r#"{"hashpath":"h","Target":"t"}"#, Some("process:t")),
            (r#"{"topic":"a","Target":"t"}"#, Some("a")),
            (r#"{"Target":7}"#, None),
        ] {
            let topic = cast(body, derived).map(|cast| cast.topic);
            assert_eq!(topic.as_deref(), expected, "{body}");
        }
    }
}
