//! Any bytes against `promises/certificate.rs`.

#![no_main]

#[path = "../promises/certificate.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
