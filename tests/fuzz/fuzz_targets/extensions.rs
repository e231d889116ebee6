#![no_main]
//! Any bytes against `promises/extensions.rs`.

#[path = "../promises/extensions.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
