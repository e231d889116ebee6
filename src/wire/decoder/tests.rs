//! The decoder against every rule of RFC 6455 that a client can break, in the order of the Autobahn suite's sections, each input at
//! every split; then against random conversations and random bytes.

mod held;

use super::*;
use crate::limits::INFLATED_KEPT_BYTES_MAX;
use crate::wire::deflate::Deflater;
use crate::wire::deflate::InflateError;
use crate::wire::deflate::LEVEL_DEFAULT;
use crate::wire::deflate::WINDOW_BITS_MAX;
use crate::wire::testing::Random;
use crate::wire::testing::splits;

/// What was handed out, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const BYTES_MAX: usize = 100_000;

/// A client's frame: `first` is FIN, RSV and opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn deflated(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(&[payload], &mut message);
    frame(first, &message)
}

type Heard = (Vec<Said>, Result<(), Violation>);

fn hear(parts: &[&[u8]], bytes_max: usize) -> Heard {
    let mut decoder = Decoder::new(bytes_max, true);
    let mut inbound = Inbound::default();
    let mut said = Vec::new();
    for part in parts {
        let fed = decoder.feed(&mut part.to_vec(), &mut inbound, &mut |incoming| {
            said.push(match incoming {
                Incoming::Text(text) => Said::Text(text.to_owned()),
                Incoming::Binary(bytes) => Said::Binary(bytes.to_vec()),
                Incoming::Ping(bytes) => Said::Ping(bytes.to_vec()),
                Incoming::Pong(bytes) => Said::Pong(bytes.to_vec()),
                Incoming::Close { code, reason } => Said::Close(code, reason.to_owned()),
            });
            ControlFlow::Continue(())
        });
        if fed.is_err() {
            assert!(decoder.has_ended() && decoder.is_idle());
            return (said, fed.map(drop));
        }
    }
    (said, Ok(()))
}

fn heard(frames: &[Vec<u8>]) -> Heard {
    let input = frames.concat();
    let whole = hear(&[&input], BYTES_MAX);
    // Longer inputs are cut at some places only, or the tests would take minutes.
    if input.len() <= 400 {
        splits(&input, |parts| assert_eq!(hear(parts, BYTES_MAX), whole, "{parts:x?}"));
    } else {
        for at in (0..300).chain((300..input.len()).step_by(input.len() / 50)) {
            let (first, second) = input.split_at(at);
            assert_eq!(hear(&[first, second], BYTES_MAX), whole, "cut at {at}");
        }
    }
    whole
}

#[track_caller]
fn says(frames: &[Vec<u8>], expected: &[Said]) {
    assert_eq!(heard(frames), (expected.to_vec(), Ok(())));
}

/// The frames before the last are heard, then `violation`.
#[track_caller]
fn breaks(frames: &[Vec<u8>], before: &[Said], violation: Violation, code: u16) {
    assert_eq!(heard(frames), (before.to_vec(), Err(violation)));
    assert_eq!(violation.code(), code);
    assert!(violation.to_string().len() <= 123, "a close reason has at most 123 bytes");
}

fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

#[test]
fn section_1_framing() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let long = "*".repeat(length);
        says(&[frame(0x81, long.as_bytes())], &[text(&long)]);
        let bytes = vec![0xfe; length];
        says(&[frame(0x82, &bytes)], &[Said::Binary(bytes)]);
    }
    says(
        &[frame(0x81, b"a"), frame(0x82, b"b"), frame(0x81, b"c")],
        &[text("a"), Said::Binary(b"b".to_vec()), text("c")],
    );
}

#[test]
fn section_2_pings_and_pongs() {
    says(&[frame(0x89, b"")], &[Said::Ping(vec![])]);
    says(&[frame(0x89, &[0xfe; 125])], &[Said::Ping(vec![0xfe; 125])]);
    says(&[frame(0x8a, b"unasked")], &[Said::Pong(b"unasked".to_vec())]);
    let ten: Vec<_> = (0..10).map(|count| frame(0x89, &[count])).collect();
    says(&ten, &(0..10).map(|count| Said::Ping(vec![count])).collect::<Vec<_>>());
    breaks(&[frame(0x89, &[0; 126])], &[], Violation::ControlTooLong, 1002);
    breaks(&[frame(0x8a, &[0; 126])], &[], Violation::ControlTooLong, 1002);
    breaks(&[frame(0x88, &[0; 126])], &[], Violation::ControlTooLong, 1002);
}

#[test]
fn section_3_reserved_bits() {
    for rsv in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
        for opcode in [0x1, 0x2, 0x8, 0x9, 0xa] {
            let bad = frame(0x80 | rsv | opcode, b"");
            breaks(&[frame(0x81, b"a"), bad], &[text("a")], Violation::ReservedBits, 1002);
        }
    }
    for first in [0xc8, 0xc9, 0xca] {
        breaks(&[frame(first, b"")], &[], Violation::DeflatedBitMisplaced, 1002);
    }
    breaks(&[frame(0x01, b"a"), frame(0xc0, b"b")], &[], Violation::DeflatedBitMisplaced, 1002);
    let mut decoder = Decoder::new(BYTES_MAX, false);
    let mut bytes = deflated(0xc1, b"not agreed");
    let fed = decoder.feed(&mut bytes, &mut Inbound::default(), &mut |_| ControlFlow::Continue(()));
    assert_eq!(fed, Err(Violation::ReservedBits));
}

#[test]
fn section_4_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let bad = frame(0x80 | opcode, b"x");
        breaks(&[frame(0x81, b"a"), bad], &[text("a")], Violation::BadOpcode { opcode }, 1002);
    }
}

#[test]
fn section_5_fragmentation() {
    says(&[frame(0x01, b"a"), frame(0x00, b""), frame(0x80, b"b")], &[text("ab")]);
    says(&[frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")], &[text("")]);
    says(&[frame(0x02, &[0xff]), frame(0x80, &[0xfe])], &[Said::Binary(vec![0xff, 0xfe])]);
    says(
        &[
            frame(0x01, b"a"),
            frame(0x89, b"p"),
            frame(0x00, b"b"),
            frame(0x8a, b"q"),
            frame(0x80, b"c"),
            frame(0x81, b"d"),
        ],
        &[Said::Ping(b"p".to_vec()), Said::Pong(b"q".to_vec()), text("abc"), text("d")],
    );
    says(
        &[frame(0x01, b"a"), frame(0x88, b"\x03\xe8"), frame(0x80, b"b")],
        &[Said::Close(Some(1000), String::new())],
    );
    for first in [0x08, 0x09, 0x0a] {
        breaks(&[frame(first, b"a")], &[], Violation::ControlFragmented, 1002);
    }
    for first in [0x00, 0x80] {
        breaks(&[frame(first, b"a")], &[], Violation::NothingToContinue, 1002);
        breaks(
            &[frame(0x81, b"a"), frame(first, b"b")],
            &[text("a")],
            Violation::NothingToContinue,
            1002,
        );
    }
    for first in [0x01, 0x81, 0x02, 0x82] {
        breaks(&[frame(0x01, b"a"), frame(first, b"b")], &[], Violation::MessageInterrupted, 1002);
    }
}

#[test]
fn section_6_utf8() {
    let good =
        "κόσμε \u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}";
    says(&[frame(0x81, good.as_bytes())], &[text(good)]);
    let singly: Vec<_> = good
        .bytes()
        .enumerate()
        .map(|(index, byte)| frame(if index == 0 { 0x01 } else { 0x00 }, &[byte]))
        .chain([frame(0x80, b"")])
        .collect();
    says(&singly, &[text(good)]);
    says(&[deflated(0xc1, good.as_bytes())], &[text(good)]);
    for bad in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64"[..],
        b"\xce\xba\xf4\x90\x80\x80ed",
        b"\x80",
        b"\xbf\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x9a",
        b"\xc3(",
        b"\xed\xbf\xbf",
    ] {
        breaks(&[frame(0x81, bad)], &[], Violation::TextNotUtf8, 1007);
        breaks(&[deflated(0xc1, bad)], &[], Violation::TextNotUtf8, 1007);
        let (first, second) = bad.split_at(1);
        breaks(&[frame(0x01, first), frame(0x80, second)], &[], Violation::TextNotUtf8, 1007);
        says(&[frame(0x82, bad)], &[Said::Binary(bad.to_vec())]);
    }
}

#[test]
fn section_6_4_bad_text_is_refused_before_it_is_complete() {
    let whole = frame(0x81, b"\xce\xba\xf4\x90 and a long rest that never comes");
    // Six bytes of header and mask, then up to the byte that no text can have there.
    assert_eq!(hear(&[&whole[..6 + 3]], BYTES_MAX).1, Ok(()));
    assert_eq!(hear(&[&whole[..6 + 4]], BYTES_MAX).1, Err(Violation::TextNotUtf8));
    let begun = [frame(0x01, b"good \xf0\x9f"), frame(0x00, b"\xff")].concat();
    assert_eq!(hear(&[&begun], BYTES_MAX).1, Err(Violation::TextNotUtf8));
}

#[test]
fn section_7_close() {
    says(&[frame(0x88, b"")], &[Said::Close(None, String::new())]);
    says(&[frame(0x88, b"\x03\xe8Hello")], &[Said::Close(Some(1000), "Hello".to_owned())]);
    let longest = [&b"\x03\xe8"[..], &[b'*'; 123]].concat();
    says(&[frame(0x88, &longest)], &[Said::Close(Some(1000), "*".repeat(123))]);
    let closed = [Said::Close(Some(1000), String::new())];
    says(&[frame(0x88, b"\x03\xe8"), frame(0x81, b"late"), frame(0xff, b"")], &closed);
    says(&[frame(0x88, b"\x03\xe8"), frame(0x88, b"\x03\xe8")], &closed);
    for code in [
        1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
        4000, 4999,
    ] {
        says(&[frame(0x88, &code.to_be_bytes())], &[Said::Close(Some(code), String::new())]);
    }
    for code in [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let bad = frame(0x88, &code.to_be_bytes());
        breaks(&[bad], &[], Violation::CloseCodeInvalid { code }, 1002);
    }
    breaks(&[frame(0x88, b"\x03")], &[], Violation::CloseCodeCut, 1002);
    breaks(
        &[frame(0x88, b"\x03\xe8\xce\xba\xed\xa0\x80")],
        &[],
        Violation::CloseReasonNotUtf8,
        1007,
    );
}

#[test]
fn headers_that_no_client_may_send() {
    breaks(&[b"\x81\x05Hello".to_vec()], &[], Violation::Unmasked, 1002);
    breaks(&[b"\x81\x00".to_vec()], &[], Violation::Unmasked, 1002);
    for bytes in [
        &b"\x81\xfe\x00\x05"[..],
        b"\x82\xfe\x00\x7d",
        b"\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05",
        b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff",
    ] {
        breaks(&[[bytes, &MASK, b"hello"].concat()], &[], Violation::LengthNotMinimal, 1002);
    }
    let negative = b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00".to_vec();
    breaks(&[negative], &[], Violation::LengthTooLarge, 1002);
}

#[test]
fn section_9_limits() {
    let too_large = Violation::MessageTooLarge { bytes_max: 100_000 };
    says(&[frame(0x82, &vec![7; BYTES_MAX])], &[Said::Binary(vec![7; BYTES_MAX])]);
    breaks(&[frame(0x82, &vec![7; BYTES_MAX + 1])], &[], too_large, 1009);
    breaks(
        &[frame(0x02, &vec![7; BYTES_MAX]), frame(0x00, b""), frame(0x80, b"x")],
        &[],
        too_large,
        1009,
    );
    // What is announced is refused before it comes.
    let announced = [&b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &MASK].concat();
    assert_eq!(hear(&[&announced], BYTES_MAX).1, Err(too_large));
    breaks(&[deflated(0xc2, &vec![0; BYTES_MAX + 1])], &[], too_large, 1009);
    says(&[deflated(0xc2, &vec![0; BYTES_MAX])], &[Said::Binary(vec![0; BYTES_MAX])]);
    let seed = 0x11f;
    let noise = Random(seed).bytes(BYTES_MAX);
    says(&[deflated(0xc2, &noise)], &[Said::Binary(noise)]);
}

#[test]
fn a_message_has_a_limited_number_of_frames() {
    let most = |count: u32, last: &[u8]| {
        let mut input = frame(0x01, b"a");
        for _ in 2..count {
            input.extend_from_slice(&frame(0x00, b""));
        }
        input.extend_from_slice(last);
        hear(&[&input], BYTES_MAX)
    };
    assert_eq!(most(MESSAGE_FRAMES_MAX, &frame(0x80, b"b")), (vec![text("ab")], Ok(())));
    let over = [frame(0x00, b"b"), frame(0x80, b"c")].concat();
    assert_eq!(most(MESSAGE_FRAMES_MAX, &over), (vec![], Err(Violation::TooManyFrames)));
    assert_eq!(Violation::TooManyFrames.code(), 1009);
}

#[test]
fn no_memory_is_taken_for_what_was_only_announced() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX, false);
    let mut inbound = Inbound::default();
    let mut announced = [&b"\x82\xff\x00\x00\x00\x00\x01\x00\x00\x00"[..], &MASK, b"few"].concat();
    let fed = decoder.feed(&mut announced, &mut inbound, &mut |_| ControlFlow::Continue(()));
    assert!(fed.is_ok());
    assert!(decoder.partial.as_ref().unwrap().bytes.capacity() < 64);
}

#[test]
fn section_12_deflated_messages() {
    let long = "{\"icao24\":\"4b1805\",\"altitude\":38000}".repeat(50);
    says(
        &[deflated(0xc1, long.as_bytes()), deflated(0xc1, b"again"), frame(0x81, b"plain")],
        &[text(&long), text("again"), text("plain")],
    );
    says(
        &[frame(0xc1, &[0x00]), frame(0xc1, b""), frame(0xc2, &[0x00])],
        &[text(""), text(""), Said::Binary(vec![])],
    );
    let final_block = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    says(&[frame(0xc1, &final_block)], &[text("Hello")]);
    // One message in three frames, only the first of which says that it is deflated.
    let message = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let (first, second) = message.split_at(3);
    says(
        &[frame(0x41, first), frame(0x89, b"p"), frame(0x00, second), frame(0x80, b"")],
        &[Said::Ping(b"p".to_vec()), text("Hello")],
    );
    breaks(&[frame(0xc1, b"\x07\x00")], &[], Violation::NotDeflated(InflateError::Corrupt), 1007);
    let cut = &deflated(0xc1, long.as_bytes())[6..20];
    assert!(matches!(heard(&[frame(0xc1, cut)]).1, Err(Violation::NotDeflated(_))));
}

#[test]
fn a_bomb_is_too_large_not_malformed() {
    let mut bomb = Vec::new();
    let zeros = vec![0; 1 << 20];
    Deflater::new(9, WINDOW_BITS_MAX).compress(&[&zeros[..]; 64], &mut bomb);
    let violation = hear(&[&frame(0xc2, &bomb)], BYTES_MAX).1;
    assert_eq!(violation, Err(Violation::MessageTooLarge { bytes_max: 100_000 }));
}

#[test]
fn who_pauses_after_each_message_hears_the_same() {
    let frames = [
        frame(0x81, b"a"),
        frame(0x01, b"b"),
        frame(0x89, b"ping"),
        frame(0x80, b"c"),
        deflated(0xc1, b"hello"),
        frame(0x88, b"\x03\xe8"),
        frame(0x81, b"too late"),
    ];
    let mut bytes = frames.concat();
    let (expected, _) = hear(&[&bytes], BYTES_MAX);
    let mut decoder = Decoder::new(BYTES_MAX, true);
    let mut inbound = Inbound::default();
    let (mut taken, mut heard) = (0, Vec::new());
    while taken < bytes.len() {
        let before = heard.len();
        let untouched = bytes[taken + 40.min(bytes.len() - taken)..].to_vec();
        let fed = decoder.feed(&mut bytes[taken..], &mut inbound, &mut |incoming| {
            heard.push(format!("{incoming:?}"));
            ControlFlow::Break(())
        });
        assert!(bytes.ends_with(&untouched), "what was not taken is as it came");
        taken += fed.unwrap();
        assert!(heard.len() - before <= 1, "one at a time");
    }
    assert_eq!(heard.len(), expected.len());
    assert!(decoder.has_ended());
}
