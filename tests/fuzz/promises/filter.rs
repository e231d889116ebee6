//! A filter is refused with a place inside the text, or means the same when it is written and read again, in both notations.

use fanwire::matcher::Filter;

/// Holds both parsers to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for read in [Filter::parse_text(text), Filter::parse_json(text)] {
        match read {
            Err(error) => assert!(error.at <= text.len(), "{error}"),
            Ok(filter) => {
                let (short, json) = (filter.to_string(), filter.to_json());
                assert_eq!(Filter::parse_text(&short).as_ref(), Ok(&filter), "{short}");
                assert_eq!(Filter::parse_json(&json).as_ref(), Ok(&filter), "{json}");
                assert_eq!(Filter::new(&filter.to_predicate()).as_ref(), Ok(&filter), "{short}");
            }
        }
    }
}
