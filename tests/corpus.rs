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

#[path = "fuzz/promises/hooks.rs"]
mod hooks;

#[path = "fuzz/promises/inflate.rs"]
mod inflate;

#[path = "fuzz/promises/log_block.rs"]
mod log_block;

#[path = "fuzz/promises/mapping.rs"]
mod mapping;

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
    let targets: [(&str, Promise); 22] = [
        ("body", body::hold),
        ("certificate", certificate::hold),
        ("config", config::hold),
        ("confinement", confinement::hold),
        ("decoder", decoder::hold),
        ("extensions", extensions::hold),
        ("filter", filter::hold),
        ("head", head::hold),
        ("hooks", hooks::hold),
        ("inflate", inflate::hold),
        ("log_block", log_block::hold),
        ("mapping", mapping::hold),
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

/// Names, filters and payloads of MQTT.
const TEXTS: [&[u8]; 6] = [b"a", b"a/b", b"", "é".as_bytes(), b"$share/g/a", b"+/#"];
/// Properties of MQTT 5, of packets that may have them and of others.
const PROPERTIES: [&[u8]; 7] = [
    b"",
    b"\x01\x01",
    b"\x26\0\x01k\0\x01v",
    b"\x0b\x07",
    b"\x23\0\x05",
    b"\x11\0\0\0\x09",
    b"\x26\0\x01k\0\x01v\x26\0\x01k\0\x01w",
];

/// What clients of MQTT may say, put together and damaged by chance, a bounded part of what the fuzz target tries: our codec and another read it alike.
#[test]
fn packets_are_read_as_another_codec_reads_them() {
    let text = |text: &[u8]| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text].concat();
    let (mut random, mut read_count) = (fastrand::Rng::with_seed(16), 0);
    for _ in 0..100_000 {
        let level = 4 + u8::from(random.bool());
        let mut said = Vec::new();
        for _ in 0..1 + random.usize(..4) {
            let some = |random: &mut fastrand::Rng| text(TEXTS[random.usize(..TEXTS.len())]);
            let own = |random: &mut fastrand::Rng| match level {
                4 => Vec::new(),
                _ => {
                    let own = PROPERTIES[random.usize(..PROPERTIES.len())];
                    [&[u8::try_from(own.len()).unwrap()], own].concat()
                }
            };
            let (first, body) = match if said.is_empty() { 0 } else { random.u8(..9) } {
                0 => {
                    let flags = [0x02, 0x00, 0xc2, 0x2e, 0x04][random.usize(..5)];
                    let mut body = [text(b"MQTT"), vec![level, flags, 0, random.u8(..)]].concat();
                    body.extend([own(&mut random), some(&mut random)].concat());
                    if flags & 4 != 0 {
                        let will = [own(&mut random), some(&mut random), some(&mut random)];
                        body.extend(will.concat());
                    }
                    if flags & 0xc0 != 0 {
                        body.extend([some(&mut random), some(&mut random)].concat());
                    }
                    (0x10, body)
                }
                1..=3 => {
                    let flags = random.u8(..16);
                    let mut body = some(&mut random);
                    if flags & 6 != 0 {
                        body.extend([0, random.u8(..3)]);
                    }
                    body.extend([own(&mut random), some(&mut random)].concat());
                    (0x30 | flags, body)
                }
                4 | 5 => {
                    let mut body = [vec![0, random.u8(..3)], own(&mut random)].concat();
                    for _ in 0..random.u8(..3) {
                        body.extend([some(&mut random), vec![random.u8(..64)]].concat());
                    }
                    (0x82, body)
                }
                6 => {
                    let mut body = [vec![0, random.u8(..3)], own(&mut random)].concat();
                    (0..random.u8(..3)).for_each(|_| body.extend(some(&mut random)));
                    (0xa2, body)
                }
                7 => ([0x40, 0x50, 0x62, 0x70][random.usize(..4)], vec![0, random.u8(..3)]),
                _ => ([0xc0, 0xe0][random.usize(..2)], Vec::new()),
            };
            said.extend([&[first, u8::try_from(body.len()).unwrap()], &body[..]].concat());
        }
        if random.u8(..3) == 0 {
            let at = random.usize(..said.len());
            said[at] = random.u8(..);
        }
        read_count += mqtt::held(&said);
    }
    assert!(read_count > 50_000, "{read_count} packets were read");
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

/// What answers of hooks are made of says something: requests are stopped, narrowed and masked.
#[test]
fn the_corpus_of_hooks_is_understood() {
    let told: Vec<String> = corpus("hooks")
        .into_iter()
        .map(|path| {
            let told = hooks::told(&fs::read(path).expect("readable"));
            told.messages.into_iter().map(|message| message.text).collect()
        })
        .collect();
    for part in ["no such luck", "the hook before_read failed", "replaced", "\"name\":\"bea\""] {
        assert!(told.iter().any(|told| told.contains(part)), "{part} of {told:?}");
    }
    assert!(told.iter().any(String::is_empty), "a client that is not let in: {told:?}");
}

/// `FANWIRE_SEEDS=0..1000000` for a night.
#[test]
fn requests_are_answered_once_whatever_hooks_answer() {
    seeds::hold(0..48, |seed| {
        let inputs = corpus("hooks").into_iter().map(|path| fs::read(path).expect("readable"));
        let inputs: Vec<Vec<u8>> = inputs.collect();
        let input = mutants::mutant(&inputs, &mut random::Random::new(seed));
        // Shown only if the promise is broken.
        println!("{:?}", String::from_utf8_lossy(&input));
        hooks::hold(&input);
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
