//! UTF-8 text that arrives in pieces, validated as it arrives.
//!
//! Invariant: what has been taken is a prefix of valid UTF-8; the first byte that cannot be is refused at once, not when the message
//! ends. Never holds more of an unfinished character than three bytes.

use std::fmt;

use crate::wire::grow::extend_text;

/// The text that has arrived, and the first bytes of a character that is not complete.
#[derive(Clone, Debug, Default)]
pub struct Text {
    whole: String,
    begun: [u8; 4],
    begun_bytes: u8,
}

/// The error of a byte that cannot be part of UTF-8 where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl Text {
    /// Takes the next piece.
    ///
    /// # Errors
    /// At the first byte that cannot be part of UTF-8.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let rest = self.finish_begun(piece)?;
        match simdutf8::compat::from_utf8(rest) {
            Ok(text) => extend_text(&mut self.whole, text),
            Err(error) if error.error_len().is_some() => return Err(NotUtf8),
            Err(error) => {
                let (good, begun) = rest.split_at(error.valid_up_to());
                let good = simdutf8::basic::from_utf8(good).map_err(|_| NotUtf8)?;
                extend_text(&mut self.whole, good);
                self.begin(begun);
            }
        }
        Ok(())
    }

    /// The text, which must not end within a character.
    ///
    /// # Errors
    /// If the text ends within a character.
    pub fn finish(&self) -> Result<&str, NotUtf8> {
        if self.begun_bytes == 0 { Ok(&self.whole) } else { Err(NotUtf8) }
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.whole.len() + usize::from(self.begun_bytes)
    }

    /// Whether nothing was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the text holds, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.whole.capacity()
    }

    /// Forgets the text and keeps its memory.
    pub fn clear(&mut self) {
        self.whole.clear();
        self.begun_bytes = 0;
    }

    /// Completes the character that an earlier piece began; returns the rest of `piece`.
    fn finish_begun<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], NotUtf8> {
        let mut rest = piece;
        while self.begun_bytes > 0 {
            let Some((&byte, after)) = rest.split_first() else { break };
            rest = after;
            let count = usize::from(self.begun_bytes);
            self.begun[count] = byte;
            match std::str::from_utf8(&self.begun[..=count]) {
                Ok(character) => {
                    extend_text(&mut self.whole, character);
                    self.begun_bytes = 0;
                }
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                // Three bytes at most begin a character, so the next one still fits.
                Err(_) => self.begun_bytes += 1,
            }
        }
        Ok(rest)
    }

    fn begin(&mut self, begun: &[u8]) {
        for &byte in begun {
            self.begun[usize::from(self.begun_bytes)] = byte;
            self.begun_bytes += 1;
        }
    }
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text is not UTF-8")
    }
}

impl std::error::Error for NotUtf8 {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::Random;
    use crate::wire::testing::splits;

    fn taken(parts: &[&[u8]]) -> Result<String, NotUtf8> {
        let mut text = Text::default();
        for part in parts {
            text.push(part)?;
        }
        text.finish().map(str::to_owned)
    }

    #[test]
    fn every_split_of_good_text_is_good() {
        for good in ["", "plain", "κόσμε", "a\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\0z"] {
            splits(good.as_bytes(), |parts| assert_eq!(taken(parts).as_deref(), Ok(good)));
        }
    }

    #[test]
    fn every_split_of_bad_text_is_bad() {
        for bad in [
            &b"\x80"[..],
            b"\xbf",
            b"\xc0\xaf",
            b"\xc1\x80",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xf5\x80\x80\x80",
            b"\xfe",
            b"\xff",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"a\xc3",
            b"a\xe2\x82",
            b"a\xf0\x9f\x9a",
            b"\xc3\xc3",
            b"\xe2\x82a",
            b"\xf8\x88\x80\x80\x80",
        ] {
            splits(bad, |parts| assert_eq!(taken(parts), Err(NotUtf8), "{bad:x?}"));
        }
    }

    #[test]
    fn a_bad_byte_is_refused_when_it_comes() {
        for (good, bad) in [
            (&b"\xed"[..], 0xa0),
            (b"\xf4", 0x90),
            (b"\xe0", 0x80),
            (b"\xf0\x90", 0x7f),
            (b"ab", 0xff),
        ] {
            let mut text = Text::default();
            assert_eq!(text.push(good), Ok(()));
            assert_eq!(text.push(&[bad]), Err(NotUtf8), "{good:x?} {bad:#x}");
        }
    }

    #[test]
    fn agrees_with_the_standard_library_on_random_bytes() {
        let seed = 0x07f8;
        let mut random = Random(seed);
        for round in 0..20_000 {
            let leads = [
                0x61, 0x7f, 0x80, 0xbf, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xa0, 0x90, 0x8f,
            ];
            let count = random.below(9);
            let bytes: Vec<u8> = (0..count).map(|_| leads[random.below(leads.len())]).collect();
            let (first, second) = bytes.split_at(random.below(count + 1));
            let expected = std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| NotUtf8);
            assert_eq!(
                taken(&[first, second]),
                expected,
                "seed {seed:#x}, round {round}: {bytes:x?}"
            );
        }
    }
}
