//! Any bytes against `promises/config.rs`.

#![no_main]

#[path = "../promises/config.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
