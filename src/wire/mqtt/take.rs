//! The standard's data types: numbers, strings, binary data (MQTT 5, section 1.5).
//!
//! Invariant: what is taken is checked; what is left is behind it.

use super::fault::Fault;

/// The bytes of a packet that have not been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker<'a>(pub(super) &'a [u8]);

const SHORT: Fault = Fault::malformed("the packet ends within a field");

impl<'a> Taker<'a> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Fault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn two(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    //= mqtt-v5.0#1.5.5
    //# The encoded value MUST use the minimum number of bytes necessary to represent the value
    pub(super) fn varint(&mut self) -> Result<u32, Fault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return match byte == 0 && shift > 0 {
                    true => {
                        Err(Fault::malformed("a number is written with more bytes than it needs"))
                    }
                    false => Ok(value),
                };
            }
        }
        Err(Fault::malformed("a number has more than four bytes"))
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let count = self.two()?;
        self.bytes(usize::from(count))
    }

    //= mqtt-v5.0#1.5.4
    //# A UTF-8 Encoded String MUST NOT include an encoding of the null character U+0000.
    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(self.binary()?)
            .map_err(|_| Fault::malformed("a string is not UTF-8"))?;
        match text.contains('\0') {
            true => Err(Fault::malformed("a string holds U+0000")),
            false => Ok(text),
        }
    }

    /// A packet identifier.
    pub(super) fn id(&mut self) -> Result<u16, Fault> {
        match self.two()? {
            0 => Err(Fault::protocol("a packet identifier is 0")),
            id => Ok(id),
        }
    }
}

/// Appends a number of one to four bytes.
///
/// # Panics
/// If it has more than 28 bits.
pub(super) fn put_varint(value: usize, out: &mut Vec<u8>) {
    assert!(value < 1 << 28, "a packet is bounded far below");
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7f).expect("it has seven bits");
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Bytes of a number as a variable byte integer.
pub(super) const fn varint_bytes(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Appends binary data or a string; what is longer than its length can say is cut.
pub(super) fn put_binary(bytes: &[u8], out: &mut Vec<u8>) {
    let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&bytes[..usize::from(count)]);
}
