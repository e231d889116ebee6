//! Any text is a message of the native protocol, or is refused with a field of the message and a reason; so is any text as a `since`.

use fanwire::dialect::DialectId;
use fanwire::dialect::native::parse_since;

/// Holds the reader to it for one message.
pub(crate) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(malformed) = DialectId::Native.speaker().decode(text) {
        assert!(!malformed.refusal.message.is_empty(), "a refusal says why");
    }
    if let Err(refusal) = parse_since(text) {
        assert!(!refusal.message.is_empty(), "a refusal says why");
    }
}
