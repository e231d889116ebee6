//! Any bytes against `promises/extensions.rs`.

#![no_main]

#[path = "../promises/extensions.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
