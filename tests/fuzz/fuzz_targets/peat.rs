//! Any bytes against `promises/peat.rs`.

#![no_main]

#[path = "../promises/peat.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
