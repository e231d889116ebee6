//! What a publishing came to, and the line that shows it while it goes on.
//!
//! The bar is drawn only on a terminal, a few times a second, on one line that the totals replace. Never asks what time it is.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use crate::cli::limits::REJECTED_LISTED_MAX;
use crate::cli::publish::batch::Rejected;

/// The sums, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) accepted: u64,
    /// Bytes of the accepted records, as they lie in the recording; an estimate where some of a request were rejected.
    pub(crate) bytes: u64,
    pub(crate) rejected: u64,
    /// The first of them.
    pub(crate) listed: Vec<Rejected>,
    /// How often the server said that it was full.
    pub(crate) full: u64,
    /// How often a connection was made anew.
    pub(crate) reconnects: u64,
    /// Records that were sent again although the server may have taken them the first time.
    pub(crate) repeated: u64,
    /// Records that were sent and never answered: taken or not, nobody can say.
    pub(crate) unanswered: u64,
    pub(crate) untimed: u64,
    /// The most that a record was late.
    pub(crate) late_max: Duration,
    pub(crate) elapsed: Duration,
}

impl Totals {
    pub(crate) fn reject(&mut self, count: u64, named: Vec<Rejected>) {
        self.rejected += count;
        let room = REJECTED_LISTED_MAX.saturating_sub(self.listed.len());
        self.listed.extend(named.into_iter().take(room));
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
    fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.accepted as f64 / seconds } else { 0.0 }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, rate) = (grouped(self.accepted), Rate(self.per_second()));
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{events} events, {} in {seconds:.1} s: {rate} events/s", Bytes(self.bytes))?;
        if self.rejected > 0 {
            writeln!(f, "{} lines were rejected:", grouped(self.rejected))?;
            for rejected in &self.listed {
                writeln!(f, "  {rejected}")?;
            }
            let unlisted = self.rejected.saturating_sub(self.listed.len() as u64);
            if unlisted > 0 {
                writeln!(f, "  and {} more", grouped(unlisted))?;
            }
        }
        if self.full > 0 {
            writeln!(
                f,
                "the server was full {} times; what it refused was sent again",
                grouped(self.full)
            )?;
        }
        if self.reconnects > 0 {
            writeln!(f, "the connection was lost {} times", grouped(self.reconnects))?;
        }
        if self.repeated > 0 {
            let count = grouped(self.repeated);
            writeln!(
                f,
                "up to {count} events may be there twice: they were sent again, as the first time was not answered"
            )?;
        }
        if self.unanswered > 0 {
            writeln!(
                f,
                "{} events were sent and not answered: they may be there or not",
                grouped(self.unanswered)
            )?;
        }
        if self.untimed > 0 {
            writeln!(
                f,
                "{} records named no time and went with the one before",
                grouped(self.untimed)
            )?;
        }
        if self.late_max >= Duration::from_secs(1) {
            writeln!(f, "at worst {:.1} s behind the schedule", self.late_max.as_secs_f64())?;
        }
        Ok(())
    }
}

/// A moment of a publishing under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) elapsed: Duration,
    /// From 0 to 1; absent where the end is not known.
    pub(crate) done: Option<f64>,
    pub(crate) late: Duration,
}

/// The line on the terminal.
#[derive(Debug)]
pub(crate) struct Bar<W> {
    out: W,
    shown: bool,
    /// When it was last drawn, and what had been accepted then: the rate shown is the rate since.
    drawn: Duration,
    drawn_accepted: u64,
    rate: f64,
    /// There is a line to be removed.
    dirty: bool,
}

const DRAW_INTERVAL: Duration = Duration::from_millis(200);
const CELLS: usize = 24;

impl<W: Write> Bar<W> {
    pub(crate) fn new(out: W, shown: bool) -> Self {
        Self { out, shown, drawn: Duration::ZERO, drawn_accepted: 0, rate: 0.0, dirty: false }
    }

    /// Draws it if it is time to. A terminal that cannot be written to is not worth an error.
    #[expect(clippy::cast_precision_loss, reason = "a rate to show")]
    pub(crate) fn draw(&mut self, totals: &Totals, moment: Moment) {
        let since = moment.elapsed.saturating_sub(self.drawn);
        if !self.shown || since < DRAW_INTERVAL {
            return;
        }
        let rate = (totals.accepted - self.drawn_accepted) as f64 / since.as_secs_f64();
        // Smoothed, so that it can be read: a fifth of the news each time.
        self.rate = if self.drawn_accepted == 0 { rate } else { self.rate * 0.8 + rate * 0.2 };
        (self.drawn, self.drawn_accepted) = (moment.elapsed, totals.accepted);
        let mut text = String::new();
        if let Some(done) = moment.done {
            text.push_str(&cells(done));
        }
        text.push_str(&format!("{} events  {}/s", grouped(totals.accepted), Rate(self.rate)));
        if totals.rejected > 0 {
            text.push_str(&format!("  {} rejected", grouped(totals.rejected)));
        }
        if moment.late >= Duration::from_secs(1) {
            text.push_str(&format!("  {:.0} s late", moment.late.as_secs_f64()));
        }
        self.dirty = write!(self.out, "\r\x1b[K{text}").and_then(|()| self.out.flush()).is_ok();
    }

    /// Removes it, so that a line of text can stand there.
    pub(crate) fn clear(&mut self) {
        if self.dirty {
            self.dirty = write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush()).is_err();
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to CELLS"
)]
fn cells(done: f64) -> String {
    let done = done.clamp(0.0, 1.0);
    let full = (done * CELLS as f64) as usize;
    format!("{}{} {:>3.0} %  ", "█".repeat(full), "░".repeat(CELLS - full), done * 100.0)
}

struct Rate(f64);

impl fmt::Display for Rate {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, to show")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 100.0 {
            f.write_str(&grouped(self.0.round() as u64))
        } else {
            write!(f, "{:.1}", self.0)
        }
    }
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "to show")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", self.0 as f64 / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", self.0 as f64 / 1_048_576.0),
            _ => write!(f, "{:.2} GiB", self.0 as f64 / 1_073_741_824.0),
        }
    }
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts: Vec<String> =
            [0, 999, 1000, 139_098, 1_000_000].into_iter().map(grouped).collect();
        assert_eq!(texts, ["0", "999", "1,000", "139,098", "1,000,000"]);
    }

    #[test]
    fn the_totals_say_everything_that_was_not_smooth() {
        let mut totals = Totals { accepted: 139_098, bytes: 24_986_623, ..Totals::default() };
        totals.elapsed = Duration::from_millis(1500);
        assert_eq!(totals.to_string(), "139,098 events, 23.8 MiB in 1.5 s: 92,732 events/s\n");
        let named = (1..=30)
            .map(|number| Rejected { number, code: "bad_json".into(), message: "x".into() })
            .collect();
        totals.reject(30, named);
        totals.full = 2;
        totals.repeated = 512;
        let text = totals.to_string();
        assert!(text.contains("30 lines were rejected:\n  line 1: x (bad_json)\n"), "{text}");
        assert!(text.contains("  line 20: x (bad_json)\n  and 10 more\n"), "{text}");
        assert!(
            text.contains("full 2 times") && text.contains("up to 512 events may be there twice"),
            "{text}"
        );
    }

    #[test]
    fn the_bar_is_drawn_now_and_then_and_removed() {
        let mut bar = Bar::new(Vec::new(), true);
        let totals = Totals { accepted: 500, ..Totals::default() };
        let moment = |ms| Moment {
            elapsed: Duration::from_millis(ms),
            done: Some(0.5),
            late: Duration::ZERO,
        };
        bar.draw(&totals, moment(100));
        assert!(bar.out.is_empty());
        bar.draw(&totals, moment(250));
        let text = String::from_utf8(bar.out.clone()).unwrap();
        assert_eq!(text, "\r\x1b[K████████████░░░░░░░░░░░░  50 %  500 events  2,000/s");
        bar.clear();
        bar.clear();
        assert_eq!(bar.out.len(), text.len() + 4);
    }
}
