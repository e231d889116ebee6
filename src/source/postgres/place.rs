//! Where we are in an outbox: the last row that is stored here, and what was lost since, by what the table says of itself.
//!
//! Pure. Invariant: a place that is written is read as the same.

use crate::source::Gap;
use crate::source::MessageId;
use crate::source::Resume;

/// A row's transaction and its number, and the greatest number of any row that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) transaction: u64,
    pub(super) id: i64,
    /// `None`: none was read yet.
    pub(super) greatest: Option<i64>,
}

impl Place {
    pub(super) fn read(resume: &Resume) -> Option<Self> {
        let text = std::str::from_utf8(&resume.0).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let [version, transaction, id, greatest] = words.as_slice() else { return None };
        let greatest = match *greatest {
            "-" => None,
            number => Some(number.parse().ok()?),
        };
        let (transaction, id) = (transaction.parse().ok()?, id.parse().ok()?);
        (*version == "1").then_some(Self { transaction, id, greatest })
    }

    pub(super) fn write(&self) -> Resume {
        let Self { transaction, id, greatest } = self;
        let greatest = greatest.map_or_else(|| "-".to_owned(), |number| number.to_string());
        Resume(format!("1 {transaction} {id} {greatest}").into_bytes().into())
    }

    /// Goes on to a row.
    pub(super) fn pass(&mut self, transaction: u64, id: i64) {
        (self.transaction, self.id) = (transaction, id);
        self.greatest = self.greatest.max(Some(id));
    }

    /// What the row here is called.
    pub(super) fn id(&self) -> MessageId {
        let mut said = self.transaction.to_be_bytes().to_vec();
        said.extend(self.id.to_be_bytes());
        MessageId::new(&said)
    }
}

/// What a table says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The oldest transaction that may still add rows.
    pub(super) oldest_open: u64,
    /// The transaction that will begin next.
    pub(super) next: u64,
    /// The least number of its rows; `None`: it has none.
    pub(super) least: Option<i64>,
    /// The number that was given last; `None`: nobody knows.
    pub(super) given: Option<i64>,
}

impl Extent {
    /// Where what is new begins: everything of before has been committed or never will be.
    pub(super) fn end(&self) -> Place {
        let transaction = self.oldest_open.saturating_sub(1);
        Place { transaction, id: i64::MAX, greatest: self.given }
    }

    /// Where to go on, and what is lost by that.
    pub(super) fn go_on(&self, at: Place) -> (Place, Option<Gap>) {
        if at.transaction >= self.next {
            let why = "the database is an older one than before: rows that were read are not in it";
            return (Place::default(), Some(Gap { messages: 0, why: why.into() }));
        }
        // Numbers that rows were given, and were deleted with, or never committed with.
        let last_gone = self.least.map(|least| least.saturating_sub(1)).or(self.given);
        let gone = at.greatest.zip(last_gone).map_or(0, |(read, gone)| gone.saturating_sub(read));
        let why = "rows were deleted before they were read, or never committed: as many numbers are missing";
        let messages = u64::try_from(gone).unwrap_or(0);
        (at, (messages > 0).then(|| Gap { messages, why: why.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let at = Place { transaction: u64::MAX, id: i64::MAX, greatest: Some(-3) };
        for at in [at, Place::default()] {
            assert_eq!(Place::read(&at.write()), Some(at));
        }
        for wrong in ["", "1 1 1", "2 1 1 1", "1 x 1 1", "1 1 1 x", "1 1 1 1 1"] {
            assert_eq!(Place::read(&Resume(wrong.as_bytes().into())), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_counted_by_its_numbers() {
        let at = Place { transaction: 100, id: 7, greatest: Some(7) };
        let extent = |least, given| Extent { oldest_open: 200, next: 210, least, given };
        let lost = |extent: Extent| extent.go_on(at).1.map(|gap| gap.messages);
        assert_eq!(lost(extent(Some(8), Some(20))), None);
        assert_eq!(lost(extent(Some(1), Some(20))), None);
        assert_eq!(lost(extent(None, Some(7))), None);
        assert_eq!(lost(extent(None, None)), None);
        assert_eq!(lost(extent(Some(10), Some(20))), Some(2));
        assert_eq!(lost(extent(None, Some(20))), Some(13));
        let nothing_read = Place { greatest: None, ..at };
        assert_eq!(extent(Some(10), Some(20)).go_on(nothing_read).1, None);
    }

    #[test]
    fn an_older_database_is_read_from_its_first_row() {
        let at = Place { transaction: 300, id: 7, greatest: Some(7) };
        let extent = Extent { oldest_open: 200, next: 210, least: Some(1), given: Some(9) };
        let (begin, gap) = extent.go_on(at);
        assert_eq!((begin, gap.map(|gap| gap.messages)), (Place::default(), Some(0)));
        assert_eq!(extent.end(), Place { transaction: 199, id: i64::MAX, greatest: Some(9) });
    }
}
