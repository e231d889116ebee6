//! A filter for each subscriber: a circle on the map and a band of altitude, as someone who watches aircraft would ask.
//!
//! Invariant: the same subscriber asks for the same in every run, so that runs can be compared. Written in the text form of
//! the native protocol; the fields are those of the ADS-B telemetry.

/// The member `filter` of subscriber `index`, with the comma before it.
pub(crate) fn circle(index: u32) -> String {
    let mut state = u64::from(index) ^ 0x9e37_79b9_7f4a_7c15;
    let mut draw = |from: f64, to: f64| {
        state = splitmix(state);
        from + (to - from) * ((state >> 11) as f64 / (1_u64 << 53) as f64)
    };
    let (latitude, longitude) = (draw(45.8, 47.8), draw(6.0, 10.5));
    let (kilometres, floor_feet) = (draw(10.0, 40.0), draw(0.0, 35_000.0));
    let ceiling_feet = floor_feet + 5_000.0;
    format!(
        ",\"filter\":\"within(latitude, longitude, circle({latitude:.4}, {longitude:.4}, {kilometres:.1}km)) \
         and altitude >= {floor_feet:.0} and altitude < {ceiling_feet:.0}\""
    )
}

/// The generator SplitMix64: one multiplication-xor round a number, any seed is a good one.
pub(crate) fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_repeatable_and_differ() {
        assert_eq!(circle(7), circle(7));
        assert_ne!(circle(7), circle(8));
        let whole = format!("{{\"id\":1{}}}", circle(0));
        assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok(), "{whole}");
    }
}
