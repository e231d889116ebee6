//! Whatever is said to be a certificate is read or not, and what is read has bounded, whole names that it is known by.

use fanwire::auth::Certificate;
use fanwire::auth::NAME_KINDS;
use fanwire::limits::CERTIFICATE_NAMES_MAX;

/// Holds the reader of certificates to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let Ok(read) = Certificate::read(input) else { return };
    assert!(read.names().count() <= CERTIFICATE_NAMES_MAX);
    for name in read.names() {
        assert!(read.is(name), "{name}");
        let (kind, rest) = name.split_once(':').expect("a name has its kind in front");
        assert!(NAME_KINDS.contains(&kind), "{name}");
        assert!(!rest.chars().any(char::is_control), "{name:?}");
    }
}
