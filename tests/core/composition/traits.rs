//! What is combined: each a thing that a subscription may ask for, or that may happen to it.

/// What is combined: each pair of these, and others at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trait {
    Filter,
    Earliest,
    Last,
    Time,
    Resume,
    Batch,
    RatePerKey,
    RatePerSubscription,
    Fields,
    Leave,
    DropOldest,
    LatestPerKey,
    SlowReader,
    Deflate,
    Delete,
    Update,
    Several,
}

pub(crate) const TRAITS: [Trait; 17] = [
    Trait::Filter,
    Trait::Earliest,
    Trait::Last,
    Trait::Time,
    Trait::Resume,
    Trait::Batch,
    Trait::RatePerKey,
    Trait::RatePerSubscription,
    Trait::Fields,
    Trait::Leave,
    Trait::DropOldest,
    Trait::LatestPerKey,
    Trait::SlowReader,
    Trait::Deflate,
    Trait::Delete,
    Trait::Update,
    Trait::Several,
];
