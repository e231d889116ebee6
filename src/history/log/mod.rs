//! The segmented log: history on a disk, as `docs/HISTORY.md` has it to the byte.
//!
//! From the outside in: a [`Folder`] has a manifest and a [`Log`] for each class of topics; a log is a row of [`Segment`]s, a segment a row of
//! blocks, a block a run of [`Record`]s. Invariants: what was acknowledged is there or is said to be lost, exactly; no offset is given
//! twice, whatever was lost; a wrong event is never read. Does no I/O itself: whoever calls it hands it a [`Disk`].

pub mod block;
mod bytes;
mod carried;
mod class;
mod directory;
mod disk;
mod folder;
mod keys;
mod ledger;
mod lookup;
mod lost;
mod manifest;
mod pages;
mod record;
mod recover;
mod retention;
mod scan;
mod segment;
mod shelf;
mod walk;

pub use carried::CARRIED_NAME;
pub use carried::Carried;
pub use class::Log;
pub use class::Opening;
pub use class::Put;
pub use disk::Disk;
pub use disk::DiskError;
pub use folder::Folder;
pub use folder::FolderError;
pub use folder::Made;
pub use folder::Survey;
pub use folder::repair;
pub use folder::shards_of;
pub use folder::survey;
pub use keys::Keys;
pub use ledger::LEDGER_NAMES;
pub use ledger::Ledger;
pub use ledger::LedgerBounds;
pub use ledger::LedgerError;
pub use ledger::LedgerFault;
pub use ledger::LedgerFound;
pub use ledger::NotKept;
pub use ledger::Note;
pub use ledger::read_ledger;
pub use manifest::Class;
pub use manifest::FORMAT;
pub use manifest::Manifest;
pub use manifest::ManifestError;
pub use manifest::Skip;
pub use pages::Kept;
pub use pages::Unexamined;
pub use pages::Wish;
pub use pages::newest_of_keys;
pub use pages::read;
pub use record::Before;
pub use record::Part;
pub use record::Record;
pub use record::RecordRef;
pub use recover::Known;
pub use recover::Recovered;
pub use recover::Torn;
pub use retention::Limits;
pub use scan::Block;
pub use scan::Found;
pub use scan::Rotten;
pub use scan::Scan;
pub use segment::Segment;
pub use segment::Spot;
pub use shelf::HomeOf;
pub use shelf::Shelf;
pub use shelf::event_of;
pub use shelf::record_of;
