//! Any bytes against `promises/mapping.rs`.

#![no_main]

#[path = "../promises/mapping.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
