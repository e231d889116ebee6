//! Any bytes against `promises/head.rs`.

#![no_main]

#[path = "../promises/head.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
