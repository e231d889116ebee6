//! Any bytes against `promises/filter.rs`.

#![no_main]

#[path = "../promises/filter.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
