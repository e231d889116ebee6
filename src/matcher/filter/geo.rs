//! Areas on the globe: box, circle, polygon.
//!
//! Invariants: latitudes lie in -90..=90, longitudes in -180..=180, and a position outside these is in no area. A box whose west is
//! greater than its east crosses the antimeridian; a polygon's edges take the shorter way round, straight in degrees, but for one
//! from -180 to 180 along a parallel, which goes all the way. -180 and 180 are one meridian. Distances are
//! great-circle distances on a sphere of the earth's mean radius. Edges belong to boxes and circles; of a polygon's edges those to
//! the south and west do.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;

use crate::event::Number;
use crate::limits::POLYGON_POINTS_MAX;
use crate::matcher::filter::polygon;

//= iugg1980
//# mean radius R1 = (2a + b) / 3 = 6371008.7714 m
const EARTH_RADIUS_METRES: f64 = 6_371_008.771_4;
/// Half of the way round.
const METRES_MAX: f64 = EARTH_RADIUS_METRES * std::f64::consts::PI;
/// How far, in degrees, rounding could put a position outside the bounds of an area that it is in.
const SLACK_DEGREES: f64 = 1e-9;

/// Why numbers do not make an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaError {
    Latitude,
    Longitude,
    /// A box whose south lies north of its north.
    SouthAboveNorth,
    Radius,
    Points {
        count: usize,
    },
    /// The polygon's edges wind around a pole.
    AroundPole,
    /// A polygon whose points lie on one line.
    NoInside,
}

impl fmt::Display for AreaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latitude => write!(f, "a latitude is from -90 to 90"),
            Self::Longitude => write!(f, "a longitude is from -180 to 180"),
            Self::SouthAboveNorth => write!(
                f,
                "a box is written south, west, north, east: its south lies above its north"
            ),
            Self::Radius => write!(f, "a radius is from 0 to 20015 km"),
            Self::Points { count } => {
                write!(f, "a polygon has 3 to {POLYGON_POINTS_MAX} points, not {count}")
            }
            Self::AroundPole => write!(
                f,
                "a polygon cannot wind around a pole: use `circle`, or lead its edge along -180 and 180 to the pole"
            ),
            Self::NoInside => write!(f, "a polygon whose points lie on one line has no inside"),
        }
    }
}

impl std::error::Error for AreaError {}

/// A point on the globe: degrees north and degrees east.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GeoPoint {
    pub latitude: Number,
    pub longitude: Number,
}

impl GeoPoint {
    /// # Errors
    /// If it is not on the globe.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, AreaError> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(AreaError::Latitude);
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(AreaError::Longitude);
        }
        Ok(Self {
            latitude: Number::from_f64(latitude).plain(),
            longitude: Number::from_f64(longitude).plain(),
        })
    }
}

/// The numbers that make an area.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    Box { southwest: GeoPoint, northeast: GeoPoint },
    Circle { centre: GeoPoint, metres: Number },
    Polygon(Box<[GeoPoint]>),
}

/// A shape, with what is needed to tell quickly whether a position is in it.
#[derive(Clone, Debug)]
pub struct Area {
    shape: Shape,
    bounds: Bounds,
    /// Of a circle: its centre on the unit sphere, and the square of the longest chord to a place in it.
    centre: [f64; 3],
    chord_squared: f64,
    /// Of a polygon: its points, each longitude within half a turn of the one before.
    unrolled: Box<[(f64, f64)]>,
}

/// What contains an area: latitudes from `south` to `north`, longitudes of one range or, across the antimeridian, two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub south: f64,
    pub north: f64,
    pub longitudes: [(f64, f64); 2],
    pub longitude_count: usize,
}

impl PartialEq for Area {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape
    }
}

impl Eq for Area {}

impl PartialOrd for Area {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Area {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.shape.cmp(&other.shape)
    }
}

impl Hash for Area {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shape.hash(state);
    }
}

impl Area {
    /// Bytes that it takes.
    #[must_use]
    pub(super) fn weight_bytes(&self) -> usize {
        let points = match &self.shape {
            Shape::Polygon(points) => points.len(),
            Shape::Box { .. } | Shape::Circle { .. } => 0,
        };
        2 * size_of::<Self>() + points * (size_of::<GeoPoint>() + size_of::<(f64, f64)>())
    }

    /// All places between two parallels and two meridians.
    ///
    /// # Errors
    /// If south lies above north.
    pub fn rectangle(southwest: GeoPoint, northeast: GeoPoint) -> Result<Self, AreaError> {
        let (south, north) = (southwest.latitude.to_f64(), northeast.latitude.to_f64());
        if south > north {
            return Err(AreaError::SouthAboveNorth);
        }
        let bounds =
            Bounds::new(south, north, southwest.longitude.to_f64(), northeast.longitude.to_f64());
        Ok(Self::plain(Shape::Box { southwest, northeast }, bounds))
    }

    /// All places no farther than `metres` from `centre`.
    ///
    /// # Errors
    /// If the radius is negative or more than half of the way round.
    pub fn circle(centre: GeoPoint, metres: f64) -> Result<Self, AreaError> {
        if !(0.0..=METRES_MAX).contains(&metres) {
            return Err(AreaError::Radius);
        }
        let (latitude, longitude) = (centre.latitude.to_f64(), centre.longitude.to_f64());
        let angle = metres / EARTH_RADIUS_METRES;
        let chord = 2.0 * (angle / 2.0).sin();
        let shape = Shape::Circle { centre, metres: Number::from_f64(metres).plain() };
        Ok(Self {
            centre: on_unit_sphere(latitude, longitude),
            chord_squared: chord * chord,
            ..Self::plain(shape, circle_bounds(latitude, longitude, angle))
        })
    }

    /// All places inside the edges between `points`, in order; the last is joined to the first.
    ///
    /// # Errors
    /// If there are too few or too many points, or the edges wind around a pole.
    pub fn polygon(points: &[GeoPoint]) -> Result<Self, AreaError> {
        if !(3..=POLYGON_POINTS_MAX).contains(&points.len()) {
            return Err(AreaError::Points { count: points.len() });
        }
        let unrolled = polygon::unrolled(points)?;
        let over = |pick: fn(&(f64, f64)) -> f64, merge: fn(f64, f64) -> f64| {
            unrolled.iter().map(pick).reduce(merge).unwrap_or_default()
        };
        let (south, north) = (over(|p| p.0, f64::min), over(|p| p.0, f64::max));
        let (west, east) = (over(|p| p.1, f64::min), over(|p| p.1, f64::max));
        if east - west > 360.0 {
            return Err(AreaError::AroundPole);
        }
        if !polygon::has_inside(&unrolled) {
            return Err(AreaError::NoInside);
        }
        let bounds = Bounds::of_span(south, north, west, east);
        Ok(Self {
            unrolled: unrolled.into_boxed_slice(),
            ..Self::plain(Shape::Polygon(Box::from(points)), bounds)
        })
    }

    fn plain(shape: Shape, bounds: Bounds) -> Self {
        Self { shape, bounds, centre: [0.0; 3], chord_squared: 0.0, unrolled: Box::default() }
    }

    /// The numbers that it was made from.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What contains it.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Of a circle: its centre on the unit sphere, and the square of the longest chord to a place in it.
    #[must_use]
    pub const fn cap(&self) -> ([f64; 3], f64) {
        (self.centre, self.chord_squared)
    }

    /// Steps that it takes to tell whether a position is in it.
    #[must_use]
    pub fn steps(&self) -> usize {
        match &self.shape {
            Shape::Box { .. } => 2,
            Shape::Circle { .. } => 32,
            // Each edge is looked at from three turns of the globe.
            Shape::Polygon(points) => 3 * points.len(),
        }
    }

    /// Whether a position is in it.
    #[must_use]
    pub fn contains(&self, latitude: f64, longitude: f64) -> bool {
        if !self.bounds.contain(latitude, longitude) {
            return false;
        }
        match &self.shape {
            Shape::Box { southwest, northeast } => {
                let (west, east) = (southwest.longitude.to_f64(), northeast.longitude.to_f64());
                let is_between = |longitude: f64| {
                    if west <= east {
                        west <= longitude && longitude <= east
                    } else {
                        west <= longitude || longitude <= east
                    }
                };
                southwest.latitude.to_f64() <= latitude
                    && latitude <= northeast.latitude.to_f64()
                    // -180 and 180 are one meridian.
                    && (is_between(longitude) || longitude.abs() == 180.0 && is_between(-longitude))
            }
            Shape::Circle { .. } => {
                chord_squared(&self.centre, on_unit_sphere(latitude, longitude))
                    <= self.chord_squared
            }
            Shape::Polygon(_) => [-360.0, 0.0, 360.0]
                .iter()
                .any(|turn| polygon::is_inside(&self.unrolled, latitude, longitude + turn)),
        }
    }
}

impl Bounds {
    fn new(south: f64, north: f64, west: f64, east: f64) -> Self {
        let (south, north) = (south - SLACK_DEGREES, north + SLACK_DEGREES);
        if west <= east {
            let (west, east) = (west - SLACK_DEGREES, east + SLACK_DEGREES);
            // What reaches one end of the longitudes is at the other end, too.
            let beyond = match (west <= -180.0, east >= 180.0) {
                (true, false) => Some((west + 360.0, 180.0)),
                (false, true) => Some((-180.0, east - 360.0)),
                _ => None,
            };
            return Self {
                south,
                north,
                longitudes: [(west, east), beyond.unwrap_or_default()],
                longitude_count: 1 + usize::from(beyond.is_some()),
            };
        }
        let parts = [(west - SLACK_DEGREES, 180.0), (-180.0, east + SLACK_DEGREES)];
        Self { south, north, longitudes: parts, longitude_count: 2 }
    }

    /// Of a span of longitudes that may reach over the antimeridian on either side.
    fn of_span(south: f64, north: f64, west: f64, east: f64) -> Self {
        if east - west >= 360.0 {
            return Self::new(south, north, -180.0, 180.0);
        }
        let turned = |longitude: f64| nearest_turn(longitude, 0.0);
        if west < -180.0 || east > 180.0 {
            return Self::new(south, north, turned(west), turned(east));
        }
        Self::new(south, north, west, east)
    }

    fn contain(&self, latitude: f64, longitude: f64) -> bool {
        is_place(latitude, longitude)
            && self.south <= latitude
            && latitude <= self.north
            && self.parts().iter().any(|(west, east)| *west <= longitude && longitude <= *east)
    }

    /// The ranges of longitude.
    #[must_use]
    pub fn parts(&self) -> &[(f64, f64)] {
        &self.longitudes[..self.longitude_count]
    }
}

/// The longitude of the meridian of `longitude` that lies within half a turn of `other`, in degrees.
fn nearest_turn(longitude: f64, other: f64) -> f64 {
    longitude - 360.0 * ((longitude - other) / 360.0).round()
}

/// Whether there is such a place on the globe.
pub(in crate::matcher) fn is_place(latitude: f64, longitude: f64) -> bool {
    (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude)
}

/// The square of the straight line between two places on the unit sphere.
#[inline]
pub(in crate::matcher) fn chord_squared(one: &[f64; 3], other: [f64; 3]) -> f64 {
    let [x, y, z] = [one[0] - other[0], one[1] - other[1], one[2] - other[2]];
    x * x + y * y + z * z
}

pub(in crate::matcher) fn on_unit_sphere(latitude: f64, longitude: f64) -> [f64; 3] {
    let (up, out) = latitude.to_radians().sin_cos();
    let (east, towards) = longitude.to_radians().sin_cos();
    [out * towards, out * east, up]
}

fn circle_bounds(latitude: f64, longitude: f64, angle: f64) -> Bounds {
    let reach = angle.to_degrees();
    let (south, north) = (latitude - reach, latitude + reach);
    if south <= -90.0 || north >= 90.0 {
        return Bounds::new(south.max(-90.0), north.min(90.0), -180.0, 180.0);
    }
    // The meridians that touch the circle: not at the latitude of its centre, so wider than a plain division tells.
    let width = (angle.sin() / latitude.to_radians().cos()).asin().to_degrees();
    Bounds::of_span(south, north, longitude - width, longitude + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(latitude: f64, longitude: f64) -> GeoPoint {
        GeoPoint::new(latitude, longitude).unwrap()
    }

    /// Great-circle distance by another formula.
    fn haversine(a: (f64, f64), b: (f64, f64)) -> f64 {
        let (dy, dx) = ((b.0 - a.0).to_radians(), (b.1 - a.1).to_radians());
        let h = (dy / 2.0).sin().powi(2)
            + a.0.to_radians().cos() * b.0.to_radians().cos() * (dx / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_METRES * h.sqrt().min(1.0).asin()
    }

    #[test]
    fn a_circle_is_what_the_distance_says_everywhere_on_the_globe() {
        let seed = 0x5eed_0003_u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut inside = 0;
        for _ in 0..20_000 {
            let centre = (random.f64() * 180.0 - 90.0, random.f64() * 360.0 - 180.0);
            let metres = 10.0_f64.powf(random.f64() * 7.3);
            let area = Area::circle(place(centre.0, centre.1), metres.min(METRES_MAX)).unwrap();
            let near = (metres / 100_000.0).min(180.0);
            let at = (
                (centre.0 + (random.f64() - 0.5) * 2.0 * near).clamp(-90.0, 90.0),
                nearest_turn(centre.1 + (random.f64() - 0.5) * 2.0 * near, 0.0),
            );
            let distance = haversine(centre, at);
            if (distance - metres).abs() > 1e-6 * metres.max(1.0) {
                assert_eq!(
                    area.contains(at.0, at.1),
                    distance < metres,
                    "seed {seed:#x} {centre:?} {metres} {at:?}"
                );
                inside += usize::from(distance < metres);
            }
        }
        assert!((2_000..18_000).contains(&inside), "{inside}");
    }

    #[test]
    fn areas_cross_the_antimeridian() {
        let fiji = Area::rectangle(place(-20.0, 177.0), place(-15.0, -178.0)).unwrap();
        let polygon = Area::polygon(&[
            place(-20.0, 177.0),
            place(-20.0, -178.0),
            place(-15.0, -178.0),
            place(-15.0, 177.0),
        ])
        .unwrap();
        let circle = Area::circle(place(-17.5, 179.9), 100_000.0).unwrap();
        for (longitude, expected) in [
            (178.0, true),
            (180.0, true),
            (-180.0, true),
            (-179.0, true),
            (0.0, false),
            (-170.0, false),
        ] {
            assert_eq!(fiji.contains(-17.0, longitude), expected, "box {longitude}");
            assert_eq!(polygon.contains(-17.0, longitude), expected, "polygon {longitude}");
        }
        assert!(circle.contains(-17.5, -179.5) && !circle.contains(-17.5, 178.0));
        assert_eq!(circle.bounds().parts().len(), 2);
        assert!(!fiji.contains(-17.0, 182.0), "no longitude is beyond 180");
    }

    #[test]
    fn the_meridian_of_180_has_two_names() {
        let boxed = |west, east| Area::rectangle(place(-10.0, west), place(10.0, east)).unwrap();
        for (area, expected) in [
            (boxed(170.0, 180.0), true),
            (boxed(-180.0, -170.0), true),
            (boxed(180.0, 180.0), true),
            (boxed(170.0, -170.0), true),
            (boxed(-180.0, 180.0), true),
            (boxed(170.0, 179.9), false),
            (boxed(-179.9, 179.9), false),
            (Area::circle(place(0.0, 179.0), 111_200.0).unwrap(), true),
            (Area::circle(place(0.0, -179.0), 111_200.0).unwrap(), true),
            (Area::circle(place(0.0, 179.0), 111_000.0).unwrap(), false),
        ] {
            for longitude in [-180.0, 180.0] {
                assert_eq!(area.contains(0.0, longitude), expected, "{area:?} {longitude}");
                let bounds = area.bounds();
                let may_be =
                    bounds.parts().iter().any(|(west, east)| (*west..=*east).contains(&longitude));
                assert!(may_be || !expected, "the index would lose it: {area:?} {longitude}");
            }
        }
    }

    #[test]
    fn impossible_areas_are_refused() {
        assert_eq!(GeoPoint::new(91.0, 0.0), Err(AreaError::Latitude));
        assert_eq!(GeoPoint::new(f64::NAN, 0.0), Err(AreaError::Latitude));
        assert_eq!(GeoPoint::new(0.0, 181.0), Err(AreaError::Longitude));
        assert_eq!(
            Area::rectangle(place(1.0, 0.0), place(0.0, 0.0)),
            Err(AreaError::SouthAboveNorth)
        );
        assert_eq!(Area::circle(place(0.0, 0.0), -1.0), Err(AreaError::Radius));
        assert_eq!(Area::circle(place(0.0, 0.0), 2.1e7), Err(AreaError::Radius));
        assert_eq!(Area::polygon(&[place(0.0, 0.0); 2]), Err(AreaError::Points { count: 2 }));
        let around = [place(80.0, 0.0), place(80.0, 120.0), place(80.0, -120.0)];
        assert_eq!(Area::polygon(&around), Err(AreaError::AroundPole));
        let line = [place(0.0, 0.0), place(1.0, 1.0), place(2.0, 2.0)];
        assert_eq!(Area::polygon(&line), Err(AreaError::NoInside));
        assert_eq!(Area::polygon(&[place(5.0, 5.0); 3]), Err(AreaError::NoInside));
    }
}
