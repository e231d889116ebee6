//! In which form a case's subscriber is told events: drawn from the seed's own digits, so that whatever else is drawn is drawn in every form.

/// A form.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    is_compact: bool,
    pub(crate) in_columns: bool,
    /// The second of several subscriptions is told in the long form, whatever the others are.
    is_mixed: bool,
}

impl Form {
    /// Of the cases that draw each pair of traits once, those of one round are told in one form.
    pub(crate) const fn of_round(round: usize) -> Self {
        let round = (round + 2) % 8;
        Self {
            is_compact: round % 2 == 1,
            in_columns: round / 2 % 2 == 1,
            is_mixed: round / 4 == 1,
        }
    }

    /// Whether the subscription of this place is told in the compact form.
    pub(crate) const fn is_compact(self, place: usize) -> bool {
        self.is_compact && !(self.is_mixed && place == 1)
    }
}
