//! Any bytes against `promises/confinement.rs`.

#![no_main]

#[path = "../promises/confinement.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
