//! Any bytes against `promises/body.rs`.

#![no_main]

#[path = "../promises/body.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
