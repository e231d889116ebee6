//! Events of one batch on their way to their homes, and what became of each.
//!
//! Invariants: a home has one run of a batch at a time, and the next goes there only when it has taken that: so the events of one topic keep their order, however often a home has no room. What a home refuses for want of
//! room is handed to it again; what it refuses for good is handed back once. Pure: the time is an argument, in milliseconds.

use std::collections::VecDeque;

use crate::dialect::PublishResult;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::HomeId;
use crate::limits::RUN_BYTES_MAX;
use crate::limits::SOURCE_RETRY_MS;
use crate::limits::SOURCE_RUN_EVENTS_MAX;

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Underway {
    homes: Vec<OfHome>,
}

#[derive(Debug)]
struct OfHome {
    home: HomeId,
    waiting: VecDeque<Draft>,
    /// What the home has and has not answered.
    sent: Vec<Draft>,
    /// When the rest may be handed on.
    due_ms: u64,
}

/// What an answer said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) taken: u64,
    /// What will never be taken, and why.
    pub(super) refused: Vec<(Draft, RefusalCode)>,
    /// Why the rest is handed on again.
    pub(super) again: Option<RefusalCode>,
}

impl Underway {
    /// Puts events on their way, each behind those of its home.
    pub(super) fn push(&mut self, home: HomeId, draft: Draft) {
        match self.homes.iter_mut().find(|of| of.home == home) {
            Some(of) => of.waiting.push_back(draft),
            None => {
                let waiting = VecDeque::from([draft]);
                self.homes.push(OfHome { home, waiting, sent: Vec::new(), due_ms: 0 });
            }
        }
    }

    /// Whether every home has answered for everything.
    pub(super) fn is_done(&self) -> bool {
        self.homes.iter().all(|of| of.waiting.is_empty() && of.sent.is_empty())
    }

    /// The next run that may be handed on.
    pub(super) fn next_run(&mut self, now_ms: u64) -> Option<(HomeId, Vec<Draft>)> {
        let is_next =
            |of: &&mut OfHome| of.sent.is_empty() && !of.waiting.is_empty() && of.due_ms <= now_ms;
        let of = self.homes.iter_mut().find(is_next)?;
        let mut bytes = 0;
        let fits = |draft: &&Draft| {
            let is_first = bytes == 0;
            bytes += draft.held_bytes();
            is_first || bytes <= RUN_BYTES_MAX
        };
        let count = of.waiting.iter().take(SOURCE_RUN_EVENTS_MAX).take_while(fits).count();
        of.sent = of.waiting.drain(..count).collect();
        Some((of.home, of.sent.clone()))
    }

    /// When the next run may be handed on, if one waits for that alone.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let waits = self.homes.iter().filter(|of| of.sent.is_empty() && !of.waiting.is_empty());
        waits.map(|of| of.due_ms).min()
    }

    /// A home has answered for its run.
    pub(super) fn answered(
        &mut self,
        home: HomeId,
        results: &[PublishResult],
        now_ms: u64,
    ) -> Answered {
        let mut answered = Answered::default();
        let Some(of) = self.homes.iter_mut().find(|of| of.home == home) else { return answered };
        let mut results = results.iter();
        let mut again = Vec::new();
        for draft in std::mem::take(&mut of.sent) {
            match results.next() {
                Some(Ok(_)) => answered.taken += 1,
                Some(Err(code)) if !is_passing(*code) => answered.refused.push((draft, *code)),
                Some(Err(code)) => {
                    answered.again = Some(*code);
                    again.push(draft);
                }
                None => again.push(draft),
            }
        }
        if !again.is_empty() {
            of.due_ms = now_ms + SOURCE_RETRY_MS;
            again.into_iter().rev().for_each(|draft| of.waiting.push_front(draft));
        }
        answered
    }
}

/// Whether what is refused so may be taken later.
const fn is_passing(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Full
            | RefusalCode::DiskFull
            | RefusalCode::Unavailable
            | RefusalCode::RateLimited
            | RefusalCode::ShuttingDown
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Placed;
    use crate::event::Ack;
    use crate::event::Fields;
    use crate::event::Op;
    use crate::event::TopicName;

    fn draft(key: usize) -> Draft {
        Draft {
            topic: TopicName::new("a").unwrap(),
            key: key.to_string().into(),
            op: Op::Event,
            payload: bytes::Bytes::from_static(b"{}"),
            fields: Fields::default(),
            ack: Ack::default(),
            meta: None,
        }
    }

    fn taken(count: usize) -> Vec<PublishResult> {
        vec![Ok(Placed { offset: 1, time_us: 1 }); count]
    }

    fn keys(run: &[Draft]) -> Vec<usize> {
        run.iter().map(|draft| draft.key.parse().unwrap()).collect()
    }

    #[test]
    fn the_events_of_a_home_keep_their_order_however_often_it_has_no_room() {
        let mut underway = Underway::default();
        let count = SOURCE_RUN_EVENTS_MAX + 3;
        (0..count).for_each(|key| underway.push(HomeId(1), draft(key)));
        underway.push(HomeId(0), draft(7));
        let mut heard = Vec::new();
        for now_ms in 0.. {
            let Some((home, run)) = underway.next_run(now_ms) else {
                if underway.is_done() {
                    break;
                }
                assert!(underway.due_ms().unwrap() > now_ms);
                continue;
            };
            assert!(run.len() <= SOURCE_RUN_EVENTS_MAX);
            // Two of three times there is no room.
            if now_ms % 3 != 0 {
                let full = vec![Err(RefusalCode::Full); run.len()];
                let answered = underway.answered(home, &full, now_ms);
                assert_eq!((answered.taken, answered.again), (0, Some(RefusalCode::Full)));
                continue;
            }
            if home == HomeId(1) {
                heard.extend(keys(&run));
            }
            let answered = underway.answered(home, &taken(run.len()), now_ms);
            assert_eq!(answered.taken, run.len() as u64);
        }
        assert_eq!(heard, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_refused_for_good_is_handed_back_and_holds_nobody_up() {
        let mut underway = Underway::default();
        (0..3).for_each(|key| underway.push(HomeId(0), draft(key)));
        let (home, run) = underway.next_run(0).unwrap();
        assert_eq!(keys(&run), [0, 1, 2]);
        assert_eq!(underway.next_run(0), None, "one run at a time");
        assert!(!underway.is_done());
        let mut results = taken(1);
        results.push(Err(RefusalCode::TooManyTopics));
        results.extend(taken(1));
        let answered = underway.answered(home, &results, 0);
        assert_eq!((answered.taken, answered.again), (2, None));
        assert_eq!(answered.refused[0].1, RefusalCode::TooManyTopics);
        assert!(underway.is_done());
    }
}
