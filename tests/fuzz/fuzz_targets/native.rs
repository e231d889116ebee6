//! Any bytes against `promises/native.rs`.

#![no_main]

#[path = "../promises/native.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
