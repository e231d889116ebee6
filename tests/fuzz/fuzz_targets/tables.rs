//! Any bytes against `promises/tables.rs`.

#![no_main]

#[path = "../promises/tables.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
