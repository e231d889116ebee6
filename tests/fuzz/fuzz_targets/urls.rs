//! Any bytes against `promises/urls.rs`.

#![no_main]

#[path = "../promises/urls.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
