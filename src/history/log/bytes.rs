//! Numbers and texts as they lie in the log: little-endian, varints of seven bits a byte, and texts behind their length.
//!
//! Invariants: each number has one form, the shortest; a reader never reads past what it was handed, and never allocates by a length that it has
//! only been told. Checksums are CRC-32C (Castagnoli), begun from the folder's salt.

/// Puts a number as seven bits a byte, the lowest first; the highest bit says that more follow.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are left")]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Puts a run of bytes behind its length.
pub fn put_run(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes that are taken from the front; every answer is `None` where they do not hold what was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a>(pub &'a [u8]);

impl<'a> Taker<'a> {
    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// A varint in its shortest form.
    pub fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                return None;
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return (place == 0 || byte != 0).then_some(number);
            }
        }
        None
    }

    /// A run of bytes behind its length, of at most so many.
    pub fn run(&mut self, bytes_max: usize) -> Option<&'a [u8]> {
        let count = usize::try_from(self.varint()?).ok()?;
        if count > bytes_max {
            return None;
        }
        self.bytes(count)
    }

    /// A text behind its length.
    pub fn text(&mut self, bytes_max: usize) -> Option<&'a str> {
        std::str::from_utf8(self.run(bytes_max)?).ok()
    }
}

/// The checksum of bytes in a folder with this salt.
pub(super) fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(salt, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_have_one_form() {
        for number in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            let mut taker = Taker(&out);
            assert_eq!((taker.varint(), taker.is_empty()), (Some(number), true), "{number}");
            for cut in 0..out.len() {
                assert_eq!(Taker(&out[..cut]).varint(), None, "{number} cut to {cut}");
            }
        }
        for wrong in [&[0x80, 0x00][..], &[0xff; 10], &[0xff, 0xff, 0x80, 0x00]] {
            assert_eq!(Taker(wrong).varint(), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_length_is_believed_only_as_far_as_there_are_bytes() {
        let mut out = Vec::new();
        put_run(&mut out, b"fleet");
        assert_eq!(Taker(&out).text(5), Some("fleet"));
        assert_eq!(Taker(&out).text(4), None);
        assert_eq!(Taker(&out[..4]).text(5), None);
        assert_eq!(Taker(&[0xff, 0xff, 0xff, 0xff, 0x0f]).run(usize::MAX), None);
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4: 32 bytes of zeros; and the usual check value.
        assert_eq!(checksum(0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(0, b"123456789"), 0xe306_9283);
        assert_ne!(checksum(1, b"123456789"), 0xe306_9283);
    }
}
