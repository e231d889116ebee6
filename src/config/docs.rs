//! `docs/CONFIG.md`, made from the list of keys; a test fails when it is stale.

use super::keys::Key;
use super::keys::Takes;
use super::keys::every;
use super::tables::TABLES;

const HEAD: &str = "<!-- Made from src/config/keys.rs by `UPDATE_DOCS=1 cargo test config::docs`. Do not edit. -->

# Configuration

`fanwire serve --config fanwire.toml` reads one TOML file; without it every key has its default. Whatever the command line sets wins over the
file. An unknown key, a wrong type or an impossible value stops the start, with the key, the file and the line. Nothing is read from the
environment.

The whole file, with every key at its default:

```toml
";

/// The page about every key.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut table = "";
    for key in every() {
        let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if section != table {
            table = section;
            page.push_str(&format!("\n[{section}]\n"));
        }
        page.push_str(&format!("{name} = {}\n", key.default));
    }
    page.push_str("```\n\n| key | values | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in every() {
        page.push_str(&format!(
            "| `{}` | {} | `{}` | {} |\n",
            key.name,
            values(key),
            key.default,
            key.doc
        ));
    }
    page.push_str("\n## Tables with names of your own\n");
    for table in TABLES {
        page.push_str(&format!("\n{}\n\n```toml\n{}```\n", table.doc, table.example));
    }
    page
}

fn values(key: &Key) -> String {
    match &key.takes {
        Takes::Address(_) | Takes::AddressOrNone(_) => key.unit.to_owned(),
        Takes::Text { .. } => "a string".to_owned(),
        Takes::List(_) => "a list of strings".to_owned(),
        Takes::Switch(_) => "`true`, `false`".to_owned(),
        Takes::Number { min, max, .. } => format!("{min} to {max} {}", key.unit),
        Takes::Choice { of, .. } => {
            of.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the test asks for the file to be written"
    )]
    fn the_page_is_not_stale() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
        if std::env::var("UPDATE_DOCS").is_ok() {
            fs::write(&path, page()).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/CONFIG.md is stale: UPDATE_DOCS=1 cargo test config::docs"
        );
    }
}
