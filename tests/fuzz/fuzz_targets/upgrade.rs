//! Any bytes against `promises/upgrade.rs`.

#![no_main]

#[path = "../promises/upgrade.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
