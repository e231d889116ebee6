//! Any bytes against `promises/mqtt.rs`.

#![no_main]

#[path = "../promises/mqtt.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
