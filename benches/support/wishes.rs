//! Aircraft and what people want to know of them, at random, the same for the same seed.
//!
//! Over a box as large as Switzerland (45.8..47.9 north, 5.9..10.6 east) fly the aircraft of 60 operators, between 0 and 45,000 feet.
//! A wish is three tests: an operator (1 of 60 aircraft passes), a band of altitude 2,000 to 10,000 feet wide (13 %), and a circle
//! of 10 to 60 km somewhere in the box (5 %). So of 100,000 wishes an aircraft passes about 10.

use std::fmt::Write;

/// Operators that fly.
const OPERATORS: u32 = 60;

/// One aircraft's report.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) operator: String,
    pub(crate) callsign: String,
    pub(crate) altitude: f64,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

impl Report {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let operator = random.u32(..OPERATORS);
        Self {
            operator: format!("op-{operator}"),
            callsign: format!("C{operator:02}{}", random.u32(100..1000)),
            altitude: (random.f64() * 4500.0).round() * 10.0,
            latitude: round(45.8 + random.f64() * 2.1),
            longitude: round(5.9 + random.f64() * 4.7),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let Self { operator, callsign, altitude, latitude, longitude } = self;
        format!(
            r#"{{"operator":"{operator}","callsign":"{callsign}","timestamp":1533099600000,"latitude":{latitude},"longitude":{longitude},"altitude":{altitude},"groundspeed":438.1,"track":292.4,"vertical_rate":0.0}}"#
        )
    }
}

/// What one subscriber wants.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Empty: any.
    pub(crate) operator: String,
    /// A further test of the callsign; empty: none.
    pub(crate) callsign: String,
    pub(crate) altitude: (f64, f64),
    pub(crate) centre: (f64, f64),
    pub(crate) metres: f64,
}

impl Wish {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let low = (random.f64() * 4000.0).round() * 10.0;
        Self {
            operator: format!("op-{}", random.u32(..OPERATORS)),
            callsign: String::new(),
            altitude: (low, low + (200.0 + random.f64() * 800.0).round() * 10.0),
            centre: (round(45.8 + random.f64() * 2.1), round(5.9 + random.f64() * 4.7)),
            metres: (10_000.0 + random.f64() * 50_000.0).round(),
        }
    }

    /// One that no aircraft passes: a third each for the operator, the altitude and the place alone.
    pub(crate) fn random_in_vain(random: &mut fastrand::Rng) -> Self {
        let mut wish = Self::random(random);
        match random.u8(..3) {
            0 => wish.operator = format!("op-{}", OPERATORS + random.u32(..OPERATORS)),
            1 => wish.altitude = (wish.altitude.0 + 50_000.0, wish.altitude.1 + 50_000.0),
            _ => wish.centre = (wish.centre.0 - 6.0, wish.centre.1 - 10.0),
        }
        wish
    }

    /// A circle and a band, whoever flies.
    pub(crate) fn random_of_anyone(random: &mut fastrand::Rng) -> Self {
        Self { operator: String::new(), ..Self::random(random) }
    }

    /// A callsign by a pattern of one kind or another (1 of 100 to 1 of 400 passes), a circle and a band, whoever flies.
    pub(crate) fn random_of_callsign(random: &mut fastrand::Rng) -> Self {
        let (operator, number) = (random.u32(..OPERATORS), random.u32(100..1000));
        let callsign = match random.u8(..4) {
            0 => format!("~ \"C{operator:02}{}*\"", number / 200),
            1 => format!("suffix \"{:02}\"", number % 100),
            2 => format!("contains \"{}\"", number / 10 + 100),
            _ => format!("=~ '^C{operator:02}[{}-9]'", number / 200),
        };
        Self { operator: String::new(), callsign, ..Self::random(random) }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        if !self.operator.is_empty() {
            write!(text, "operator = \"{}\" and ", self.operator).unwrap();
        }
        if !self.callsign.is_empty() {
            write!(text, "callsign {} and ", self.callsign).unwrap();
        }
        let ((low, high), (latitude, longitude)) = (self.altitude, self.centre);
        write!(text, "altitude between {low} and {high} and ").unwrap();
        write!(
            text,
            "within(latitude, longitude, circle({latitude}, {longitude}, {}m))",
            self.metres
        )
        .unwrap();
        text
    }
}

fn round(degrees: f64) -> f64 {
    (degrees * 1e5).round() / 1e5
}
