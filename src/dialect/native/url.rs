//! The subscription that a URL states: of a WebSocket its first, of an event stream the only one.

use std::sync::Arc;

use super::compact::Wording;
use super::options::parameter;
use super::options::parse_since_text;
use super::options::switch_of;
use super::playback::PlaybackOptions;
use crate::dialect::LAST_ID_PARAMETER;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Subscription;
use crate::dialect::Wish;
use crate::dialect::cursor_of;
use crate::dialect::last_id;
use crate::event::TopicPattern;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::position::Since;
use crate::wire::http::Head;

/// Reads the subscription that a WebSocket may have in its URL; `None` if there is none. `is_compact`: what its subprotocol says of the form.
///
/// # Errors
/// Which parameter is wrong.
pub(super) fn wish_if_any(head: &Head, is_compact: bool) -> Result<Option<Wish>, Refusal> {
    if head.query_pairs().any(|(name, _)| name != "token") {
        wish(head, if is_compact { Wording::Compact } else { Wording::Long }).map(Some)
    } else {
        Ok(None)
    }
}

/// Reads the subscription of a URL that must have one.
///
/// # Errors
/// Which parameter is wrong.
pub(super) fn wish(head: &Head, told: Wording) -> Result<Wish, Refusal> {
    let (mut topics, mut since, mut subscription) =
        (Vec::new(), Since::Now, Subscription::default());
    let (mut options, mut compact) = (PlaybackOptions::default(), None);
    for (name, value) in head.query_pairs() {
        match &*name {
            "topic" => topics.push(topic(topics.len(), &value)?),
            // Whose request it is has been found out before this.
            "token" => {}
            "since" => since = parse_since_text(&value)?,
            LAST_ID_PARAMETER => {}
            "compact" => compact = Some(switch_of("compact", &value)?),
            name if options.parameter(name, &value)? => {}
            name if parameter(name, &value, &mut subscription)? => {}
            _ => {
                let message = format_args!("a subscription in the URL has no parameter `{name}`");
                return Err(Refusal::of(RefusalCode::UnknownField, &name, message));
            }
        }
    }
    if topics.is_empty() || topics.len() > SUBSCRIPTION_TOPICS_MAX {
        let message = format_args!(
            "`topic` stands {} times; 1 to {SUBSCRIPTION_TOPICS_MAX} are allowed",
            topics.len()
        );
        return Err(Refusal::of(RefusalCode::BadField, "topic", message));
    }
    topics.sort_unstable();
    topics.dedup();
    if let Some(id) = last_id(head) {
        since = cursor_of(&id).map_or(Since::Lost, Since::Cursor);
    }
    subscription.check()?;
    let playback = options.playback(&since)?;
    let subscription = Subscription { id: Arc::from("0"), topics, ..subscription };
    Ok(Wish { subscription: Arc::new(told.of(subscription, compact)), since, playback })
}

fn topic(index: usize, text: &str) -> Result<TopicPattern, Refusal> {
    TopicPattern::new(text)
        .map_err(|e| Refusal::of(RefusalCode::BadTopic, format_args!("topic[{index}]"), e))
}
