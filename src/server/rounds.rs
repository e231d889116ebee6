//! Whether the cores of a server make their rounds: one that is stuck serves nobody, and nobody would know.
//!
//! Invariant: it looks, and waits for nothing.

use std::sync::Arc;

use super::Running;
use crate::admin::Board;

/// What is seen of a server's cores.
#[derive(Debug)]
pub struct Rounds {
    board: Arc<Board>,
    seen: Vec<u64>,
}

impl Running {
    /// The rounds of its cores, to be looked at from time to time.
    #[must_use]
    pub fn rounds(&self) -> Rounds {
        Rounds::new(&self.board)
    }
}

impl Rounds {
    fn new(board: &Arc<Board>) -> Self {
        Self { board: Arc::clone(board), seen: board.rounds() }
    }

    /// A core that has made no round since this was asked last, if there is one. A round takes a tenth of a second.
    pub fn stuck(&mut self) -> Option<usize> {
        let now = self.board.rounds();
        let stuck = self.seen.iter().zip(&now).position(|(before, now)| before == now);
        self.seen = now;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::FrontDesk;
    use crate::event::ShardId;
    use crate::shard::Pulse;
    use crate::shard::Stats;

    #[test]
    fn a_core_without_a_round_is_stuck() {
        let board = Arc::new(Board::new(2));
        let desks = [0, 1].map(|id| FrontDesk::new(ShardId(id), Arc::clone(&board)));
        let round = |shard: usize| desks[shard].note(&Stats::default(), &Pulse::default());
        let mut rounds = Rounds::new(&board);
        round(0);
        round(1);
        assert_eq!(rounds.stuck(), None);
        round(0);
        assert_eq!(rounds.stuck(), Some(1));
        round(1);
        assert_eq!(rounds.stuck(), Some(0));
    }
}
