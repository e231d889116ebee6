//! A client's bytes mean the same messages, or the same violation after them, however they arrive.

use std::ops::ControlFlow;

use fanwire::wire::decoder::Decoder;
use fanwire::wire::decoder::Inbound;
use fanwire::wire::decoder::Incoming;
use fanwire::wire::decoder::Violation;

const BYTES_MAX: usize = 100_000;

/// Everything heard, as text that can be compared, and how it ended.
fn hear(input: &[u8], piece_bytes: usize) -> (Vec<String>, Result<(), Violation>) {
    let mut decoder = Decoder::new(BYTES_MAX, true);
    let mut inbound = Inbound::default();
    let mut heard = Vec::new();
    for piece in input.chunks(piece_bytes) {
        let fed = decoder.feed(&mut piece.to_vec(), &mut inbound, &mut |incoming| {
            if let Incoming::Text(text) = incoming {
                assert!(text.len() <= BYTES_MAX && std::str::from_utf8(text.as_bytes()).is_ok());
            }
            heard.push(format!("{incoming:?}"));
            ControlFlow::Continue(())
        });
        if fed.is_err() {
            assert!(decoder.has_ended() && decoder.is_idle());
            return (heard, fed.map(drop));
        }
    }
    (heard, Ok(()))
}

/// Holds the decoder to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let whole = hear(input, input.len().max(1));
    for piece_bytes in [1, 2, 5, 13] {
        assert_eq!(hear(input, piece_bytes), whole, "{piece_bytes} at a time");
    }
}
