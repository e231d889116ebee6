//! Any bytes against `promises/talk.rs`.

#![no_main]

#[path = "../promises/talk.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
