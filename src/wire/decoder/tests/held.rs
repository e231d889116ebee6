//! What a decoder holds while a message comes in part, and conversations at random.

use super::*;

#[test]
fn what_is_held_of_a_message_is_told_and_is_little_more_than_has_come() {
    for (first, piece) in [(0x01, &[b'x'; 10_000][..]), (0x02, &[7; 10_000])] {
        let mut decoder = Decoder::new(MESSAGE_BYTES_MAX, false);
        let mut inbound = Inbound::default();
        assert_eq!(decoder.held_bytes(), 0);
        for number in 1..=60 {
            let mut bytes = frame(if number == 1 { first } else { 0 }, piece);
            decoder.feed(&mut bytes, &mut inbound, &mut |_| ControlFlow::Continue(())).unwrap();
            let come = number * piece.len();
            assert_eq!(decoder.message_bytes(), come);
            let held = decoder.held_bytes();
            assert!((come..come + come / 4 + 5_000).contains(&held), "{held} for {come}");
        }
    }
}

#[test]
fn a_large_message_leaves_no_large_buffer() {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX, true);
    let mut inbound = Inbound::default();
    for first in [0xc1, 0xc2] {
        let mut bytes = deflated(first, &vec![b'x'; 8 << 20]);
        decoder.feed(&mut bytes, &mut inbound, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    assert!(inbound.text.capacity() + inbound.bytes.capacity() <= 2 * INFLATED_KEPT_BYTES_MAX);
}

#[test]
fn between_messages_a_decoder_owns_nothing() {
    assert!(size_of::<Decoder>() <= 16);
    let mut decoder = Decoder::new(BYTES_MAX, true);
    let mut inbound = Inbound::default();
    let input = [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x89, b"")].concat();
    let mut idle_count = 0;
    for byte in input {
        decoder.feed(&mut [byte], &mut inbound, &mut |_| ControlFlow::Continue(())).unwrap();
        idle_count += usize::from(decoder.is_idle());
    }
    // After the message and after the ping.
    assert_eq!(idle_count, 2);
    decoder.feed(&mut [0x81], &mut inbound, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(!decoder.is_idle());
    decoder.release(&mut inbound);
    assert!(decoder.is_idle());
}

#[test]
fn one_inflater_serves_interleaved_connections() {
    let message = deflated(0xc1, "one after the other ".repeat(20).as_bytes());
    let (first, second) = message.split_at(message.len() / 2);
    let mut inbound = Inbound::default();
    let mut decoders = [Decoder::new(BYTES_MAX, true), Decoder::new(BYTES_MAX, true)];
    let mut count = 0;
    for part in [first, second] {
        for decoder in &mut decoders {
            let fed = decoder.feed(&mut part.to_vec(), &mut inbound, &mut |incoming| {
                assert!(matches!(incoming, Incoming::Text(text) if text.len() == 400));
                count += 1;
                ControlFlow::Continue(())
            });
            assert_eq!(fed, Ok(part.len()));
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn random_conversations_are_heard_whole() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let mut input = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..random.below(12) {
            say(&mut random, &mut input, &mut expected);
        }
        let mut cuts: Vec<usize> =
            (0..random.below(9)).map(|_| random.below(input.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(input.len());
        let mut start = 0;
        let parts: Vec<&[u8]> =
            cuts.iter().map(|&end| &input[std::mem::replace(&mut start, end)..end]).collect();
        assert_eq!(hear(&parts, BYTES_MAX), (expected, Ok(())), "seed {seed}");
    }
}

/// Adds a random message, in random frames with pings between them, and what is to be heard of it.
fn say(random: &mut Random, input: &mut Vec<u8>, expected: &mut Vec<Said>) {
    let length = [0, 1, 100, 125, 126, 1_000, 66_000][random.below(7)];
    let is_text = random.below(2) == 0;
    let body = if is_text { "äb".repeat(length / 3).into_bytes() } else { random.bytes(length) };
    let is_deflated = random.below(3) == 0;
    let mut message = body.clone();
    if is_deflated {
        message.clear();
        Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(&[&body], &mut message);
    }
    let mut first = if is_text { 0x01 } else { 0x02 } | if is_deflated { 0x40 } else { 0 };
    let mut rest = &message[..];
    for _ in 0..random.below(4) {
        let (piece, after) = rest.split_at(random.below(rest.len() + 1));
        input.extend_from_slice(&frame(first, piece));
        if random.below(2) == 0 {
            let ping = random.bytes(length % 126);
            input.extend_from_slice(&frame(0x89, &ping));
            expected.push(Said::Ping(ping));
        }
        (first, rest) = (0x00, after);
    }
    input.extend_from_slice(&frame(0x80 | first, rest));
    expected.push(if is_text {
        Said::Text(String::from_utf8(body).unwrap())
    } else {
        Said::Binary(body)
    });
}

#[test]
fn any_bytes_get_an_answer_that_no_split_changes() {
    let model = [
        frame(0x01, b"ab"),
        frame(0x89, b"p"),
        frame(0x80, b"c"),
        deflated(0xc1, b"hello"),
        frame(0x88, b"\x03\xe8"),
    ]
    .concat();
    for seed in 0..3_000 {
        let mut random = Random(seed);
        let mut input = model.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len());
            match random.below(3) {
                0 => input[at] = random.byte(),
                1 => drop(input.remove(at)),
                _ => input.insert(at, random.byte()),
            }
        }
        let whole = hear(&[&input], BYTES_MAX);
        splits(&input, |parts| {
            assert_eq!(hear(parts, BYTES_MAX), whole, "seed {seed}: {input:x?}");
        });
    }
}
