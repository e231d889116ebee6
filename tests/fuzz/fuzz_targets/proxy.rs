//! Any bytes against `promises/proxy.rs`.

#![no_main]

#[path = "../promises/proxy.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
