//! When each record is due.
//!
//! Time runs from the start of the publishing and is an argument or an answer, never asked for. A record without a time is due with the
//! one before it; one whose time runs backwards is due at once. When a recording begins again its clock does too.

use std::fmt;
use std::time::Duration;

use crate::cli::publish::records::Line;

/// How fast to publish.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// By the records' own times, so many times as fast.
    Recorded { speed: f64 },
    /// So many records a second.
    Rate { hz: f64 },
    /// As fast as the server takes them.
    Max,
}

/// The first record names no time, so there is no pace to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untimed {
    pub(crate) line: u64,
}

impl fmt::Display for Untimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, the first, names no time in that member", self.line)
    }
}

impl std::error::Error for Untimed {}

/// The due times of one recording's records, asked for in their order.
#[derive(Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    /// Records that have been given their time.
    count: u64,
    /// The pass of the recording under way, the time its first record names, and when that was due.
    pass: u32,
    origin: Option<(i64, Duration)>,
    latest: Duration,
    /// Records that named no time.
    pub(crate) untimed: u64,
}

/// Between the last record and the first when a recording begins again, at speed 1.
const PASS_GAP: Duration = Duration::from_secs(1);

impl Schedule {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, count: 0, pass: 0, origin: None, latest: Duration::ZERO, untimed: 0 }
    }

    /// When this record, the next in order, is due.
    ///
    /// # Errors
    /// The pace is the records' own, and the first does not name a time.
    pub(crate) fn due(&mut self, line: &Line, pass: u32) -> Result<Duration, Untimed> {
        let due = match self.pace {
            Pace::Max => Duration::ZERO,
            #[expect(clippy::cast_precision_loss, reason = "exact to 2^53 records")]
            Pace::Rate { hz } => seconds(self.count as f64 / hz),
            Pace::Recorded { speed } => self.recorded(line, pass, speed)?,
        };
        self.count += 1;
        self.latest = self.latest.max(due);
        Ok(due)
    }

    fn recorded(&mut self, line: &Line, pass: u32, speed: f64) -> Result<Duration, Untimed> {
        let Some(time_us) = line.time_us else {
            if self.origin.is_none() {
                return Err(Untimed { line: line.number });
            }
            self.untimed += 1;
            return Ok(self.latest);
        };
        let begins_again = pass != self.pass && self.origin.is_some();
        if begins_again {
            self.pass = pass;
            self.origin = Some((time_us, self.latest + PASS_GAP.div_f64(speed)));
        }
        let (origin_us, base) = *self.origin.get_or_insert((time_us, Duration::ZERO));
        #[expect(clippy::cast_precision_loss, reason = "exact to 285 years")]
        let ahead = time_us.saturating_sub(origin_us).max(0) as f64 / 1e6;
        Ok(base + seconds(ahead / speed))
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, time_ms: Option<i64>) -> Line {
        Line { start: 0, end: 0, number, time_us: time_ms.map(|ms| ms * 1000) }
    }

    fn dues(pace: Pace, lines: &[(u32, Option<i64>)]) -> Vec<u128> {
        let mut schedule = Schedule::new(pace);
        (1..)
            .zip(lines)
            .map(|(n, (pass, ms))| schedule.due(&line(n, *ms), *pass).unwrap().as_millis())
            .collect()
    }

    #[test]
    fn records_keep_the_distances_of_their_times() {
        let lines = [(0, Some(5000)), (0, Some(5500)), (0, None), (0, Some(4000)), (0, Some(7000))];
        assert_eq!(dues(Pace::Recorded { speed: 1.0 }, &lines), [0, 500, 500, 0, 2000]);
        assert_eq!(dues(Pace::Recorded { speed: 10.0 }, &lines), [0, 50, 50, 0, 200]);
    }

    #[test]
    fn a_second_pass_goes_on_where_the_first_ended() {
        let lines = [(0, Some(0)), (0, Some(300)), (1, Some(0)), (1, Some(300)), (2, Some(0))];
        assert_eq!(dues(Pace::Recorded { speed: 1.0 }, &lines), [0, 300, 1300, 1600, 2600]);
    }

    #[test]
    fn a_rate_is_a_rate() {
        let lines = [(0, None); 5];
        assert_eq!(dues(Pace::Rate { hz: 4.0 }, &lines), [0, 250, 500, 750, 1000]);
        assert_eq!(dues(Pace::Max, &lines), [0; 5]);
    }

    #[test]
    fn without_a_first_time_there_is_no_pace() {
        let mut schedule = Schedule::new(Pace::Recorded { speed: 1.0 });
        assert_eq!(schedule.due(&line(3, None), 0), Err(Untimed { line: 3 }));
        assert_eq!(
            Untimed { line: 3 }.to_string(),
            "line 3, the first, names no time in that member"
        );
    }
}
