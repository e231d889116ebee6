//! Any bytes against `promises/shard.rs`.

#![no_main]

#[path = "../promises/shard.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
