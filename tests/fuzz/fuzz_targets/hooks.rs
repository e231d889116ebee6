//! Any bytes against `promises/hooks.rs`.

#![no_main]

#[expect(dead_code, reason = "a part of it is used")]
#[path = "../../support/world.rs"]
mod world;

#[expect(dead_code, reason = "a part of it is used")]
#[path = "../promises/tables.rs"]
mod tables;

#[path = "../promises/hooks.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
