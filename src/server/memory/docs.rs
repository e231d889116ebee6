//! The table of the sum in `docs/SECURITY.md`; a test fails when it is stale.

use std::fs;
use std::path::Path;

use super::Sizes;
use super::connections_default;
use super::lines::LINES;
use crate::config::Config;

const BEGIN: &str =
    "<!-- Made from src/server/memory/lines.rs by `UPDATE_DOCS=1 cargo test memory::docs`. -->\n";
const END: &str = "<!-- End of what is made. -->\n";

/// The machine that the table is for: shards, and bytes.
const EXAMPLE: (u64, u64) = (2, 1 << 30);

fn table() -> String {
    let (shards, available) = EXAMPLE;
    let config = Config::default();
    let connections = connections_default(&config, shards, available);
    let sizes = Sizes::new(&config, connections, shards, available);
    let mut table =
        "\n| what is held | at most, of 1 GiB and two shards | key | at the bound |\n| --- | --- | --- | --- |\n".to_owned();
    for line in &LINES {
        let mib = sizes.of(line.part).div_ceil(1 << 20);
        table.push_str(&format!(
            "| {} | {mib} MiB | `{}` | {} |\n",
            line.name, line.key, line.at_limit
        ));
    }
    table.push_str(&format!("| all | {} MiB | | |\n\n", sizes.total().div_ceil(1 << 20)));
    table
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test asks for the file to be written"
)]
fn the_table_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var("UPDATE_DOCS").is_ok() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert!(written == table(), "docs/SECURITY.md is stale: UPDATE_DOCS=1 cargo test memory::docs");
}
