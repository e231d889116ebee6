//! How long a packet is: its first byte, and the remaining length in one to four.

use super::fault::Fault;
use super::reason::Reason;
use super::take::put_varint;
use crate::limits::MQTT_HEADER_BYTES_MAX;

/// Bytes of the packet that begins here, header and all; `None`: too few are there to tell. Known as soon as the header has come.
///
/// # Errors
/// If no packet begins so, or it is longer than `bytes_max`.
pub fn packet_bytes(bytes: &[u8], bytes_max: usize) -> Result<Option<usize>, Fault> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    if first >> 4 == 0 {
        return Err(Fault::malformed("a packet has type 0, which is reserved"));
    }
    let mut remaining = 0;
    for (index, byte) in rest.iter().take(MQTT_HEADER_BYTES_MAX - 1).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let whole = index + 2 + remaining;
            return match whole <= bytes_max {
                true => Ok(Some(whole)),
                false => Err(TOO_LARGE),
            };
        }
    }
    //= mqtt-v5.0#1.5.5
    //# The maximum number of bytes in the Variable Byte Integer field is four.
    match rest.len() >= MQTT_HEADER_BYTES_MAX - 1 {
        true => Err(Fault::malformed("the remaining length has more than four bytes")),
        false => Ok(None),
    }
}

const TOO_LARGE: Fault = Fault::of(
    Reason::PACKET_TOO_LARGE,
    "the packet is larger than this server takes (message_bytes_max)",
);

/// Appends a packet's header: kind and flags, and how many bytes follow.
pub fn put_header(first: u8, remaining: usize, out: &mut Vec<u8>) {
    out.push(first);
    put_varint(remaining, out);
}
