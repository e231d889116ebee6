#![no_main]
//! Any bytes against `promises/head.rs`.

#[path = "../promises/head.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
