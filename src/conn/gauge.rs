//! How much work a turn may do so that it takes `WORK_US`: the shard counts in units, and what a unit takes depends on the machine.
//!
//! Invariant: always between `UNITS_TURN_MIN` and `UNITS_TURN_MAX`; one odd turn moves it by a fourth at most upwards. Never looks at a clock.

use crate::limits::UNITS_TURN;
use crate::limits::UNITS_TURN_MAX;
use crate::limits::UNITS_TURN_MIN;
use crate::limits::WORK_US;

/// What one core has learned of its own pace.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    units: u64,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { units: UNITS_TURN }
    }
}

impl Gauge {
    /// Notes what a turn's work did and took; how many units the next turn may do.
    pub fn worked(&mut self, units_done: u64, took_us: u64) -> u64 {
        // A turn that had little to do says little about what much would take.
        if units_done >= self.units / 2 {
            let fitting = units_done.saturating_mul(WORK_US) / took_us.max(1);
            let fitting = fitting.clamp(UNITS_TURN_MIN, self.units * 2);
            let next = (self.units * 3 + fitting) / 4;
            self.units = next.clamp(UNITS_TURN_MIN, UNITS_TURN_MAX);
        }
        self.units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The units after many turns on a machine where a unit takes so many nanoseconds.
    fn settled(unit_ns: u64) -> u64 {
        let mut gauge = Gauge::default();
        for _ in 0..100 {
            let units = gauge.units;
            gauge.worked(units, units * unit_ns / 1_000);
        }
        gauge.units
    }

    #[test]
    fn a_turn_comes_to_take_its_time_on_any_machine() {
        for unit_ns in [20, 50, 500, 5_000] {
            let took_us = settled(unit_ns) * unit_ns / 1_000;
            assert!(took_us.abs_diff(WORK_US) <= WORK_US / 10, "{unit_ns} ns: {took_us} us");
        }
        assert_eq!(settled(1), UNITS_TURN_MAX);
        assert_eq!(settled(1_000_000), UNITS_TURN_MIN);
    }

    #[test]
    fn idle_turns_say_nothing_and_odd_ones_little() {
        let mut gauge = Gauge::default();
        assert_eq!(gauge.worked(UNITS_TURN / 2 - 1, 1_000_000), UNITS_TURN);
        let after = gauge.worked(UNITS_TURN, 1_000_000);
        assert!(after >= UNITS_TURN * 3 / 4, "{after}");
        assert!(gauge.worked(UNITS_TURN, 0) <= after * 5 / 4);
    }
}
