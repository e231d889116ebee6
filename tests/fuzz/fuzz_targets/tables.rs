//! Any bytes against `promises/tables.rs`.

#![no_main]

#[expect(dead_code, reason = "a part of it is used")]
#[path = "../../support/world.rs"]
mod world;

#[path = "../promises/tables.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
