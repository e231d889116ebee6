//! What a subscriber asks for besides topics, as short texts: `altitude < 10000`, `2/key`, `lat,lon`.
//!
//! Invariant: each dialect that has such texts reads them alike. What is not understood is refused, and the term is named.

use std::fmt;
use std::sync::Arc;

use crate::dialect::MaxRate;
use crate::dialect::RatePer;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Subscription;
use crate::event::Projection;
use crate::matcher::Filter;
use crate::matcher::filter::FilterError;

/// What [`term`] knows.
pub(super) const TERMS: [&str; 3] = ["filter", "max_rate", "fields"];

/// Takes one term over into a subscription; false if there is none of this name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn term(
    name: &str,
    text: &str,
    subscription: &mut Subscription,
) -> Result<bool, Refusal> {
    match name {
        "filter" => subscription.filter = Some(filter_of(text)?),
        "max_rate" => subscription.max_rate = Some(max_rate_of(text)?),
        "fields" => subscription.fields = Some(fields_of(text)?),
        _ => return Ok(false),
    }
    Ok(true)
}

pub(super) fn bad(field: impl fmt::Display, message: impl fmt::Display) -> Refusal {
    Refusal::of(RefusalCode::BadField, field, message)
}

/// A filter in either notation, as a text.
pub(super) fn filter_of(text: &str) -> Result<Filter, Refusal> {
    Filter::parse(text).map_err(bad_filter)
}

pub(super) fn bad_filter(error: FilterError) -> Refusal {
    Refusal::of(RefusalCode::BadFilter, "filter", error)
}

/// `2`, or `2/key`.
pub(super) fn max_rate_of(text: &str) -> Result<MaxRate, Refusal> {
    let (hz, per) = text.split_once('/').unwrap_or((text, "subscription"));
    let hz: f64 = hz.trim().parse().map_err(|_| {
        bad(
            "max_rate",
            format_args!(
                "max_rate is written `2`, `2/key` or {{\"per\":\"key\",\"hz\":2}}, not {text:?}"
            ),
        )
    })?;
    rate(per_of(per.trim())?, hz)
}

pub(super) fn per_of(word: &str) -> Result<RatePer, Refusal> {
    match word {
        "key" => Ok(RatePer::Key),
        "subscription" => Ok(RatePer::Subscription),
        _ => Err(bad("max_rate.per", format_args!("per is `key` or `subscription`, not {word:?}"))),
    }
}

pub(super) fn rate(per: RatePer, hz: f64) -> Result<MaxRate, Refusal> {
    if !(0.01..=1000.0).contains(&hz) {
        return Err(bad("max_rate.hz", format_args!("hz is {hz}; 0.01 to 1000 are allowed")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 1 to 100,000"
    )]
    Ok(MaxRate { per, every_ms: (1000.0 / hz).ceil() as u32 })
}

/// Dotted paths with commas between them.
pub(super) fn fields_of(text: &str) -> Result<Arc<Projection>, Refusal> {
    let paths: Vec<String> = text.split(',').map(|path| path.trim().to_owned()).collect();
    Projection::new(&paths).map(Arc::new).map_err(|e| bad("fields", e))
}
