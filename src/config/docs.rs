//! `docs/CONFIG.md`, made from the list of keys; a test fails when it is stale.

use super::known::every;
use super::tables::TABLES;
use crate::dialect::PROTOCOLS;

const HEAD: &str = "<!-- Made from src/config and the folders of src/dialect by `UPDATE_DOCS=1 cargo test config::docs`. Do not edit. -->

# Configuration

`fanwire serve --config fanwire.toml` reads one TOML file; without it every key has its default. Whatever the command line sets wins over the
file. An unknown key, a wrong type or an impossible value stops the start, with the key, the file and the line. Nothing is read from the
environment.

On SIGHUP the file and the files that it names are read anew, and checked as at a start. If anything is wrong, nothing changes, and the log says what, with file and line. Else what may change while the server runs holds from then on, for everybody, and nobody is disconnected:
keys and everything else in `auth` (but `auth.jwks_url`), roles, types of events, limits, certificates, trusted proxies, `log`; the log names what has changed and what needs a restart. What clients that are connected were granted stays until they show a token again. Certificates are read again
when their files change, too, and a key set from `auth.jwks_url` is fetched again and again. For the rest, restart the server: its clients come back and resume where they were.

`fanwire config check FILE` says whether a server would start with a file, `fanwire config diff FILE FILE` what a second one sets otherwise and what of it needs a restart, `fanwire config explain KEY --config FILE` what a key means, what it is set to, and where.

| what the process is told | and |
| --- | --- |
| SIGTERM, SIGINT | it stops: `/readyz` is 503, nobody new is let in, new work is refused with 503, what was accepted is delivered, clients are told when to come back (`return_spread_s`) and closed with 1001, and after `drain_timeout_s` at the latest it ends. A second one ends it at once |
| SIGHUP | it reads its configuration anew, and goes on; also when its terminal goes away |

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
    page.push_str("\n## Kinds of sources\n");
    page.push_str(&super::sources::kinds_page());
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use std::path::PathBuf;

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
                .flat_map(|(_, view)| &view.listen)
                .map(|listen| listen.address.port())
                .collect();
            assert_eq!(ports, [port], "{name}");
        }
        let all = examples(&root.join("docs/dialects/mapping.md"));
        assert!(all.iter().any(|one| one.guests().all(|(_, view)| !view.listen.is_empty())));
        let blocks: usize = pages().iter().map(|page| examples(page).len()).sum();
        assert!(blocks >= 20, "the pages were not understood: {blocks}");
    }

    /// The pages for users: README, and `docs` but for its decisions.
    fn pages() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut pages = vec![root.join("README.md")];
        for folder in ["docs", "docs/dialects", "docs/sources"] {
            let files = fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().path());
            pages
                .extend(files.filter(|file| file.extension().is_some_and(|ending| ending == "md")));
        }
        pages
    }

    #[test]
    fn every_key_that_a_page_names_is_one() {
        // Files that are called like a key of a section.
        let files = ["tables.sqlite", "hooks.toml"];
        let tables: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
        let keys: BTreeSet<String> = every(PROTOCOLS).map(|key| key.name().to_owned()).collect();
        let sections: BTreeSet<&str> =
            keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
        let mut unknown = Vec::new();
        for page in pages() {
            let text = fs::read_to_string(&page).unwrap();
            for word in text.split('`').skip(1).step_by(2) {
                let word = word.split(" = ").next().unwrap_or_default();
                let is_key = word.split_once('.').is_some_and(|(section, name)| {
                    let is_name =
                        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                    sections.contains(section) && is_name && !name.is_empty()
                });
                let is_there =
                    keys.contains(word) || tables.contains(word) || files.contains(&word);
                if is_key && !is_there {
                    unknown.push(format!("{}: {word}", page.display()));
                }
            }
        }
        assert!(unknown.is_empty(), "no such key:\n{}", unknown.join("\n"));
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
