//! A chunked body is the same bytes, or the same refusal, however it arrives.

use fanwire::wire::http::BodyDecoder;
use fanwire::wire::http::Framing;
use fanwire::wire::http::HttpError;

type Read = Result<(Vec<u8>, bool, usize), HttpError>;

/// The body, whether it ended, and how much of the input it took.
fn read(input: &[u8], piece_bytes: usize) -> Read {
    let mut decoder = BodyDecoder::new(Framing::Chunked, 10_000)?;
    let mut body = Vec::new();
    let mut used = 0;
    for piece in input.chunks(piece_bytes) {
        let mut rest = piece;
        while !rest.is_empty() && !decoder.is_done() {
            let decoded = decoder.decode(rest)?;
            assert!(decoded.consumed > 0, "each call takes something");
            body.extend_from_slice(&rest[decoded.data.clone()]);
            rest = &rest[decoded.consumed..];
            used += decoded.consumed;
        }
    }
    assert!(body.len() <= 10_000);
    Ok((body, decoder.is_done(), used))
}

/// Holds the decoder to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let whole = read(input, input.len().max(1));
    for piece_bytes in [1, 2, 3, 7] {
        assert_eq!(read(input, piece_bytes), whole, "{piece_bytes} at a time");
    }
}
