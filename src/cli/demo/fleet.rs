//! A sky over Switzerland that looks like one: aircraft that cross it, land, take off, and wander about below.
//!
//! Invariants: the same seed and the same steps make the same sky, to the last digit; there are always as many aircraft as were asked for:
//! one that leaves or lands is replaced at once by another. Pure: time is how far it is told to move, and nothing is random but by the
//! seed. Does not pretend to be air traffic control: aircraft may meet.

use crate::cli::demo::random::Random;

/// Degrees that the sky covers: a little more than the country.
const WEST: f64 = 5.75;
const EAST: f64 = 10.65;
const SOUTH: f64 = 45.7;
const NORTH: f64 = 47.95;

/// Where aircraft land and take off: latitude, longitude, feet.
const AIRPORTS: [(f64, f64, f64); 4] = [
    (47.458, 8.548, 1416.0),
    (46.238, 6.109, 1411.0),
    (47.590, 7.529, 885.0),
    (46.004, 8.910, 915.0),
];

/// How far the first ones have come: up to so many steps of so many seconds.
const FIRST_STEPS: usize = 150;
const FIRST_STEP_S: f64 = 5.0;

/// Callsign prefixes of those who fly here.
const AIRLINES: [&str; 12] =
    ["SWR", "EZS", "DLH", "AFR", "BAW", "KLM", "AUA", "RYR", "EZY", "EDW", "TOM", "UAE"];

/// One aircraft, as it would report itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aircraft {
    /// The transponder's address: 24 bits.
    pub(crate) address: u32,
    pub(crate) callsign: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// Feet.
    pub(crate) altitude: f64,
    /// Knots.
    pub(crate) groundspeed: f64,
    /// Degrees clockwise from north.
    pub(crate) track: f64,
    /// Feet a minute.
    pub(crate) vertical_rate: f64,
    intent: Intent,
    /// The track and altitude that it is turning and climbing to.
    track_wanted: f64,
    altitude_wanted: f64,
    /// Seconds until it thinks of something else.
    settled_s: f64,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Intent {
    /// High up, from border to border.
    Cross,
    /// To an airport, and down.
    Land { airport: usize },
    /// Up from an airport, and out.
    Leave,
    /// Low, slow, and without a plan.
    Wander,
}

/// All aircraft of the demo.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    random: Random,
    pub(crate) aircraft: Vec<Aircraft>,
}

impl Fleet {
    /// So many aircraft, spread over the sky.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut fleet = Self { random: Random::new(seed), aircraft: Vec::with_capacity(count) };
        for index in 0..count {
            let mut aircraft = arrive(&mut fleet.random);
            if aircraft.intent != Intent::Leave {
                aircraft.latitude = fleet.random.between(SOUTH, NORTH);
                aircraft.longitude = fleet.random.between(WEST, EAST);
            }
            fleet.aircraft.push(aircraft);
            // The first ones have been under way for a while, or those that leave would do so all at once.
            for _ in 0..fleet.random.below(FIRST_STEPS) {
                fleet.step(index, FIRST_STEP_S);
            }
        }
        fleet
    }

    /// Moves one aircraft on by so many seconds. If it left, another takes its place, and its address is the answer.
    pub(crate) fn step(&mut self, index: usize, seconds: f64) -> Option<u32> {
        let aircraft = self.aircraft.get_mut(index)?;
        aircraft.think(&mut self.random, seconds);
        aircraft.fly(seconds);
        if aircraft.is_here() {
            return None;
        }
        let gone = aircraft.address;
        *aircraft = arrive(&mut self.random);
        Some(gone)
    }
}

impl Aircraft {
    /// Decides where to go; an aircraft with a plan keeps it.
    fn think(&mut self, random: &mut Random, seconds: f64) {
        self.settled_s -= seconds;
        match self.intent {
            Intent::Land { airport } => {
                let (latitude, longitude, elevation) = AIRPORTS[airport];
                let (distance, bearing) = self.toward(latitude, longitude);
                self.track_wanted = bearing;
                // Three degrees down: 320 feet a mile. Slower as it gets lower.
                self.altitude_wanted = (elevation + distance * 320.0).min(self.altitude_wanted);
                self.groundspeed = self.groundspeed.min(130.0 + distance * 6.0);
            }
            Intent::Leave => self.groundspeed = (self.groundspeed + seconds * 1.5).min(440.0),
            Intent::Cross | Intent::Wander => {}
        }
        if self.settled_s > 0.0 {
            return;
        }
        self.settled_s = match self.intent {
            Intent::Cross => random.between(120.0, 900.0),
            Intent::Wander => random.between(15.0, 120.0),
            Intent::Land { .. } | Intent::Leave => f64::INFINITY,
        };
        match self.intent {
            Intent::Cross => {
                self.track_wanted = turned(self.track_wanted, random.between(-25.0, 25.0));
                self.altitude_wanted = (self.altitude_wanted
                    + random.between(-1.5, 1.5).round() * 2000.0)
                    .clamp(26_000.0, 41_000.0);
            }
            Intent::Wander => {
                self.track_wanted = turned(self.track_wanted, random.between(-120.0, 120.0));
                self.altitude_wanted = random.between(2500.0, 9500.0);
            }
            Intent::Land { .. } | Intent::Leave => {}
        }
    }

    fn fly(&mut self, seconds: f64) {
        // A standard turn is three degrees a second; up high and fast it is one.
        let turn_max = seconds * if self.altitude > 15_000.0 { 1.0 } else { 3.0 };
        let turn = difference(self.track, self.track_wanted).clamp(-turn_max, turn_max);
        self.track = turned(self.track, turn);
        let rate_max = match self.intent {
            Intent::Wander => 600.0,
            Intent::Cross => 1200.0,
            Intent::Land { .. } => 1900.0,
            Intent::Leave => 2300.0,
        };
        let climb_max = rate_max * seconds / 60.0;
        let climb = (self.altitude_wanted - self.altitude).clamp(-climb_max, climb_max);
        self.altitude += climb;
        self.vertical_rate = if seconds > 0.0 { climb * 60.0 / seconds } else { 0.0 };
        let miles = self.groundspeed * seconds / 3600.0;
        let (east, north) = self.track.to_radians().sin_cos();
        self.latitude += miles * north / 60.0;
        self.longitude += miles * east / (60.0 * self.latitude.to_radians().cos());
    }

    fn is_here(&self) -> bool {
        let landed = match self.intent {
            Intent::Land { airport } => {
                let (latitude, longitude, _) = AIRPORTS[airport];
                self.toward(latitude, longitude).0 < 1.0
            }
            _ => false,
        };
        !landed
            && (SOUTH..=NORTH).contains(&self.latitude)
            && (WEST..=EAST).contains(&self.longitude)
    }

    /// Nautical miles and degrees to a place. Flat, which over two degrees nobody sees.
    fn toward(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let north = (latitude - self.latitude) * 60.0;
        let east = (longitude - self.longitude) * 60.0 * self.latitude.to_radians().cos();
        (north.hypot(east), east.atan2(north).to_degrees().rem_euclid(360.0))
    }
}

/// A new aircraft, at the border or on a runway.
fn arrive(random: &mut Random) -> Aircraft {
    let intent = match random.below(10) {
        0..5 => Intent::Cross,
        5..7 => Intent::Land { airport: random.below(AIRPORTS.len()) },
        7..9 => Intent::Leave,
        _ => Intent::Wander,
    };
    let (latitude, longitude, inward) = at_the_border(random);
    let heading = turned(inward, random.between(-40.0, 40.0));
    let mut aircraft = Aircraft {
        address: 0x40_0000 + u32::try_from(random.below(0x10_0000)).unwrap_or_default(),
        callsign: callsign(random, intent),
        latitude,
        longitude,
        altitude: 0.0,
        groundspeed: 0.0,
        track: heading,
        vertical_rate: 0.0,
        intent,
        track_wanted: heading,
        altitude_wanted: 0.0,
        settled_s: random.between(60.0, 600.0),
    };
    match intent {
        Intent::Cross => {
            aircraft.altitude = random.between(14.0, 20.0).round() * 2000.0;
            aircraft.altitude_wanted = aircraft.altitude;
            aircraft.groundspeed = random.between(390.0, 490.0);
        }
        Intent::Land { .. } => {
            aircraft.altitude = random.between(15_000.0, 24_000.0);
            aircraft.altitude_wanted = aircraft.altitude;
            aircraft.groundspeed = random.between(280.0, 340.0);
        }
        Intent::Leave => {
            let (latitude, longitude, elevation) = AIRPORTS[random.below(AIRPORTS.len())];
            (aircraft.latitude, aircraft.longitude) = (latitude, longitude);
            aircraft.altitude = elevation;
            aircraft.altitude_wanted = random.between(14.0, 19.0).round() * 2000.0;
            aircraft.groundspeed = 150.0;
            aircraft.track = random.between(0.0, 360.0);
            aircraft.track_wanted = turned(aircraft.track, random.between(-90.0, 90.0));
        }
        Intent::Wander => {
            aircraft.altitude = random.between(2500.0, 9500.0);
            aircraft.altitude_wanted = aircraft.altitude;
            aircraft.groundspeed = random.between(75.0, 140.0);
        }
    }
    aircraft
}

/// A point on the border and the track that leads straight in.
fn at_the_border(random: &mut Random) -> (f64, f64, f64) {
    let (latitude, longitude) = (random.between(SOUTH, NORTH), random.between(WEST, EAST));
    match random.below(4) {
        0 => (SOUTH, longitude, 0.0),
        1 => (latitude, WEST, 90.0),
        2 => (NORTH, longitude, 180.0),
        _ => (latitude, EAST, 270.0),
    }
}

fn callsign(random: &mut Random, intent: Intent) -> String {
    let letter =
        |random: &mut Random| char::from(b'A' + u8::try_from(random.below(26)).unwrap_or_default());
    if intent == Intent::Wander {
        return format!("HB{}{}{}", letter(random), letter(random), letter(random));
    }
    let airline = AIRLINES[random.below(AIRLINES.len())];
    let number = 10 + random.below(890);
    if random.below(3) == 0 {
        format!("{airline}{number}{}", letter(random))
    } else {
        format!("{airline}{number}")
    }
}

fn turned(track: f64, by: f64) -> f64 {
    (track + by).rem_euclid(360.0)
}

/// The shorter way from one track to another, in degrees from -180 to 180.
fn difference(from: f64, to: f64) -> f64 {
    (to - from + 180.0).rem_euclid(360.0) - 180.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_sky() {
        let fly = |seed| {
            let mut fleet = Fleet::new(seed, 50);
            let gone: Vec<_> =
                (0..50 * 600).filter_map(|step| fleet.step(step % 50, 1.0)).collect();
            (fleet.aircraft, gone)
        };
        assert_eq!(fly(1), fly(1));
        assert_ne!(fly(1).0, fly(2).0);
    }

    #[test]
    fn every_report_is_plausible_for_hours() {
        for seed in 0..8 {
            let mut fleet = Fleet::new(seed, 40);
            let mut gone_count = 0;
            for _ in 0..2 * 3600 {
                for index in 0..40 {
                    let before = fleet.aircraft[index].clone();
                    let gone = fleet.step(index, 1.0);
                    gone_count += usize::from(gone.is_some());
                    let now = &fleet.aircraft[index];
                    let place = (SOUTH..=NORTH).contains(&now.latitude)
                        && (WEST..=EAST).contains(&now.longitude);
                    let sane = (800.0..=41_000.0).contains(&now.altitude)
                        && (70.0..=500.0).contains(&now.groundspeed)
                        && (0.0..360.0).contains(&now.track)
                        && now.vertical_rate.abs() <= 2400.0;
                    assert!(place && sane, "seed {seed}: {now:?}");
                    if gone.is_none() {
                        let (moved, _) = before.toward(now.latitude, now.longitude);
                        assert!(
                            moved <= 500.0 / 3600.0,
                            "seed {seed}: {before:?} jumped to {now:?}"
                        );
                        assert!(
                            difference(before.track, now.track).abs() <= 3.01,
                            "seed {seed}: {before:?} {now:?}"
                        );
                    }
                }
            }
            assert!(gone_count > 40, "seed {seed}: the sky does not change");
        }
    }
}
