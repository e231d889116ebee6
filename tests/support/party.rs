//! A party that is no shard, in virtual time: it says what its script says, and may be slow, fail, answer out of order, or die.

use std::fmt;

use fanwire::clock::Now;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;

/// What it says to a message, and to whom.
type Script = Box<dyn FnMut(Mesh) -> Vec<(PartyId, Mesh)>>;

/// A number below the one given, by chance.
type Chance = Box<dyn FnMut(usize) -> usize>;

/// How it goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Each answer takes so long, in milliseconds.
    pub takes_ms: u64,
    /// One in so many messages is not answered at all; 0: all are.
    pub fails_one_in: usize,
    /// Answers that are due come in any order, and one may wait although a later one comes.
    pub reorders: bool,
    /// It hears no more after so many messages; what it has not said by then is never said.
    pub dies_after: Option<usize>,
}

pub struct Party {
    manner: Manner,
    script: Script,
    chance: Chance,
    /// When each answer is due.
    underway: Vec<(u64, PartyId, Mesh)>,
    /// What it has been told.
    pub heard: usize,
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Party").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Party {
    pub fn new(
        manner: Manner,
        chance: impl FnMut(usize) -> usize + 'static,
        script: impl FnMut(Mesh) -> Vec<(PartyId, Mesh)> + 'static,
    ) -> Self {
        let (chance, script) = (Box::new(chance), Box::new(script));
        Self { manner, script, chance, underway: Vec::new(), heard: 0 }
    }

    fn is_dead(&self) -> bool {
        self.manner.dies_after.is_some_and(|after| self.heard > after)
    }

    pub fn hear(&mut self, message: Mesh, now: Now) {
        self.heard += 1;
        let Manner { takes_ms, fails_one_in, .. } = self.manner;
        let fails = fails_one_in > 0 && (self.chance)(fails_one_in) == 0;
        if self.is_dead() {
            self.underway.clear();
        } else if !fails {
            let answers = (self.script)(message);
            let due_ms = now.mono_ms + takes_ms;
            self.underway.extend(answers.into_iter().map(|(to, answer)| (due_ms, to, answer)));
        }
    }

    /// What it says by now.
    pub fn answers(&mut self, now: Now) -> Vec<(PartyId, Mesh)> {
        let is_due = |(due_ms, ..): &(u64, PartyId, Mesh)| *due_ms <= now.mono_ms;
        let (mut due, later) = self.underway.drain(..).partition::<Vec<_>, _>(is_due);
        self.underway = later;
        if self.manner.reorders {
            for index in (1..due.len()).rev() {
                due.swap(index, (self.chance)(index + 1));
            }
        }
        due.into_iter().map(|(_, to, answer)| (to, answer)).collect()
    }
}
