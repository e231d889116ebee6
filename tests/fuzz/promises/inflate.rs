//! Inflating ends, stays under its cap, and leaves nothing behind for the next message.

use fanwire::wire::deflate::InflateError;
use fanwire::wire::deflate::Inflater;

const BYTES_MAX: usize = 100_000;

fn inflate(inflater: &mut Inflater, message: &[u8]) -> (Vec<u8>, Result<(), InflateError>) {
    let mut out = Vec::new();
    let ended = inflater.inflate(message, BYTES_MAX, |piece| {
        out.extend_from_slice(piece);
        Ok(())
    });
    assert!(out.len() <= BYTES_MAX);
    (out, ended)
}

/// Holds the inflater to it for one message.
pub(crate) fn hold(input: &[u8]) {
    let mut inflater = Inflater::new();
    let first = inflate(&mut inflater, input);
    assert_eq!(inflate(&mut inflater, input), first);
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&mut inflater, &hello), (b"Hello".to_vec(), Ok(())));
}
