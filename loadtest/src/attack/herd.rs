//! A crowd whose server is told to stop: whether all of them have heard what was taken before, and whether they are told moments to come back at that are spread evenly, so that no
//! herd runs into whoever takes the server's place.
//!
//! Invariant: everybody reads at once, and nobody comes back: what is measured is what each was told.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::Unit;
use super::memory::publish_each;
use super::peer::End;
use super::peer::Peer;
use super::server::Server;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

use memchr::memmem;

pub(super) const HERD: Attack = Attack {
    name: "stopped-crowd",
    about: "up to 10,000 subscribers whose server is told to stop as soon as the last event was taken",
    run: herd,
};

/// Events that are taken before the end, which everybody is to hear.
const EVENTS: u64 = 100;
/// Parts of the window that are counted apart, and the chi-square over them that chance exceeds once in a hundred times (19 degrees of freedom).
const PARTS: usize = 20;
const CHI_SQUARE_MAX: f64 = 36.2;
/// Milliseconds that the earliest is asked to stay away.
const AWAY_MS_MIN: u64 = 500;
/// Nanoseconds in which a server that was told to stop has to be gone.
const STOP_NS_MAX: u64 = 40 * SECOND;

/// What one of them was told.
struct Told {
    peer: Option<Peer>,
    events: u64,
    after_ms: Option<u64>,
    is_closed_politely: bool,
}

fn herd(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let count = scale.of(1_500, 10_000);
    // Less than at which a thousand a second come back, whichever core has how many of them.
    let window_ms = scale.of(1_000, 5_000);
    let configuration = format!(
        "connections_max = 12000\nreturn_spread_s = {}\ndrain_timeout_s = 30\n",
        window_ms / 1_000
    );
    let mut server = Server::start(tools, 2, &configuration)?;
    let mut crowd = Vec::with_capacity(count);
    for _ in 0..count {
        let mut peer = Peer::connect(server.addr, None)?;
        peer.upgrade("/v1/ws?topic=t/0", "")?;
        peer.wait_for("\"type\":\"live\"")?;
        crowd.push(Told { peer: Some(peer), events: 0, after_ms: None, is_closed_politely: false });
    }
    let refused = publish_each(&server, EVENTS, |number| {
        format!(
            "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"t/0\",\"payload\":{{\"n\":{number}}}}}"
        )
    })?;
    server.tell_to_stop()?;
    let until_ns = clock::now_ns() + STOP_NS_MAX;
    let mut buffer = vec![0; READ_BYTES];
    while crowd.iter().any(|told| told.peer.is_some()) && clock::now_ns() < until_ns {
        for told in &mut crowd {
            told.listen(&mut buffer)?;
        }
        clock::pause(MILLI);
    }
    let code = server.ended_within(until_ns.saturating_sub(clock::now_ns()))?;
    let untold = crowd.iter().filter(|told| told.after_ms.is_none()).count();
    let cut = crowd.iter().filter(|told| !told.is_closed_politely).count();
    let missed: u64 = crowd.iter().map(|told| EVENTS.saturating_sub(told.events)).sum();
    let moments: Vec<u64> = crowd.iter().filter_map(|told| told.after_ms).collect();
    let what = format!("{count} told when to come back: chi-square over {PARTS} parts");
    Ok(vec![
        Figure::counted(what, chi_square(&moments, window_ms), CHI_SQUARE_MAX, Unit::Count),
        Figure::none("not told", untold as u64),
        Figure::none("cut off, and not closed", cut as u64),
        Figure::none("events that were taken and not heard", missed),
        Figure::none("publishes refused before", refused),
        Figure::none("servers that ended otherwise than by 0", u64::from(code != Some(0))),
    ])
}

impl Told {
    /// Hears what has come; whoever is sent away leaves.
    fn listen(&mut self, buffer: &mut [u8]) -> Result<(), AttackError> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        let (events, after_ms) = (&mut self.events, &mut self.after_ms);
        peer.read(buffer, READ_BYTES, &mut |message| {
            *events += u64::from(memmem::find(message, b"\"type\":\"event\"").is_some());
            *after_ms = number_behind(message, b"\"after_ms\":").or(*after_ms);
        })?;
        if let Some(end) = peer.end {
            self.is_closed_politely = matches!(end, End::Closed(1001));
            self.peer = None;
        }
        Ok(())
    }
}

/// The number that stands behind a word.
fn number_behind(message: &[u8], word: &[u8]) -> Option<u64> {
    let at = memmem::find(message, word)? + word.len();
    let digits = message[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// How far some moments are from being spread evenly over a window; what lies outside of it is as far as can be.
fn chi_square(moments: &[u64], window_ms: u64) -> f64 {
    let mut parts = [0_u64; PARTS];
    for moment in moments {
        let Some(within) = moment.checked_sub(AWAY_MS_MIN).filter(|within| *within < window_ms)
        else {
            return f64::INFINITY;
        };
        let part = usize::try_from(within * PARTS as u64 / window_ms).unwrap_or(usize::MAX);
        parts[part.min(PARTS - 1)] += 1;
    }
    let expected = moments.len() as f64 / PARTS as f64;
    parts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_evenly_is_told_from_a_herd() {
        let even: Vec<u64> = (0..1_000).map(|place| 500 + place).collect();
        assert!(chi_square(&even, 1_000) < 0.01);
        assert!(chi_square(&vec![700; 1_000], 1_000) > 1_000.0);
        let half: Vec<u64> = (0..1_000).map(|place| 500 + place / 2).collect();
        assert!(chi_square(&half, 1_000) > CHI_SQUARE_MAX);
        assert!(chi_square(&[1_500], 1_000).is_infinite(), "later than the window");
        assert!(chi_square(&[499], 1_000).is_infinite(), "earlier");
        assert!(chi_square(&[], 1_000).is_nan(), "nobody was told anything");
    }

    #[test]
    fn a_number_is_found_behind_its_word() {
        let message = br#"{"type":"reconnect","after_ms":1234}"#;
        assert_eq!(number_behind(message, b"\"after_ms\":"), Some(1234));
        assert_eq!(number_behind(b"{}", b"\"after_ms\":"), None);
    }
}
