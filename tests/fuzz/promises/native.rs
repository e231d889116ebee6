//! Any text is a message of the native protocol, or is refused with a field of the message and a reason; so is any text as a `since`.

use fanwire::dialect::Subscription;
use fanwire::dialect::native::command;
use fanwire::dialect::native::parameter;
use fanwire::dialect::native::parse_since;
use fanwire::dialect::native::parse_since_text;

/// Holds the reader to it for one message.
pub(crate) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for is_compact in [false, true] {
        if let Err(malformed) = command(text, is_compact) {
            assert!(!malformed.refusal.message.is_empty(), "a refusal says why");
        }
    }
    for since in [parse_since(text), parse_since_text(text)] {
        if let Err(refusal) = since {
            assert!(!refusal.message.is_empty(), "a refusal says why");
        }
    }
    for name in ["filter", "slow", "batch", "max_rate", "fields", "leave"] {
        match parameter(name, text, &mut Subscription::default()) {
            Ok(is_known) => assert!(is_known, "{name}"),
            Err(refusal) => assert!(!refusal.message.is_empty(), "a refusal says why"),
        }
    }
}
