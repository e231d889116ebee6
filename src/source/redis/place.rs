//! Where we are in streams of Redis: of each the id of its last entry that is stored here, and how many it had been given by then.
//!
//! Pure. Invariant: an id that is written is read as the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use super::wire::Value;
use crate::source::Gap;
use crate::source::Resume;

/// An entry's id: milliseconds since 1970, and a number among those of the same millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    pub(super) ms: u64,
    pub(super) number: u64,
}

impl EntryId {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (ms, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

/// Where we are in one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: EntryId,
    /// How many entries the stream had ever been given up to this one; `None`: nobody knows (Redis before 7).
    pub(super) count: Option<u64>,
}

/// Where we are in each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(pub(super) BTreeMap<String, Place>);

#[derive(Deserialize, Serialize)]
struct Written {
    version: u32,
    streams: BTreeMap<String, (String, Option<u64>)>,
}

impl Places {
    pub(super) fn read(resume: &Resume) -> Option<Self> {
        let written: Written = serde_json::from_slice(&resume.0).ok()?;
        let places = written.streams.into_iter().map(|(name, (id, count))| {
            Some((name, Place { id: EntryId::parse(id.as_bytes())?, count }))
        });
        (written.version == 1).then(|| places.collect::<Option<_>>().map(Self))?
    }

    pub(super) fn write(&self) -> Resume {
        let streams = self.0.iter();
        let streams = streams.map(|(name, at)| (name.clone(), (at.id.to_string(), at.count)));
        let written = Written { version: 1, streams: streams.collect() };
        Resume(serde_json::to_vec(&written).unwrap_or_default().into())
    }
}

/// What Redis says of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) length: u64,
    /// The last id that it gave.
    pub(super) last: EntryId,
    pub(super) first: Option<EntryId>,
    /// How many entries it was ever given (Redis 7).
    pub(super) added: Option<u64>,
    /// The greatest id of those that were deleted or let go of (Redis 7).
    pub(super) deleted: Option<EntryId>,
}

impl Stream {
    /// The answer to `XINFO STREAM`: names and values in turn.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let mut stream = Self::default();
        for pair in answer.list()?.chunks_exact(2) {
            let [name, value] = pair else { continue };
            let id = || EntryId::parse(value.text()?);
            match name.text()?.as_ref() {
                b"length" => stream.length = value.number()?,
                b"last-generated-id" => stream.last = id()?,
                b"entries-added" => stream.added = value.number(),
                b"max-deleted-entry-id" => stream.deleted = id(),
                b"first-entry" => {
                    let first = value.list().and_then(|entry| entry.first()?.text());
                    stream.first = first.and_then(|id| EntryId::parse(id));
                }
                _ => {}
            }
        }
        Some(stream)
    }

    /// Where it ends.
    pub(super) const fn end(&self) -> Place {
        Place { id: self.last, count: self.added }
    }

    /// Where to go on from, and what is lost: entries that it let go of before they were read, or everything, if it is not the stream that it was.
    pub(super) fn go_on(&self, at: Place) -> (Place, Option<Gap>) {
        let is_younger = self.last < at.id
            || self.added.zip(at.count).is_some_and(|(added, count)| added < count);
        if is_younger {
            // What is in it may have been read before it lost its end, or not at all: what has a greater id than any that was read is new for certain, and the rest is told again.
            let why = "the stream has lost its end, or was made anew";
            let begin = Place {
                id: EntryId::default(),
                count: self.added.map(|added| added.saturating_sub(self.length)),
            };
            return (begin, Some(Gap { messages: 0, why: why.into() }));
        }
        let why = "the stream has let go of entries before they were read";
        let gap = |messages| Some(Gap { messages, why: why.into() });
        let nothing_older = self.first.is_none_or(|first| first > at.id);
        let lost = match (nothing_older, self.added.zip(at.count), self.deleted) {
            // What was added since, less what is still there.
            (true, Some((added, count)), _) => {
                let lost = (added - count).saturating_sub(self.length);
                gap(lost).filter(|_| lost > 0)
            }
            (_, _, Some(deleted)) if deleted > at.id => gap(0),
            // Redis before 7 does not say; an entry that is there and was read is the sign that nothing behind it is lost.
            (true, None, None) if self.last > at.id && at.id > EntryId::default() => gap(0),
            _ => None,
        };
        (at, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64) -> EntryId {
        EntryId { ms, number: 0 }
    }

    const fn stream(first: Option<u64>, last: u64, length: u64, added: Option<u64>) -> Stream {
        let first = match first {
            Some(first) => Some(id(first)),
            None => None,
        };
        Stream { length, last: id(last), first, added, deleted: None }
    }

    #[test]
    fn places_are_read_as_they_were_written() {
        let at = Place { id: EntryId { ms: 1, number: 2 }, count: Some(3) };
        let places = Places([("a".to_owned(), at), ("b".to_owned(), Place::default())].into());
        assert_eq!(Places::read(&places.write()), Some(places));
        for wrong in [
            "",
            "1",
            "{}",
            r#"{"version":2,"streams":{}}"#,
            r#"{"version":1,"streams":{"a":["x",null]}}"#,
        ] {
            assert_eq!(Places::read(&Resume(wrong.as_bytes().into())), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_let_go_of_is_counted() {
        let at = Place { id: id(5), count: Some(5) };
        // Nothing is lost: the next one is there, or there is none.
        assert_eq!(stream(Some(6), 9, 4, Some(9)).go_on(at), (at, None));
        assert_eq!(stream(Some(1), 9, 9, Some(9)).go_on(at), (at, None));
        assert_eq!(stream(None, 5, 0, Some(5)).go_on(at), (at, None));
        // The entries 6 and 7 are.
        let lost = |stream: Stream| stream.go_on(at).1.map(|gap| gap.messages);
        assert_eq!(lost(stream(Some(8), 9, 2, Some(9))), Some(2));
        assert_eq!(lost(stream(None, 9, 0, Some(9))), Some(4));
        let deleted = Stream { deleted: Some(id(7)), ..stream(Some(1), 9, 3, Some(9)) };
        assert_eq!(lost(deleted), Some(0));
        // Before Redis 7 nobody knows how many.
        let old = Place { count: None, ..at };
        assert_eq!(stream(Some(8), 9, 2, None).go_on(old).1.map(|gap| gap.messages), Some(0));
        assert_eq!(stream(Some(5), 9, 5, None).go_on(old).1, None);
    }

    #[test]
    fn a_stream_that_is_younger_than_what_was_read_is_read_from_its_first_entry() {
        let at = Place { id: id(5), count: Some(5) };
        let begin = Place { id: EntryId::default(), count: Some(0) };
        for younger in [stream(Some(1), 4, 4, Some(4)), stream(Some(7), 8, 2, Some(2))] {
            let count = Some(younger.added.unwrap() - younger.length);
            let (found, gap) = younger.go_on(at);
            assert_eq!(found, Place { count, ..begin });
            assert_eq!(gap.map(|gap| gap.messages), Some(0));
        }
    }

    #[test]
    fn what_redis_says_of_a_stream_is_read() {
        let text = |text: &'static str| Value::Text(bytes::Bytes::from_static(text.as_bytes()));
        let entry = Value::List(vec![text("3-1"), Value::List(vec![text("a"), text("b")])]);
        let pairs = [
            (text("length"), Value::Number(2)),
            (text("last-generated-id"), text("9-0")),
            (text("entries-added"), Value::Number(7)),
            (text("max-deleted-entry-id"), text("2-0")),
            (text("first-entry"), entry),
            (text("last-entry"), Value::Nothing),
        ];
        let answer = Value::List(pairs.into_iter().flat_map(<[Value; 2]>::from).collect());
        let expected = Stream {
            length: 2,
            last: id(9),
            first: Some(EntryId { ms: 3, number: 1 }),
            added: Some(7),
            deleted: Some(id(2)),
        };
        assert_eq!(Stream::read(&answer), Some(expected));
        assert_eq!(Stream::read(&Value::Nothing), None);
    }
}
