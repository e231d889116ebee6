//! The inside of a polygon: which way its edges go round the globe, and which positions lie between them.
//!
//! Edges are straight in degrees. Invariant: corners that were unrolled have longitudes that go on from one to the next, so that the
//! plane decides. Never looks at bounds.

use crate::matcher::filter::AreaError;
use crate::matcher::filter::GeoPoint;

/// The latitude below 90 that is next to it.
const POLE_DEGREES: f64 = 90.0_f64.next_down();

/// The corners of a polygon with longitudes that go on from one to the next: each edge takes the shorter way round; one of half a turn goes as
/// its numbers do, and so does one from -180 to 180 along a parallel, which would otherwise go nowhere.
pub(super) fn unrolled(points: &[GeoPoint]) -> Result<Vec<(f64, f64)>, AreaError> {
    let corner = |point: &GeoPoint| (point.latitude.to_f64(), point.longitude.to_f64());
    let Some(first) = points.first().map(corner) else { return Ok(Vec::new()) };
    let mut unrolled = vec![first];
    let mut longitude = first.1;
    for (from, to) in points.iter().map(corner).zip(points.iter().map(corner).cycle().skip(1)) {
        let way = to.1 - from.1;
        longitude += if way.abs() == 360.0 && from.0 == to.0 {
            way
        } else if way.abs() > 180.0 {
            way - 360.0 * way.signum()
        } else {
            way
        };
        unrolled.push((to.0, longitude));
    }
    // The last edge leads back to the first point, or around a pole.
    let (_, back) = unrolled.pop().unwrap_or(first);
    if (back - first.1).abs() > 180.0 { Err(AreaError::AroundPole) } else { Ok(unrolled) }
}

/// Whether not all corners lie on one line.
pub(super) fn has_inside(corners: &[(f64, f64)]) -> bool {
    let Some(first) = corners.first() else { return false };
    let Some(other) = corners.iter().find(|corner| *corner != first) else { return false };
    corners.iter().any(|corner| {
        let (y, x) = (other.0 - first.0, other.1 - first.1);
        y * (corner.1 - first.1) - x * (corner.0 - first.0) != 0.0
    })
}

/// Counts the edges that a line to the east crosses.
pub(super) fn is_inside(points: &[(f64, f64)], latitude: f64, longitude: f64) -> bool {
    let befores = points.iter().cycle().skip(points.len() - 1);
    // The pole belongs to an edge that lies there, though nothing is north of it.
    let latitude = latitude.min(POLE_DEGREES);
    let mut inside = false;
    for (&(y, x), &(y_before, x_before)) in points.iter().zip(befores) {
        let straddles = (y > latitude) != (y_before > latitude);
        if straddles && longitude < (x_before - x) * (latitude - y) / (y_before - y) + x {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::filter::Area;

    fn place(latitude: f64, longitude: f64) -> GeoPoint {
        GeoPoint::new(latitude, longitude).unwrap()
    }

    #[test]
    fn a_polygon_may_be_the_world_or_a_polar_cap() {
        let polygon = |points: &[(f64, f64)]| {
            Area::polygon(&points.iter().map(|(y, x)| place(*y, *x)).collect::<Vec<_>>()).unwrap()
        };
        let world = [
            polygon(&[(-90.0, -180.0), (-90.0, 180.0), (90.0, 180.0), (90.0, -180.0)]),
            polygon(&[(-90.0, 180.0), (-90.0, -180.0), (90.0, -180.0), (90.0, 180.0)]),
            polygon(&[
                (-90.0, -180.0),
                (-90.0, 0.0),
                (-90.0, 180.0),
                (90.0, 180.0),
                (90.0, 0.0),
                (90.0, -180.0),
            ]),
        ];
        let cap = polygon(&[(80.0, -180.0), (80.0, 180.0), (90.0, 180.0), (90.0, -180.0)]);
        let wavy = polygon(&[
            (70.0, -180.0),
            (65.0, -90.0),
            (72.0, 0.0),
            (66.0, 90.0),
            (70.0, 180.0),
            (90.0, 180.0),
            (90.0, -180.0),
        ]);
        assert!(wavy.contains(90.0, 12.0) && wavy.contains(73.0, 0.0) && wavy.contains(67.0, 90.0));
        assert!(
            !wavy.contains(71.0, 0.0) && !wavy.contains(64.0, -90.0) && wavy.contains(80.0, 180.0)
        );
        let half = polygon(&[(0.0, 0.0), (0.0, 180.0), (10.0, 180.0), (10.0, 0.0)]);
        let touching = polygon(&[(10.0, 170.0), (10.0, 180.0), (0.0, -180.0), (0.0, 170.0)]);
        for latitude in [-90.0, -45.0, 5.0, 85.0, 90.0] {
            for longitude in [-180.0, -90.0, 0.0, 90.0, 175.0, 180.0] {
                for area in &world {
                    assert!(area.contains(latitude, longitude), "{latitude} {longitude} {area:?}");
                }
                assert_eq!(
                    cap.contains(latitude, longitude),
                    latitude > 80.0,
                    "{latitude} {longitude}"
                );
            }
        }
        assert!(half.contains(5.0, 90.0) && !half.contains(5.0, -90.0), "as its numbers go");
        assert!(touching.contains(5.0, 175.0) && !touching.contains(5.0, 0.0));
    }

    #[test]
    fn a_polygon_may_be_hollow() {
        let horseshoe = Area::polygon(&[
            place(0.0, 0.0),
            place(0.0, 9.0),
            place(9.0, 9.0),
            place(9.0, 6.0),
            place(3.0, 6.0),
            place(3.0, 3.0),
            place(9.0, 3.0),
            place(9.0, 0.0),
        ])
        .unwrap();
        assert!(
            horseshoe.contains(1.0, 4.5)
                && horseshoe.contains(6.0, 1.0)
                && horseshoe.contains(6.0, 8.0)
        );
        assert!(!horseshoe.contains(6.0, 4.5) && !horseshoe.contains(-1.0, 4.5));
    }
}
