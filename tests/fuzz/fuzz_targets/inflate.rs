//! Any bytes against `promises/inflate.rs`.

#![no_main]

#[path = "../promises/inflate.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
