//! The dialect's transcripts, on one shard and on three.

use std::fs;
use std::path::Path;

use crate::scene;
use crate::support::tables;
use crate::support::transcript::Scenes;
use crate::support::world::roomy;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resolvespec");
    let schema = tables::schema(scene::TABLES);
    let mut scenarios = 0;
    for entry in fs::read_dir(&folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be read").path();
        let text = fs::read_to_string(&path).expect("it can be read");
        let name = format!("resolvespec/{}", path.file_name().unwrap().to_string_lossy());
        for shard_count in [1, 3] {
            let settings = tables::with_tables(roomy(), &schema, shard_count);
            let run = Scenes { settings, set: &scene::set, join: &tables::join };
            scenarios += run.run(&name, &text, shard_count);
        }
    }
    assert!(scenarios > 20, "{scenarios}");
}
