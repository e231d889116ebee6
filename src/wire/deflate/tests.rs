//! Deflating and inflating: each against the other, against known bytes, and against hostile ones.

use super::*;
use crate::wire::testing::Random;
use flate2::Decompress;
use flate2::FlushDecompress;

fn inflated(message: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    Inflater::new().inflate(message, bytes_max, |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(out)
}

fn deflated(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(parts, &mut out);
    out
}

/// Bytes that a telemetry payload could have: repetitive, with some noise.
fn payload(random: &mut Random, count: usize) -> Vec<u8> {
    let words: [&[u8]; 6] =
        [b"{\"icao24\":\"", b"\",\"altitude\":", b"38000.0", b"4b17", b",", b"\xc3\xbc"];
    let mut bytes = Vec::new();
    while bytes.len() < count {
        if random.below(4) == 0 {
            bytes.push(random.byte());
        } else {
            bytes.extend_from_slice(words[random.below(words.len())]);
        }
    }
    bytes.truncate(count);
    bytes
}

/// A client that keeps its context, as RFC 7692 has it: independent of [`Inflater`].
struct Peer(Decompress);

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "plays the client, who trusts its server")]
    fn new(window_bits: u8) -> Self {
        Self(Decompress::new_with_window_bits(false, window_bits))
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 20);
        for source in [message, &SYNC_TAIL] {
            let before = self.0.total_in();
            self.0.decompress_vec(source, &mut out, FlushDecompress::Sync).unwrap();
            assert_eq!(self.0.total_in() - before, source.len() as u64);
        }
        out
    }
}

#[test]
fn the_examples_of_the_rfc_inflate() {
    for (section, message) in [
        ("7.2.3.1", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..]),
        ("7.2.3.3", &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("7.2.3.4", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        (
            "7.2.3.5",
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ),
    ] {
        assert_eq!(inflated(message, 5).as_deref(), Ok(&b"Hello"[..]), "section {section}");
        assert_eq!(inflated(message, 4), Err(InflateError::TooLarge), "section {section}");
    }
    let without_flush_byte = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflated(&without_flush_byte, 5).as_deref(), Ok(&b"Hello"[..]));
}

#[test]
fn an_empty_message_is_one_byte_and_does_not_spin() {
    assert_eq!(deflated(&[]), [0x00]);
    assert_eq!(deflated(&[b"", b""]), [0x00]);
    assert_eq!(inflated(&[0x00], 0).as_deref(), Ok(&b""[..]));
    assert_eq!(inflated(&[], 0).as_deref(), Ok(&b""[..]));
    let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
    let mut peer = Peer::new(15);
    for text in [&b""[..], b"a", b"", b"", b"abcabcabc", b""] {
        let mut out = Vec::new();
        deflater.compress(&[text], &mut out);
        assert_eq!(peer.read(&out), text);
    }
}

#[test]
fn fresh_and_continued_messages_are_what_was_said() {
    for window_bits in WINDOW_BITS_MIN..=WINDOW_BITS_MAX {
        let seed = 0xdef1 + u64::from(window_bits);
        let mut random = Random(seed);
        for level in [0, 1, 2, 3, 6, 9] {
            let mut fresh = Deflater::new(level, window_bits);
            let mut continued = Deflater::new(level, window_bits);
            let mut peer = Peer::new(window_bits);
            for round in 0..12 {
                let count = [0, 1, 150, 1_000, 40_000, 100_000][random.below(6)];
                let text = payload(&mut random, count);
                let (first, second) = text.split_at(random.below(count + 1));
                let why =
                    format!("seed {seed:#x}, level {level}, window {window_bits}, round {round}");
                let mut out = b"kept".to_vec();
                fresh.reset();
                fresh.compress(&[first, second], &mut out);
                assert_eq!(inflated(&out[4..], count).as_ref(), Ok(&text), "{why}");
                assert!(Peer::new(window_bits).read(&out[4..]) == text, "{why}");
                assert!(out.starts_with(b"kept"), "{why}");
                out.clear();
                continued.compress(&[first, b"", second], &mut out);
                assert!(peer.read(&out) == text, "{why}");
            }
        }
    }
}

#[test]
fn a_reset_stream_needs_nothing_from_before() {
    let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
    let text = b"{\"icao24\":\"4b1805\",\"altitude\":38000}";
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    deflater.compress(&[text], &mut first);
    deflater.compress(&[text], &mut second);
    deflater.reset();
    deflater.compress(&[text], &mut third);
    assert!(second.len() < 8, "the second refers to the first: {} bytes", second.len());
    assert_eq!(first, third);
}

#[test]
fn a_stored_head_and_a_shared_body_are_one_message() {
    let seed = 0x5711;
    let mut random = Random(seed);
    for window_bits in [9, 12, 15] {
        let body = payload(&mut random, 20_000);
        let mut shared = Vec::new();
        Deflater::new(LEVEL_DEFAULT, window_bits).compress(&[&body], &mut shared);
        let mut peer = Peer::new(window_bits);
        for count in [0, 1, 37, 65_535, 65_536, 200_000] {
            let head = random.bytes(count);
            let mut message = Vec::new();
            stored_head(&head, &mut message);
            message.extend_from_slice(&shared);
            let expected = [&head[..], &body].concat();
            assert_eq!(
                inflated(&message, expected.len()).as_ref(),
                Ok(&expected),
                "seed {seed:#x}"
            );
            assert!(peer.read(&message) == expected, "seed {seed:#x}, {window_bits}, {count}");
        }
    }
}

#[test]
fn a_bomb_stops_at_the_cap() {
    let mut bomb = Vec::new();
    let zeros = vec![0; 1 << 20];
    let mut deflater = Deflater::new(9, WINDOW_BITS_MAX);
    deflater.compress(&[&zeros[..]; 256], &mut bomb);
    assert!(bomb.len() < 300_000, "256 MiB in {} bytes", bomb.len());
    let bytes_max = 1_000_000;
    let mut seen = 0;
    let found = Inflater::new().inflate(&bomb, bytes_max, |piece| {
        seen += piece.len();
        Ok::<(), InflateError>(())
    });
    assert_eq!(found, Err(InflateError::TooLarge));
    assert!(seen <= bytes_max);
}

#[test]
fn the_cap_is_exact() {
    for count in [1, 2, 1_000, INFLATE_STEP - 1, INFLATE_STEP, INFLATE_STEP + 1, 3 * INFLATE_STEP] {
        let text = vec![b'a'; count];
        let message = deflated(&[&text]);
        assert_eq!(inflated(&message, count), Ok(text));
        assert_eq!(inflated(&message, count - 1), Err(InflateError::TooLarge), "{count}");
    }
}

const INFLATE_STEP: usize = crate::limits::INFLATE_STEP_BYTES;

#[test]
fn a_sink_that_refuses_ends_it() {
    let message = deflated(&[&vec![b'a'; 100_000]]);
    let mut calls = 0;
    let found = Inflater::new().inflate(&message, 100_000, |_| {
        calls += 1;
        Err(InflateError::Corrupt)
    });
    assert_eq!((found, calls), (Err(InflateError::Corrupt), 1));
}

#[test]
fn what_is_cut_short_is_not_taken_for_whole() {
    let text = b"{\"icao24\":\"4b1805\",\"altitude\":38000,\"callsign\":\"SWR123\"}".repeat(3);
    let message = deflated(&[&text]);
    for end in 1..message.len() {
        let found = inflated(&message[..end], 1_000);
        assert!(found.as_ref() != Ok(&text.to_vec()), "{end} of {}", message.len());
        // A cut may fall between two blocks only at the very start, where nothing has been said.
        assert!(found.is_err(), "{end} of {}: {found:?}", message.len());
    }
}

#[test]
fn garbage_and_endless_streams_are_errors() {
    assert_eq!(inflated(&[0x07], 100), Err(InflateError::Corrupt));
    assert_eq!(inflated(b"not deflate at all", 100), Err(InflateError::Corrupt));
    assert_eq!(
        inflated(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x07], 100),
        Err(InflateError::Corrupt)
    );
    // A reference to before the beginning.
    assert_eq!(inflated(&[0x4a, 0x04, 0x61, 0x00], 100), Err(InflateError::Corrupt));
    let final_blocks = [0x03, 0x00].repeat(1_000);
    assert_eq!(inflated(&final_blocks, 100), Err(InflateError::TooManyStreams));
}

#[test]
fn any_bytes_get_an_answer() {
    let seed = 0x1f1a;
    let mut random = Random(seed);
    let mut inflater = Inflater::new();
    let text = payload(&mut random, 3_000);
    let model = deflated(&[&text]);
    for round in 0..5_000 {
        let mut message = if round % 2 == 0 { model.clone() } else { random.bytes(round % 64) };
        if round % 2 == 0 {
            let at = random.below(message.len());
            message[at] = random.byte();
        }
        let mut made = 0;
        let found = inflater.inflate(&message, 10_000, |piece| {
            made += piece.len();
            Ok::<(), InflateError>(())
        });
        assert!(made <= 10_000, "seed {seed:#x}, round {round}: {found:?}");
        // The next message does not notice.
        let mut again = Vec::new();
        let next = inflater.inflate(&model, 3_000, |piece| {
            again.extend_from_slice(piece);
            Ok::<(), InflateError>(())
        });
        assert!(next.is_ok() && again == text, "seed {seed:#x}, round {round}");
    }
}

#[test]
fn small_messages_share_a_window_and_shrink() {
    let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
    let (mut plain_bytes, mut deflated_bytes) = (0, 0);
    let mut random = Random(0xada5);
    for index in 0..1_024 {
        if index % 64 == 0 {
            deflater.reset();
        }
        let text = format!(
            "{{\"icao24\":\"4b{:04x}\",\"callsign\":\"SWR{}\",\"latitude\":47.{},\"longitude\":8.{},\"altitude\":{},\"velocity\":{}.5,\"heading\":{},\"on_ground\":false}}",
            random.below(500),
            random.below(97),
            random.below(10_000),
            random.below(10_000),
            random.below(12_000),
            random.below(250),
            random.below(360),
        );
        let mut out = Vec::new();
        deflater.compress(&[text.as_bytes()], &mut out);
        plain_bytes += text.len();
        deflated_bytes += out.len();
    }
    // With random digits, which cannot shrink below half, a third of each message is noise.
    assert!(deflated_bytes * 10 < plain_bytes * 4, "{deflated_bytes} of {plain_bytes}");
}
