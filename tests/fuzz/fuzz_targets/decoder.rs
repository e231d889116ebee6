//! Any bytes against `promises/decoder.rs`.

#![no_main]

#[path = "../promises/decoder.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
