//! `docs/CONFIG.md`, made from the list of keys; a test fails when it is stale.

use super::known::every;
use super::tables::TABLES;
use crate::dialect::PROTOCOLS;

const HEAD: &str = "<!-- Made from src/config and the folders of src/dialect by `UPDATE_DOCS=1 cargo test config::docs`. Do not edit. -->

# Configuration

`fanwire serve --config fanwire.toml` reads one TOML file; without it every key has its default. Whatever the command line sets wins over the
file. An unknown key, a wrong type or an impossible value stops the start, with the key, the file and the line. Nothing is read from the
environment.

The file, and the files that it names, are read once, when the server starts (but certificates are read again when their files change, and a key set from `auth.jwks_url` is fetched again and again). To change a setting or a key, restart the server: its clients come back
and resume where they were.

| what the process is told | and |
| --- | --- |
| SIGTERM, SIGINT | it stops: `/readyz` is 503, nobody new is let in, what was accepted is delivered, clients are closed with 1001, and after `drain_timeout_s` at the latest it ends. A second one ends it at once |
| SIGHUP | it says in the log that nothing is read anew, and goes on; also when its terminal goes away |

It ends with 0 if it was told to stop, 2 if the arguments or the configuration are at fault, 1 if what they ask for cannot be done here (a port or a folder that is taken), and 74 if the disk of durable topics has failed: then it is to be started again. Standard error has the reason, and the log.

The whole file, with every key at its default:

```toml
";

/// The page about every key.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut table = String::new();
    for key in every(PROTOCOLS) {
        let (section, name) = key.name().split_once('.').unwrap_or_else(|| ("", key.name()));
        if section != table {
            section.clone_into(&mut table);
            page.push_str(&format!("\n[{section}]\n"));
        }
        page.push_str(&format!("{name} = {}\n", key.default()));
    }
    page.push_str("```\n\n| key | values | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in every(PROTOCOLS) {
        page.push_str(&format!(
            "| `{}` | {} | `{}` | {} |\n",
            key.name(),
            key.values(),
            key.default(),
            key.doc()
        ));
    }
    page.push_str("\n## Tables with names of your own\n");
    for table in TABLES {
        page.push_str(&format!("\n{}\n\n```toml\n{}```\n", table.doc, table.example));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What stands in blocks of TOML on a page.
    fn examples(page: &Path) -> Vec<Config> {
        let text = fs::read_to_string(page).unwrap();
        let blocks = text.split("```toml\n").skip(1);
        let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0);
        blocks.map(|block| Config::parse(block, page).unwrap()).collect()
    }

    #[test]
    fn what_pages_set_can_be_set_and_each_dialect_has_the_port_of_its_origin() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, port) in [("peat", 50_051), ("hyperbeam", 8734), ("provisioning", 9090)] {
            let examples = examples(&root.join(format!("docs/dialects/{name}.md")));
            let ports: Vec<u16> = examples
                .iter()
                .flat_map(Config::guests)
                .filter(|(key, _)| *key == name)
                .filter_map(|(_, view)| view.listen)
                .map(|address| address.port())
                .collect();
            assert_eq!(ports, [port], "{name}");
        }
        let all = examples(&root.join("docs/dialects/mapping.md"));
        assert!(all.iter().any(|one| one.guests().all(|(_, view)| view.listen.is_some())));
        for page in ["docs/SECURITY.md", "docs/CONFIG.md", "docs/dialects/native.md", "README.md"] {
            examples(&root.join(page));
        }
    }

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
