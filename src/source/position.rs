//! How far a source has come, as it is kept with our history, and what of it is recognised after a crash.
//!
//! A position is where the far end is to be asked to go on from, once everything before is stored. It is written behind the events, so after a crash the far end says some messages again whose events are stored
//! already: each of these events carries its message's id ([`Origin`]), and those that were stored after the position was written are read back at the start. Invariant: whatever was stored after `after_us` and came
//! from this source is recognised. Pure: never reads or writes anything itself.

use std::collections::HashSet;

use super::connector::MessageId;
use super::connector::Resume;
use crate::event::Origin;
use crate::limits::SOURCE_RECOGNISED_MAX;
use crate::limits::SOURCE_RESUME_BYTES_MAX;

/// What stands before a source's name where its position is kept: no client's session is called so.
const NAME_BEGIN: &str = "source ";
/// The first byte of a position: the form that it is written in.
const FORM: u8 = 1;

/// A position as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Every event of the source that is stored and not before this position was stamped after this moment, in microseconds since 1970.
    pub after_us: u64,
    pub resume: Resume,
}

impl Position {
    /// What a source's position is called.
    #[must_use]
    pub fn name_of(source: &str) -> Box<str> {
        format!("{NAME_BEGIN}{source}").into()
    }

    /// The source whose position is called so; `None`: it is no source's.
    #[must_use]
    pub fn source_of(name: &str) -> Option<&str> {
        name.strip_prefix(NAME_BEGIN)
    }

    /// As it is written; `None`: it is too long to be.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Box<[u8]>> {
        if self.resume.0.len() > SOURCE_RESUME_BYTES_MAX {
            return None;
        }
        let mut out = vec![FORM];
        out.extend_from_slice(&self.after_us.to_le_bytes());
        out.extend_from_slice(&self.resume.0);
        Some(out.into())
    }

    /// One that was written; `None`: it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (after_us, resume) = rest.split_first_chunk()?;
        let after_us = u64::from_le_bytes(*after_us);
        (*form == FORM).then(|| Self { after_us, resume: Resume(resume.into()) })
    }
}

/// A number for a source's name, the same in every version.
#[must_use]
pub fn number_of(source: &str) -> u64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, source.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Where an event comes from: of which message of a source, and of which part of that, where it is split.
pub(super) fn origin_of(source: u64, id: &MessageId, part: Option<u32>) -> Origin {
    let mut said = id.as_bytes().to_vec();
    said.extend(part.into_iter().flat_map(u32::to_le_bytes));
    Origin { source, id: said.into() }
}

/// Events of one source that were stored after its position was, and messages of which its far end was not told that they are.
#[derive(Clone, Debug, Default)]
pub struct Recognised {
    ids: HashSet<Box<[u8]>, foldhash::fast::RandomState>,
    /// Messages, with all of their parts.
    whole: HashSet<MessageId, foldhash::fast::RandomState>,
}

impl Recognised {
    /// One was stored. Of more than `SOURCE_RECOGNISED_MAX` the others are not known; false: it is one of those.
    pub fn note(&mut self, id: &[u8]) -> bool {
        if self.ids.len() >= SOURCE_RECOGNISED_MAX {
            return self.ids.contains(id);
        }
        self.ids.insert(id.into());
        true
    }

    /// All of a message was stored, and its far end may not know: in this process, so that of more than there may be the last ones count.
    pub(super) fn note_whole(&mut self, id: &MessageId) {
        if self.whole.len() >= SOURCE_RECOGNISED_MAX {
            self.whole.clear();
        }
        self.whole.insert(id.clone());
    }

    /// Whether all of a message was stored.
    pub(super) fn has_whole(&self, id: &MessageId) -> bool {
        !self.whole.is_empty() && self.whole.contains(id)
    }

    /// Whether one was stored before.
    #[must_use]
    pub fn has(&self, origin: &Origin) -> bool {
        !self.ids.is_empty() && self.ids.contains(&origin.id)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_nothing_else_is_one() {
        let position = Position { after_us: u64::MAX - 1, resume: Resume((*b"abc").into()) };
        let bytes = position.to_bytes().unwrap();
        assert_eq!(Position::from_bytes(&bytes), Some(position.clone()));
        for cut in 0..9 {
            assert_eq!(Position::from_bytes(&bytes[..cut]), None);
        }
        assert_eq!(Position::from_bytes(&[2; 12]), None, "another form");
        let long = Resume(vec![0; SOURCE_RESUME_BYTES_MAX + 1].into());
        assert_eq!(Position { resume: long, ..position }.to_bytes(), None);
        assert_eq!(Position::source_of(&Position::name_of("x")), Some("x"));
        assert_eq!(Position::source_of(":source x"), None, "a client's");
    }

    #[test]
    fn a_sources_number_stays_what_it_is() {
        assert_eq!(number_of("orders"), 0xe408_d200_db8a_161c, "folders outlive the version");
    }

    #[test]
    fn what_was_stored_is_recognised_by_message_and_part() {
        let (one, other) = (MessageId::new(b"1"), MessageId::new(b"2"));
        let mut stored = Recognised::default();
        assert!(stored.note(&origin_of(7, &one, None).id));
        assert!(stored.note(&origin_of(7, &other, Some(1)).id));
        assert!(stored.has(&origin_of(7, &one, None)) && !stored.has(&origin_of(7, &one, Some(0))));
        assert!(
            stored.has(&origin_of(7, &other, Some(1))) && !stored.has(&origin_of(7, &other, None))
        );
        assert!(!stored.has_whole(&one));
        stored.note_whole(&one);
        assert!(stored.has_whole(&one) && !stored.has_whole(&other));
    }
}
