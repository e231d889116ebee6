//! Any bytes as a segment of the log: each belongs to a good block or to a stretch that is said to be rotten, a good block holds what its head says, and
//! an index that is read comes back as it was.
//!
//! A fuzzer does not guess checksums: where `input` has the magic of a head, sums are put right first.

use fanwire::history::log::Disk;
use fanwire::history::log::DiskError;
use fanwire::history::log::Found;
use fanwire::history::log::Keys;
use fanwire::history::log::Scan;
use fanwire::history::log::Segment;
use fanwire::history::log::block::BACK;
use fanwire::history::log::block::FRONT;
use fanwire::history::log::block::HEAD_BYTES;

/// One file that is only read.
struct One<'a>(&'a [u8]);

impl Disk for One<'_> {
    type File = ();

    fn read_at(&mut self, _: &(), at: u64, bytes: &mut [u8]) -> Result<usize, DiskError> {
        let there = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let count = there.len().min(bytes.len());
        bytes[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn len(&mut self, _: &()) -> Result<u64, DiskError> {
        Ok(self.0.len() as u64)
    }

    fn make_folder(&mut self, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn create(&mut self, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn open(&mut self, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Missing)
    }

    fn write_at(&mut self, _: &(), _: u64, _: &[u8]) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn truncate(&mut self, _: &(), _: u64) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn sync(&mut self, _: &()) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn rename(&mut self, _: &str, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }

    fn remove(&mut self, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Missing)
    }

    fn list(&mut self, _: &str) -> Result<Vec<String>, DiskError> {
        Ok(Vec::new())
    }

    fn sync_folder(&mut self, _: &str) -> Result<(), DiskError> {
        Err(DiskError::Full)
    }
}

/// Every head of the bytes with sums that are right, so that what stands behind them is looked at.
fn with_sums(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for at in 0..bytes.len().saturating_sub(HEAD_BYTES - 1) {
        if bytes[at..at + 4] != FRONT && bytes[at..at + 4] != BACK {
            continue;
        }
        let size = |field: usize| {
            let field = bytes[at + field..at + field + 4].try_into().expect("four bytes");
            u32::from_le_bytes(field) as usize
        };
        let (summary_bytes, body_bytes) = (size(52), size(60));
        let summary = at + HEAD_BYTES;
        let sums = bytes.get(summary..).and_then(|rest| {
            let (summary, rest) = rest.split_at_checked(summary_bytes)?;
            let body = rest.get(..body_bytes)?;
            Some([crc32c::crc32c(summary), crc32c::crc32c(body)])
        });
        if let (FRONT, Some([summary, body])) =
            (<[u8; 4]>::try_from(&bytes[at..at + 4]).expect("four bytes"), sums)
        {
            bytes[at + 68..at + 72].copy_from_slice(&summary.to_le_bytes());
            bytes[at + 72..at + 76].copy_from_slice(&body.to_le_bytes());
        }
        let sum = crc32c::crc32c(&bytes[at..at + 76]);
        bytes[at + 76..at + 80].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Holds the reader of segments to it for one input.
pub(crate) fn hold(input: &[u8]) {
    for bytes in [input.to_vec(), with_sums(input)] {
        let mut scan = Scan::new(0, 1, 0, bytes.len() as u64);
        let mut end = 0;
        while let Some(found) = scan.next(&mut One(&bytes), &()).expect("it can be read") {
            match found {
                Found::Block(block) => {
                    assert_eq!(block.head.at, end, "nothing is left out");
                    end = block.head.end();
                    let records = block.body.to_records().expect("a good block can be read");
                    assert_eq!(records.len(), block.head.event_count as usize);
                }
                Found::Rotten(rotten) => {
                    assert_eq!(rotten.from, end, "nothing is left out");
                    assert!(rotten.to > rotten.from);
                    end = rotten.to;
                }
            }
            assert_eq!(scan.at(), end);
        }
        assert_eq!(end, bytes.len() as u64);
    }
    let mut index = input.to_vec();
    index.extend_from_slice(&crc32c::crc32c(input).to_le_bytes());
    let mut keys = Keys::new(1 << 20);
    if let Some(segment) = Segment::from_index(&index, 0, None, &mut keys) {
        let text = segment.to_index(0, &keys);
        let again = Segment::from_index(&text, 0, None, &mut Keys::new(1 << 20));
        assert_eq!(again, Some(segment), "it comes back");
    }
}
