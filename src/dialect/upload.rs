//! What a dialect is to an upload: a body that brings events for as long as its client likes, one a line, or is one itself.
//!
//! Invariant: a line costs itself only, and the answer says what became of all of them. Never sees a socket, and never the body as a whole.

use std::fmt;

use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::PayloadError;
use crate::event::TopicName;
use crate::event::fields::KeyField;

/// One upload's side of a dialect.
pub trait Lines: fmt::Debug + Send {
    /// What a line, or the whole body, asks to be published.
    ///
    /// # Errors
    /// What is wrong with it.
    fn draft(&self, line: &[u8], fields: &mut dyn FindFields) -> Result<Draft, Refusal>;

    /// What is answered when nothing more is taken.
    fn answer(&self, uploaded: &Uploaded<'_>) -> Response;
}

/// An upload that begins.
#[derive(Debug)]
pub struct Uploading {
    /// Where all its events go.
    pub topic: TopicName,
    /// Whether each line is an event; else the body is one.
    pub has_lines: bool,
    pub lines: Box<dyn Lines>,
}

/// What checks payloads, and finds the fields in them that filters read.
pub trait FindFields {
    /// # Errors
    /// If it is not one JSON object.
    fn find(&mut self, payload: &[u8]) -> Result<Fields, PayloadError>;

    /// Finds the fields of a payload, and the text of the member that holds the key.
    ///
    /// # Errors
    /// If it is not one JSON object.
    fn find_with_key(
        &mut self,
        payload: &[u8],
        field: &str,
    ) -> Result<(Fields, KeyField), PayloadError>;
}

/// What became of an upload.
#[derive(Clone, Copy, Debug)]
pub struct Uploaded<'a> {
    pub epoch: &'a str,
    /// Events that have their places, and the offset of the last.
    pub accepted: u64,
    pub offset: Option<u64>,
    /// Lines that were at fault, and what was wrong with the first few, by their numbers from 1.
    pub rejected: u64,
    pub errors: &'a [(u64, Refusal)],
    /// `Some`: it ended before its body did.
    pub ended: Option<Ended<'a>>,
    /// The number of the first line that was read and not taken then.
    pub next_line: Option<u64>,
}

/// Why nothing more was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// An event was refused, and those behind it would be, too.
    Refused(RefusalCode),
    /// The body did not come to its end: the status for that, its word, and what happened.
    Cut { status: u16, code: &'static str, message: &'a str },
}
