//! Every input that a fuzz target starts from, or once stumbled over, keeps its promise.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

#[path = "fuzz/promises/body.rs"]
mod body;

#[path = "fuzz/promises/certificate.rs"]
mod certificate;

#[path = "fuzz/promises/config.rs"]
mod config;

#[path = "fuzz/promises/confinement.rs"]
mod confinement;

#[path = "fuzz/promises/decoder.rs"]
mod decoder;

#[path = "fuzz/promises/extensions.rs"]
mod extensions;

#[path = "fuzz/promises/filter.rs"]
mod filter;

#[path = "fuzz/promises/head.rs"]
mod head;

#[path = "fuzz/promises/inflate.rs"]
mod inflate;

#[path = "fuzz/promises/log_block.rs"]
mod log_block;

#[path = "fuzz/promises/mqtt.rs"]
mod mqtt;

#[path = "fuzz/promises/native.rs"]
mod native;

#[path = "fuzz/promises/payload.rs"]
mod payload;

#[path = "fuzz/promises/peat.rs"]
mod peat;

#[path = "fuzz/promises/proxy.rs"]
mod proxy;

#[path = "fuzz/promises/tables.rs"]
mod tables;

#[path = "fuzz/promises/talk.rs"]
mod talk;

#[path = "fuzz/promises/urls.rs"]
mod urls;

#[path = "fuzz/promises/shard.rs"]
mod shard;

#[path = "fuzz/promises/upgrade.rs"]
mod upgrade;

#[expect(dead_code, unreachable_pub, reason = "a part of it is used")]
#[expect(clippy::cast_possible_truncation, reason = "numbers here are small")]
#[path = "support/world.rs"]
mod world;

#[path = "fuzz/mutants.rs"]
mod mutants;

#[expect(unreachable_pub, reason = "it is shared")]
#[expect(clippy::cast_possible_truncation, reason = "numbers here are small")]
#[path = "support/random.rs"]
mod random;

#[expect(unreachable_pub, reason = "it is shared")]
#[path = "support/seeds.rs"]
mod seeds;

/// Panics if an input breaks what a target promises.
type Promise = fn(&[u8]);

#[test]
fn every_corpus_keeps_its_promise() {
    let targets: [(&str, Promise); 20] = [
        ("body", body::hold),
        ("certificate", certificate::hold),
        ("config", config::hold),
        ("confinement", confinement::hold),
        ("decoder", decoder::hold),
        ("extensions", extensions::hold),
        ("filter", filter::hold),
        ("head", head::hold),
        ("inflate", inflate::hold),
        ("log_block", log_block::hold),
        ("mqtt", mqtt::hold),
        ("native", native::hold),
        ("payload", payload::hold),
        ("peat", peat::hold),
        ("proxy", proxy::hold),
        ("tables", tables::hold),
        ("talk", talk::hold),
        ("shard", shard::hold),
        ("upgrade", upgrade::hold),
        ("urls", urls::hold),
    ];
    for (target, hold) in targets {
        let paths = corpus(target);
        assert!(!paths.is_empty(), "{target} has no corpus");
        for path in paths {
            // Shown only if the promise is broken.
            println!("{}", path.display());
            hold(&fs::read(&path).expect("readable"));
        }
    }
}

/// What changes are made of says something: rows are told live, read and replayed.
#[test]
fn the_corpus_of_tables_is_understood() {
    let input = |name: &str| {
        let path = corpus("tables").into_iter().find(|path| path.ends_with(name));
        fs::read(path.unwrap()).unwrap()
    };
    let [all, confined, _] = tables::told_in_memory(&input("resolvespec"));
    for part in ["\"type\":\"notification\"", "\"row_number\":", "\"posts\":[", "\"primary_key\":"]
    {
        assert!(all.contains(part), "{part} of {all}");
    }
    assert!(confined.contains("\"name\":\"ada\"") && confined.contains("no rows"), "{confined}");
    let [_, _, dashboard] = tables::told_in_memory(&input("rtbdp"));
    for part in ["\"row\":{", "{\"replayed\":2}", "{\"replayed\":4}"] {
        assert!(dashboard.contains(part), "{part} of {dashboard}");
    }
}

/// `FANWIRE_SEEDS=0..1000000` for a night.
#[test]
fn tables_keep_their_promise_whatever_clients_say() {
    seeds::hold(0..48, |seed| {
        let inputs = corpus("tables").into_iter().map(|path| fs::read(path).expect("readable"));
        let inputs: Vec<Vec<u8>> = inputs.collect();
        let input = mutants::mutant(&inputs, &mut random::Random::new(seed));
        // Shown only if the promise is broken.
        println!("{:?}", String::from_utf8_lossy(&input));
        tables::hold(&input);
    });
}

/// The corpus of one target, in the order of the file names.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).expect("each target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}
