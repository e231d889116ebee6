//! Topic names and filters as the standard has them (MQTT 5, section 4.7): which texts are one.
//!
//! Never maps one to a topic of the server's: that is the dialect's affair.

/// What stands before the name of a group and a filter that it shares.
pub const SHARE: &str = "$share/";

/// Whether a text is a topic's name: not empty, without wildcards.
//= mqtt-v5.0#3.3.2.1
//# The Topic Name in the PUBLISH packet MUST NOT contain wildcard characters
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#'])
}

/// Whether a text is a topic filter: wildcards stand for whole levels, and `#` for the last.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let mut levels = text.split('/').peekable();
    let mut is_good = !text.is_empty();
    while let Some(level) = levels.next() {
        is_good &= match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            other => !other.contains(['+', '#']),
        };
    }
    is_good
}

/// Group and filter of a shared subscription; `None`: it is not shared.
#[must_use]
pub fn shared(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix(SHARE).map(|rest| rest.split_once('/').unwrap_or((rest, "")))
}

/// Whether a text is the name of a group.
#[must_use]
pub fn is_group(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '+', '#'])
}

/// Whether a name has a level that no wildcard at the beginning stands for.
//= mqtt-v5.0#4.7.2
//# The Server MUST NOT match Topic Filters starting with a wildcard character (# or +) with Topic Names beginning with a $ character
#[must_use]
pub fn is_reserved(text: &str) -> bool {
    text.starts_with('$')
}
