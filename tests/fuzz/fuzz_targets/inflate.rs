#![no_main]
//! Any bytes against `promises/inflate.rs`.

#[path = "../promises/inflate.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
