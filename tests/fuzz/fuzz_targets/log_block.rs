//! Any bytes against `promises/log_block.rs`.

#![no_main]

#[path = "../promises/log_block.rs"]
mod promise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| promise::hold(input));
