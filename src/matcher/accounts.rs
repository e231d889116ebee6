//! Who pays for the work of filters: an account for each payer, with what its filters took for this event and in this second.
//!
//! Whoever has a filter pays for it; those who have the same one share. What a few plain tests take is free: it is what having a filter
//! means. Invariants: all that filters take beyond that is paid by those who have them, so that together they take no more than the
//! payers' limits; a payer that has spent one of the limits is told of once, and none of its filters is asked any more before
//! the next second. Never looks at the clock: whoever does says when a second begins.

use crate::limits::FILTER_EVENT_STEPS_MAX;
use crate::limits::FILTER_FREE_STEPS;
use crate::limits::FILTER_SECOND_STEPS_MAX;

/// Who pays, numbered densely by the shard: its classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayerId(pub u32);

impl PayerId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The accounts of all payers.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    by_payer: Vec<Account>,
    second: u64,
    /// Payers that have spent what they may, and have not been told of.
    spent: Vec<PayerId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    second: u64,
    steps_of_second: u64,
    event_number: u64,
    steps_of_event: u64,
    is_spent: bool,
}

impl Accounts {
    /// A new payer, whose connection has spent so much in this second already.
    pub(super) fn open(&mut self, payer: PayerId, steps: u64) {
        if self.by_payer.len() <= payer.index() {
            self.by_payer.resize(payer.index() + 1, Account::default());
        }
        self.by_payer[payer.index()] =
            Account { second: self.second, steps_of_second: steps, ..Account::default() };
    }

    /// From here on everyone may spend as much again.
    pub(super) const fn begin_second(&mut self) {
        self.second += 1;
    }

    /// What a payer's filters have taken in this second.
    pub(super) fn steps(&self, payer: PayerId) -> u64 {
        let account = self.by_payer.get(payer.index());
        account
            .filter(|account| account.second == self.second)
            .map_or(0, |account| account.steps_of_second)
    }

    /// What each of so many has to pay of these steps; nothing, if it is what everyone has free.
    pub(super) const fn share(steps: u64, payers: usize) -> Option<u64> {
        // A share is no more than the whole: mostly there is nothing to divide.
        if steps <= FILTER_FREE_STEPS {
            return None;
        }
        let share = steps / payers as u64;
        if share > FILTER_FREE_STEPS { Some(share) } else { None }
    }

    /// Has a payer pay for an event.
    pub(super) fn charge(&mut self, payer: PayerId, event_number: u64, steps: u64) {
        let account = &mut self.by_payer[payer.index()];
        if account.second != self.second {
            *account = Account { second: self.second, ..Account::default() };
        }
        if account.event_number != event_number {
            account.event_number = event_number;
            account.steps_of_event = 0;
        }
        account.steps_of_event += steps;
        account.steps_of_second += steps;
        let is_spent = account.steps_of_event > FILTER_EVENT_STEPS_MAX
            || account.steps_of_second > FILTER_SECOND_STEPS_MAX;
        if is_spent && !account.is_spent {
            account.is_spent = true;
            self.spent.push(payer);
        }
    }

    /// Whether a payer has spent what it may and has not been told of yet.
    pub(super) fn is_spent(&self, payer: PayerId) -> bool {
        self.spent.contains(&payer)
    }

    pub(super) const fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// The next payer that has spent what it may.
    pub(super) fn pop_spent(&mut self) -> Option<PayerId> {
        self.spent.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYER: PayerId = PayerId(2);

    fn opened(steps: u64) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.open(PAYER, steps);
        accounts
    }

    #[test]
    fn an_event_has_its_limit_and_so_has_a_second() {
        let mut accounts = opened(0);
        accounts.charge(PAYER, 1, FILTER_EVENT_STEPS_MAX);
        accounts.charge(PAYER, 2, FILTER_EVENT_STEPS_MAX);
        assert_eq!(accounts.pop_spent(), None);
        accounts.charge(PAYER, 2, 1);
        accounts.charge(PAYER, 2, 1);
        assert!(accounts.is_spent(PAYER));
        assert_eq!((accounts.pop_spent(), accounts.pop_spent()), (Some(PAYER), None));
        let events = FILTER_SECOND_STEPS_MAX / FILTER_EVENT_STEPS_MAX;
        let mut accounts = opened(0);
        (0..events).for_each(|event| accounts.charge(PAYER, event, FILTER_EVENT_STEPS_MAX));
        assert_eq!((accounts.steps(PAYER), accounts.pop_spent()), (FILTER_SECOND_STEPS_MAX, None));
        accounts.charge(PAYER, events, 1);
        assert_eq!(accounts.pop_spent(), Some(PAYER));
    }

    #[test]
    fn a_second_is_as_good_as_the_one_before() {
        let mut accounts = opened(0);
        for event in 0..100 {
            accounts.charge(PAYER, event, FILTER_EVENT_STEPS_MAX);
            accounts.begin_second();
            assert_eq!(accounts.steps(PAYER), 0);
        }
        assert_eq!(accounts.pop_spent(), None);
    }

    #[test]
    fn what_was_spent_before_counts() {
        let mut accounts = opened(FILTER_SECOND_STEPS_MAX);
        accounts.charge(PAYER, 1, 1);
        assert_eq!(accounts.pop_spent(), Some(PAYER));
    }

    #[test]
    fn those_who_have_the_same_filter_share() {
        assert_eq!(Accounts::share(1000, 1), Some(1000));
        assert_eq!(Accounts::share(1000, 4), Some(250));
        assert_eq!(Accounts::share(1000, 16), None);
    }
}
