//! Any bytes against `promises/payload.rs`.

#![no_main]

#[path = "../promises/payload.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
