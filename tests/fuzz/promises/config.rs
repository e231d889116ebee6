//! Any text is a configuration, or a mistake with the file's name in it.

use std::path::Path;

use fanwire::config::Config;

/// Holds the reader to it for one file.
pub(crate) fn hold(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(error) = Config::parse(text, Path::new("fanwire.toml")) {
        let said = error.to_string();
        assert!(said.starts_with("fanwire.toml"), "{said}");
    }
}
