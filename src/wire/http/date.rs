//! The header `Date`: the time at which a response was made, as HTTP writes it.
//!
//! Invariant: the text is made once a second at most. Never asks what time it is.

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT`, whose text is kept until the second is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate {
    /// Seconds since 1970.
    seconds: u64,
    text: [u8; BYTES],
}

const BYTES: usize = 29;
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Default for HttpDate {
    fn default() -> Self {
        Self { seconds: 0, text: *b"Thu, 01 Jan 1970 00:00:00 GMT" }
    }
}

impl HttpDate {
    /// Sets the date, in seconds since 1970.
    pub fn set(&mut self, seconds: u64) {
        if seconds != self.seconds {
            *self = Self { seconds, text: imf_fixdate(seconds) };
        }
    }

    /// The date's text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

//= rfc9110#5.6.7
//# IMF-fixdate  = day-name "," SP date1 SP time-of-day SP GMT
fn imf_fixdate(seconds: u64) -> [u8; BYTES] {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let day_name = DAYS[usize::try_from(days % 7).expect("it is below seven")];
    let month_name = MONTHS[usize::try_from(month - 1).expect("it is below twelve")];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let text = format!(
        "{day_name}, {day:02} {month_name} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    );
    text.as_bytes().try_into().expect("a year has four digits until 9999")
}

/// Year, month and day of a day counted since 1970-01-01, by whole cycles of 400 years that begin on a first of March.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_rfc_has_it() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_786_600_000, "Thu, 13 Aug 2026 05:46:40 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let mut date = HttpDate::default();
            date.set(seconds);
            assert_eq!(std::str::from_utf8(date.as_bytes()).unwrap(), expected);
        }
    }
}
