//! An upload: a body of events for as long as its client likes, one a line, or a body that is one event; its dialect says what a line means.
//!
//! Invariants: lines are published in their order, a run at a time; a faulty line costs itself only; what was refused because the server is
//! full was not taken, nor was any later line, and the answer says which line that was. Holds one unfinished line, never the body.

use super::super::ingest::Ingest;
use super::super::tickets::draft_bytes;
use super::PublishResult;
use super::refusals::Cut;
use super::unread::Unread;
use crate::clock::Now;
use crate::dialect::Ended;
use crate::dialect::Lines;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::dialect::Uploaded;
use crate::dialect::Uploading;
use crate::event::Draft;
use crate::event::TopicName;
use crate::limits::DRAFTS_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::UPLOAD_ERRORS_MAX;
use crate::limits::UPLOAD_HELD_MS_MAX;
use crate::limits::UPLOAD_RATE_EMPTY_RETRY_MS;
use crate::limits::UPLOAD_RATE_RETRY_MS;
use crate::limits::UPLOAD_RETRY_MS;
use crate::limits::UPLOAD_STEP_BYTES;
use crate::wire::grow;
use crate::wire::http::BodyDecoder;
use crate::wire::http::Framing;

/// How long an upload waits for a server that is full.
#[derive(Debug)]
struct HeldBack {
    /// Since when the server has been full, in milliseconds since the start.
    since_ms: Option<u64>,
    /// Milliseconds until the upload tries again.
    retry_ms: u64,
}

/// What became of an upload's events so far.
#[derive(Debug, Default)]
struct UploadTally {
    accepted: u64,
    rejected: u64,
    /// The first rejected events, by their lines.
    errors: Vec<(u64, Refusal)>,
    /// Topic and offset of the event that was accepted last.
    offset: Option<u64>,
    /// Number of events that were complete and valid.
    drafted: u64,
}

/// An upload whose body is coming.
#[derive(Debug)]
pub(super) struct Upload {
    topic: TopicName,
    has_lines: bool,
    lines_of: Box<dyn Lines>,
    body: BodyDecoder,
    /// The line, or the object, that has not ended yet.
    line: Vec<u8>,
    line_bytes_max: usize,
    /// The line is too long, and the rest of it is ignored.
    is_skipping: bool,
    /// Number of lines ended so far.
    lines: u64,
    /// The drafts that are being published, and the line of each.
    drafts: Vec<Draft>,
    draft_lines: Vec<u64>,
    /// Home shards have not answered yet.
    is_underway: bool,
    held: HeldBack,
    tally: UploadTally,
    /// Bytes of the body that have come since the last complete and valid event.
    come_bytes: u64,
    /// Why nothing more is taken; `None`: events are taken.
    refused: Option<RefusalCode>,
    /// How the body ended before it was complete; `None`: it has not.
    cut: Option<Cut>,
}

impl Upload {
    /// Begins to read a body.
    ///
    /// # Errors
    /// The status, and the fault in words.
    pub(super) fn new(
        uploading: Uploading,
        framing: Framing,
        message_bytes_max: usize,
    ) -> Result<Self, (u16, Refusal)> {
        let Uploading { topic, has_lines, lines } = uploading;
        let line_bytes_max = message_bytes_max.min(PAYLOAD_BYTES_MAX);
        let limit = if has_lines { u64::MAX } else { line_bytes_max as u64 };
        let body = BodyDecoder::new(framing, limit)
            .map_err(|error| (error.status(), Refusal::new(RefusalCode::TooLarge, error)))?;
        if framing == Framing::None {
            return Err((400, Refusal::new(RefusalCode::BadJson, "the request has no body")));
        }
        Ok(Self {
            topic,
            has_lines,
            lines_of: lines,
            body,
            line: Vec::new(),
            line_bytes_max,
            is_skipping: false,
            lines: 0,
            drafts: Vec::new(),
            draft_lines: Vec::new(),
            is_underway: false,
            held: HeldBack { since_ms: None, retry_ms: UPLOAD_RETRY_MS },
            tally: UploadTally::default(),
            come_bytes: 0,
            refused: None,
            cut: None,
        })
    }

    /// The topic of the upload's events.
    pub(super) fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Whether the upload takes no more of its body for now.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_underway || self.is_held()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.since_ms.is_some() && !self.takes_no_more()
    }

    /// Whether nothing more of the body is taken, now or later.
    fn takes_no_more(&self) -> bool {
        self.refused.is_some() || self.cut.is_some()
    }

    pub(super) fn drafted(&self) -> u64 {
        self.tally.drafted
    }

    /// Bytes of the body that have come since the last complete event.
    pub(super) fn come_bytes(&self) -> u64 {
        self.come_bytes
    }

    pub(super) fn begin_count(&mut self) {
        self.come_bytes = 0;
    }

    /// Bytes of memory that the upload holds.
    pub(super) fn held_bytes(&self) -> usize {
        let errors: usize =
            self.tally.errors.iter().map(|(_, refusal)| refusal.message.len()).sum();
        size_of::<Self>() + self.line.capacity() + self.drafts_bytes() + errors
    }

    pub(super) fn drafts_bytes(&self) -> usize {
        self.drafts.iter().map(draft_bytes).sum()
    }

    /// Ends the body; returns whether drafts are under way whose outcome belongs into the answer.
    pub(super) fn end_early(&mut self, cut: Cut) -> bool {
        self.cut = Some(cut);
        self.is_underway
    }

    /// Whether the upload has drafts to publish.
    pub(super) fn may_publish(&self) -> bool {
        self.refused.is_none() && self.held.since_ms.is_none() && !self.drafts.is_empty()
    }

    /// Takes the drafts to publish now.
    pub(super) fn begin_run(&mut self) -> Vec<Draft> {
        self.is_underway = true;
        self.drafts.clone()
    }

    /// Whether the body has ended.
    pub(super) fn is_whole(&self) -> bool {
        self.body.is_done()
    }

    /// Whether the answer is known.
    pub(super) fn is_over(&self) -> bool {
        !self.is_waiting()
            && (self.takes_no_more() || (self.body.is_done() && self.drafts.is_empty()))
    }

    /// Takes in bytes of the body, until they are as many drafts as are published at once.
    pub(super) fn read_on(&mut self, input: &mut Unread, ingest: &mut Ingest) {
        let mut drafts_bytes = self.drafts_bytes();
        while !self.takes_no_more() && !self.body.is_done() && drafts_bytes < DRAFTS_BYTES_MAX {
            let count = input.as_slice().len().min(UPLOAD_STEP_BYTES);
            if count == 0 {
                return;
            }
            let known = self.drafts.len();
            match self.body.decode(&input.as_slice()[..count]) {
                Ok(decoded) => {
                    self.come_bytes += decoded.data.len() as u64;
                    self.feed(&input.as_slice()[decoded.data], ingest);
                    input.take(decoded.consumed);
                }
                Err(error) => self.cut = Some(Cut::Broken(error)),
            }
            drafts_bytes += self.drafts[known..].iter().map(draft_bytes).sum::<usize>();
        }
        let is_last = self.body.is_done() && !self.takes_no_more() && self.has_open_line();
        if is_last {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, ingest);
        }
    }

    /// Whether the object of a single-object upload has still to be taken, or the last line has no line break.
    fn has_open_line(&self) -> bool {
        match self.has_lines {
            true => !self.line.is_empty() || self.is_skipping,
            false => self.lines == 0,
        }
    }

    /// Takes a piece of the body in.
    fn feed(&mut self, piece: &[u8], ingest: &mut Ingest) {
        if !self.has_lines {
            return grow::extend(&mut self.line, piece);
        }
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if self.line.is_empty() && !self.is_skipping {
                self.end_line(line, ingest);
            } else {
                self.grow_line(line);
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, ingest);
            }
        }
        self.grow_line(rest);
    }

    fn grow_line(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > self.line_bytes_max {
            self.is_skipping = true;
            self.line = Vec::new();
        }
        if !self.is_skipping {
            grow::extend(&mut self.line, piece);
        }
    }

    /// Takes a complete line, or the complete object, as an event.
    fn end_line(&mut self, line: &[u8], ingest: &mut Ingest) {
        self.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.is_skipping) || line.len() > self.line_bytes_max {
            let message = format_args!("the line is longer than {} bytes", self.line_bytes_max);
            return self.reject(self.lines, Refusal::new(RefusalCode::TooLarge, message));
        }
        if self.has_lines && line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match self.lines_of.draft(line, ingest) {
            Ok(draft) => {
                self.tally.drafted += 1;
                self.drafts.push(draft);
                self.draft_lines.push(self.lines);
            }
            Err(refusal) => self.reject(self.lines, refusal),
        }
    }

    fn reject(&mut self, line: u64, refusal: Refusal) {
        self.tally.rejected += 1;
        if self.tally.errors.len() < UPLOAD_ERRORS_MAX {
            self.tally.errors.push((line, refusal));
        }
    }

    /// Notes the outcomes of the drafts.
    pub(super) fn take_results(&mut self, results: &[PublishResult], now: Now) {
        self.is_underway = false;
        for (index, result) in results.iter().enumerate() {
            match result {
                Ok(placed) => {
                    self.tally.accepted += 1;
                    self.tally.offset = Some(placed.offset);
                }
                Err(code @ (RefusalCode::Full | RefusalCode::RateLimited)) => {
                    self.drafts.drain(..index);
                    self.draft_lines.drain(..index);
                    self.held.retry_ms = UPLOAD_RETRY_MS;
                    if *code == RefusalCode::RateLimited {
                        self.held.retry_ms = match index {
                            0 => UPLOAD_RATE_EMPTY_RETRY_MS,
                            _ => UPLOAD_RATE_RETRY_MS,
                        };
                        // A full server is waited for as long as it takes some of the drafts.
                        self.held.since_ms = self.held.since_ms.filter(|_| index == 0);
                    }
                    let since_ms = *self.held.since_ms.get_or_insert(now.mono_ms);
                    let gives_up = !self.has_lines
                        || now.mono_ms.saturating_sub(since_ms) >= UPLOAD_HELD_MS_MAX;
                    if gives_up {
                        self.refused = Some(*code);
                    }
                    return;
                }
                Err(
                    code @ (RefusalCode::ShuttingDown
                    | RefusalCode::DiskFull
                    | RefusalCode::Unavailable),
                ) => {
                    self.draft_lines.drain(..index);
                    self.refused = Some(*code);
                    return;
                }
                Err(code) => {
                    self.reject(self.draft_lines[index], Refusal::of_publish(*code, &self.topic));
                }
            }
        }
        self.held.since_ms = None;
        self.drafts.clear();
        self.draft_lines.clear();
    }

    /// The body of the answer, when nothing more is taken.
    pub(super) fn answer(&self, epoch: &str) -> Response {
        let cut = self.cut.map(|cut| (cut, cut.to_string()));
        let cut = cut.as_ref().map(|(cut, message)| Ended::Cut {
            status: cut.status(),
            code: cut.code(),
            message,
        });
        self.lines_of.answer(&Uploaded {
            epoch,
            accepted: self.tally.accepted,
            offset: self.tally.offset,
            rejected: self.tally.rejected,
            errors: &self.tally.errors,
            ended: self.refused.map(Ended::Refused).or(cut),
            next_line: self.draft_lines.first().copied(),
        })
    }

    pub(super) fn retry_ms(&self) -> u64 {
        self.held.retry_ms
    }

    /// The drafts to try again.
    pub(super) fn retry(&mut self) -> Option<Vec<Draft>> {
        let is_due = self.is_held() && !self.is_underway;
        is_due.then(|| self.begin_run())
    }
}
