//! Growth of the buffers that hold what clients send: by a share of the bytes held, and not to twice as many.
//!
//! Invariant: a buffer that only grows here has at most `INPUT_GROWTH_SHARE`-th more room than bytes, and `INPUT_GROWTH_BYTES_MIN`. Memory follows
//! bytes that have come, never a length that was announced.

use crate::limits::INPUT_GROWTH_BYTES_MIN;
use crate::limits::INPUT_GROWTH_SHARE;

/// Adds bytes at the end of a buffer.
pub fn extend(buffer: &mut Vec<u8>, bytes: &[u8]) {
    if let Some(room) = room_for(buffer.len(), buffer.capacity(), bytes.len()) {
        buffer.reserve_exact(room);
    }
    buffer.extend_from_slice(bytes);
}

/// Adds text at the end of a buffer.
pub fn extend_text(buffer: &mut String, text: &str) {
    if let Some(room) = room_for(buffer.len(), buffer.capacity(), text.len()) {
        buffer.reserve_exact(room);
    }
    buffer.push_str(text);
}

/// Bytes of room to add to a buffer that has none for the bytes that come.
fn room_for(held: usize, capacity: usize, more: usize) -> Option<usize> {
    // Of most messages the first piece is the whole.
    let spare = if held == 0 { 0 } else { (held / INPUT_GROWTH_SHARE).max(INPUT_GROWTH_BYTES_MIN) };
    (capacity - held < more).then(|| more.max(spare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_never_has_much_more_room_than_it_holds() {
        for piece_bytes in [1, 7, 1000, 65_536] {
            let (mut bytes, mut text) = (Vec::new(), String::new());
            let piece = "x".repeat(piece_bytes);
            let mut moves = 0;
            while bytes.len() < 1 << 20 {
                let before = bytes.capacity();
                extend(&mut bytes, piece.as_bytes());
                extend_text(&mut text, &piece);
                moves += u32::from(bytes.capacity() != before);
                for (length, capacity) in
                    [(bytes.len(), bytes.capacity()), (text.len(), text.capacity())]
                {
                    let most = length + length / INPUT_GROWTH_SHARE + INPUT_GROWTH_BYTES_MIN;
                    assert!(capacity <= most, "{length} bytes in {capacity}");
                }
            }
            assert!(moves < 64, "{moves} moves for pieces of {piece_bytes}");
        }
    }

    #[test]
    fn what_comes_at_once_takes_what_it_is() {
        let mut bytes = Vec::new();
        extend(&mut bytes, &[1; 100]);
        assert_eq!(bytes.capacity(), 100);
    }
}
