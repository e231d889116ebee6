//! What is compressed in a batch of Kafka, made whole again: gzip, Snappy (as Java's library frames it, or bare), LZ4's frames.
//!
//! Pure. Invariants: nothing becomes more than `KAFKA_BATCH_BYTES_MAX`; what is broken is said to be, never half of it given.

use std::io::Read as _;

use bytes::Bytes;

use crate::limits::KAFKA_BATCH_BYTES_MAX;

/// What Java's library of Snappy puts in front of its blocks; two numbers of four bytes follow.
const XERIAL: &[u8] = b"\x82SNAPPY\0";
/// What a frame of LZ4 begins with.
const LZ4_MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// How far back a block of LZ4 may point.
const LZ4_WINDOW: usize = 64 * 1024;

/// What was compressed in this way (KIP-110 and before).
pub(super) fn inflated(compression: u8, bytes: &Bytes) -> Result<Bytes, String> {
    match compression {
        0 => Ok(bytes.clone()),
        1 => gzip(bytes),
        2 => snappy_framed(bytes).ok_or_else(|| broken("Snappy")),
        3 => lz4(bytes).ok_or_else(|| broken("LZ4")),
        4 => Err("it is compressed with Zstandard, which is not read here: let producers use lz4, snappy or gzip".to_owned()),
        other => Err(format!("it is compressed in a way that is not known ({other})")),
    }
}

fn broken(how: &str) -> String {
    format!("what is compressed with {how} is broken, or more than {KAFKA_BATCH_BYTES_MAX} bytes")
}

fn gzip(bytes: &[u8]) -> Result<Bytes, String> {
    let mut out = Vec::new();
    let most = KAFKA_BATCH_BYTES_MAX as u64 + 1;
    let read = flate2::read::MultiGzDecoder::new(bytes).take(most).read_to_end(&mut out);
    if read.is_err() || out.len() > KAFKA_BATCH_BYTES_MAX {
        return Err(broken("gzip"));
    }
    Ok(out.into())
}

fn snappy_framed(bytes: &[u8]) -> Option<Bytes> {
    let mut out = Vec::new();
    match bytes.strip_prefix(XERIAL) {
        None => snappy(bytes, &mut out)?,
        Some(rest) => {
            let mut rest = rest.get(8..)?;
            while !rest.is_empty() {
                let (size, behind) = rest.split_first_chunk::<4>()?;
                let (block, behind) =
                    behind.split_at_checked(u32::from_be_bytes(*size) as usize)?;
                snappy(block, &mut out)?;
                rest = behind;
            }
        }
    }
    Some(out.into())
}

/// Appends one block (the format's description, 2011).
fn snappy(block: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut size, mut at) = (0_usize, 0);
    loop {
        let byte = *block.get(at)?;
        size |= usize::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if at == 5 {
            return None;
        }
    }
    let start = out.len();
    let end = start.checked_add(size).filter(|end| *end <= KAFKA_BATCH_BYTES_MAX)?;
    let mut rest = block.get(at..)?;
    while let Some((tag, behind)) = rest.split_first() {
        let little = |count: usize| {
            let bytes = behind.get(..count)?;
            Some(bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
        };
        let upper = usize::from(tag >> 2);
        let (length, back, used) = match tag & 0b11 {
            0 => {
                let extra = upper.saturating_sub(59);
                let length = if extra == 0 { upper + 1 } else { little(extra)? + 1 };
                let literal = behind.get(extra..extra + length)?;
                if out.len() + length > end {
                    return None;
                }
                out.extend(literal);
                rest = behind.get(extra + length..)?;
                continue;
            }
            1 => (4 + (upper & 0b111), (upper >> 3) << 8 | little(1)?, 1),
            2 => (upper + 1, little(2)?, 2),
            _ => (upper + 1, little(4)?, 4),
        };
        let from = out.len().checked_sub(back).filter(|from| back > 0 && *from >= start)?;
        if out.len() + length > end {
            return None;
        }
        // It may reach into what it makes.
        for index in 0..length {
            out.push(*out.get(from + index)?);
        }
        rest = behind.get(used..)?;
    }
    (out.len() == end).then_some(())
}

/// Frames of LZ4 (its frame format, 1.6), one behind the other.
fn lz4(bytes: &[u8]) -> Option<Bytes> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        rest = lz4_frame(rest, &mut out)?;
    }
    Some(out.into())
}

/// Appends one frame; what is behind it.
fn lz4_frame<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(&LZ4_MAGIC)?;
    let flags = *rest.first()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    if flags >> 6 != 1 || has(0) {
        return None;
    }
    let is_linked = !has(5);
    // Of 64 KiB, 256 KiB, 1 MiB or 4 MiB.
    let block_max = match rest.get(1)? >> 4 & 0b111 {
        size @ 4..=7 => 1 << (8 + 2 * size),
        _ => return None,
    };
    // Flags, block size, maybe the size of it all, and a checksum of these.
    let head = 3 + if has(3) { 8 } else { 0 };
    let (mut rest, start) = (rest.get(head..)?, out.len());
    loop {
        let (size, behind) = rest.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size);
        if size == 0 {
            return behind.get(if has(2) { 4 } else { 0 }..);
        }
        let (block, behind) = behind.split_at_checked((size & 0x7fff_ffff) as usize)?;
        if size & 0x8000_0000 != 0 {
            if out.len() + block.len() > KAFKA_BATCH_BYTES_MAX {
                return None;
            }
            out.extend(block);
        } else {
            let from = if is_linked { start } else { out.len() };
            lz4_block(block, (from, block_max), out)?;
        }
        rest = behind.get(if has(4) { 4 } else { 0 }..)?;
    }
}

/// Appends one block of so many bytes at most, which may point back to what was made since `start`.
fn lz4_block(block: &[u8], (start, block_max): (usize, usize), out: &mut Vec<u8>) -> Option<()> {
    let most = block_max.min(KAFKA_BATCH_BYTES_MAX.checked_sub(out.len())?);
    let window = out.get(start.max(out.len().saturating_sub(LZ4_WINDOW))..)?;
    let made = match window {
        [] => lz4_flex::block::decompress(block, most),
        window => lz4_flex::block::decompress_with_dict(block, most, window),
    };
    out.extend(made.ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text() -> Vec<u8> {
        (0..20_000).flat_map(|number: u32| format!("{{\"n\":{}}}", number % 97).into_bytes()).collect()
    }

    #[test]
    fn gzip_comes_back() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text()).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        assert_eq!(inflated(1, &packed).unwrap(), text());
        assert!(inflated(1, &packed.slice(..packed.len() / 2)).is_err());
        assert!(inflated(1, &Bytes::from_static(b"garbage")).is_err());
    }

    #[test]
    fn snappy_comes_back_bare_and_framed() {
        // Literal "abcd", a copy of it that reaches into itself, and a literal with a length of its own.
        let mut bare = vec![4 + 10 + 61, 3 << 2];
        bare.extend(b"abcd");
        bare.extend([(9 << 2) | 2, 4, 0]);
        bare.extend([60 << 2, 60]);
        bare.extend([b'z'; 61]);
        let expected = [b"abcdabcdabcdab".to_vec(), vec![b'z'; 61]].concat();
        assert_eq!(inflated(2, &Bytes::from(bare.clone())).unwrap(), expected);
        let mut framed = [XERIAL, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for _ in 0..2 {
            framed.extend(u32::try_from(bare.len()).unwrap().to_be_bytes());
            framed.extend(&bare);
        }
        assert_eq!(inflated(2, &Bytes::from(framed)).unwrap(), expected.repeat(2));
        for count in 0..bare.len() {
            let cut = Bytes::copy_from_slice(bare.get(..count).unwrap());
            assert!(inflated(2, &cut).is_err(), "{count}");
        }
        // Beyond what was made, and more than there may be.
        for wrong in [&[8, 2, 9, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0], &[0xff; 9]] {
            assert!(inflated(2, &Bytes::copy_from_slice(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lz4_comes_back_of_blocks_alone_linked_and_bare() {
        let text = text();
        let (first, second) = text.split_at(60_000);
        let frame = |is_linked: bool| {
            let mut frame = LZ4_MAGIC.to_vec();
            frame.extend([0x40 | u8::from(!is_linked) << 5, 0x40, 0]);
            let blocks = match is_linked {
                false => [lz4_flex::block::compress(first), lz4_flex::block::compress(second)],
                true => [
                    lz4_flex::block::compress(first),
                    lz4_flex::block::compress_with_dict(second, first),
                ],
            };
            for block in blocks {
                frame.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
                frame.extend(block);
            }
            frame.extend(4_u32.wrapping_add(0x8000_0000).to_le_bytes());
            frame.extend(b"bare");
            frame.extend([0; 4]);
            frame
        };
        let expected = [&text[..], b"bare"].concat();
        for is_linked in [false, true] {
            let frame = frame(is_linked);
            assert_eq!(inflated(3, &Bytes::from(frame.clone())).unwrap(), expected);
            let cut = Bytes::copy_from_slice(frame.get(..frame.len() - 5).unwrap());
            assert!(inflated(3, &cut).is_err());
        }
        assert!(inflated(3, &Bytes::from_static(b"garbage")).is_err());
        assert!(inflated(4, &Bytes::new()).is_err());
        assert!(inflated(9, &Bytes::new()).is_err());
    }
}
