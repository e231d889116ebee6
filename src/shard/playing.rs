//! Playback: the past told to a subscription at a pace of its own time, until it meets the present; paused, gone on with, and sought in.
//!
//! A playback is a replay whose pages are held until they are due ([`Player`]). While all subscriptions of a connection are in the past its class is asleep: the
//! matcher does not know it, so live events cost nothing on its account. Invariants: what is told has passed the filters that hold when it is told; a turn tells
//! live events first; after the answer to an update nothing comes of the place that was left; what is let go of is announced if it is not there when it is read again.

use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::past::Wanted;
use super::player::Asking;
use super::player::PastPart;
use super::player::Player;
use super::player::Taking;
use super::solo::Moving;
use super::solo::Replay;
use super::solo::ReplayTarget;
use super::solo::Solo;
use crate::clock::Now;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::HomeId;
use crate::limits::REPLAY_KEY_BYTES;
use crate::limits::UNITS_QUEUED;
use crate::position::Playback;
use crate::position::Seek;

impl Shard {
    /// Tells what is due of a connection's playbacks, asks for what comes next, and has it looked at again in time.
    pub(super) fn play(&mut self, id: ConnId, now: Now) {
        let serials: Vec<u32> = match self.conns.solo(id) {
            Some(solo) if solo.closing.is_none() => {
                let played = solo.replays.iter().filter(|replay| replay.player.is_some());
                played.map(|replay| replay.serial).collect()
            }
            _ => return,
        };
        if serials.is_empty() {
            return;
        }
        for serial in serials {
            self.play_one(id, serial, now);
        }
        self.telling.plays.plan(&mut self.conns, id);
    }

    fn play_one(&mut self, id: ConnId, serial: u32, now: Now) {
        let Some(reader) = self.conns.conn_ref(id) else { return };
        let Some(solo) = self.conns.solo_mut(id) else { return };
        // Whoever does not read, or whose filters have to rest, is told later, and asks for nothing more.
        if !solo.may_be_played(now) {
            return;
        }
        let Some(replay) = solo.replays.iter_mut().find(|replay| replay.serial == serial) else {
            return;
        };
        let (sub, Some(player)) = (replay.sub, &mut replay.player) else { return };
        let due = player.pop_due(now);
        let asking = player.asking(now);
        let is_over = due.is_empty() && player.is_over(now);
        replay.want(asking);
        if is_over && let Some(player) = replay.player.take() {
            let (let_go, asking) = player.into_asking();
            replay.let_go(&let_go);
            replay.want(asking);
        }
        if due.is_empty() {
            return;
        }
        self.telling.turn.spend(due.len() as u64 * UNITS_QUEUED);
        let mut events: Vec<Arc<Event>> = Vec::with_capacity(due.len());
        for part in due {
            match part {
                PastPart::Event(event) => events.push(event),
                PastPart::Gap(_, gap) => {
                    self.push_page_events(id, serial, sub, &std::mem::take(&mut events), now);
                    self.push_page_gap(id, serial, 1 << sub, gap);
                }
            }
        }
        self.push_page_events(id, serial, sub, &events, now);
        self.rest_after_page(reader, now);
        self.mark_solo(id);
    }

    /// Plays on for those for whom something is due, one in each turn, and more while nothing new waits to be told.
    pub(super) fn play_due(&mut self, now: Now) {
        let mut is_first = true;
        while is_first || !(self.may_tell() || self.telling.turn.is_spent()) {
            is_first = false;
            let Some(conn) = self.telling.plays.pop_due(now) else { return };
            if self.conns.find_ref(conn).is_some() {
                if let Some(solo) = self.conns.solo_mut(conn.id) {
                    solo.past.plays_ms = None;
                }
                self.ask_for_next_pages(conn.id, now);
                if let Some(solo) = self.conns.solo_mut(conn.id) {
                    solo.count_past();
                }
            }
        }
    }

    /// Moves a subscription in time, or changes the pace at which it is told of it.
    pub(super) fn seek(
        &mut self,
        id: ConnId,
        sub: u8,
        subscription: &Arc<Subscription>,
        seek: &Seek,
        now: Now,
    ) {
        if seek.since.is_some() {
            self.telling.shapings.begin_anew(&mut self.conns, id, sub);
        }
        let Some(solo) = self.conns.solo_mut(id) else { return };
        let replay = solo.replays.iter_mut().find(|replay| replay.sub == sub);
        let playback = seek.playback(replay.as_ref().and_then(|replay| replay.playback()));
        match (&seek.since, replay) {
            (Some(since), replay) => {
                let playback = playback.filter(|_| since.is_place_in_time());
                let moving = Moving { since: since.clone(), playback };
                let homes = self.shards.homes().of_patterns(&subscription.topics);
                match replay.filter(|replay| !replay.asked.is_empty()) {
                    // Pages of the place that was left are on their way, and a home is asked for one page at a time.
                    Some(replay) => {
                        replay.leave(homes.iter().fold(0, |set, home| set | 1 << home.0), moving);
                    }
                    None => self.move_to(id, sub, subscription, &moving, now),
                }
            }
            (None, Some(replay)) => replay.set_pace(playback, now),
            (None, None) => {}
        }
        self.sleep_or_wake(id);
        self.ask_for_next_pages(id, now);
    }

    /// Begins to tell a subscription of another place in time; of the one that was left no page is on its way.
    pub(super) fn move_to(
        &mut self,
        id: ConnId,
        sub: u8,
        subscription: &Arc<Subscription>,
        moving: &Moving,
        now: Now,
    ) {
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.replays.retain(|replay| replay.sub != sub);
        }
        let target = ReplayTarget { sub, is_live: false };
        self.begin_replay(id, target, subscription, (&moving.since, moving.playback), now);
    }

    /// A page has come of a place that was left: it is not told. With the last one the new place begins.
    pub(super) fn page_left(&mut self, id: ConnId, serial: u32, home: HomeId, now: Now) {
        let Some(replay) = self.conns.replay_of(id, serial) else { return };
        replay.asked.retain(|asked| asked.home != home);
        if !replay.asked.is_empty() {
            return;
        }
        let (sub, moving) = (replay.sub, replay.moving.take());
        let subscription = self.subs_of(id).get(usize::from(sub)).cloned();
        if let (Some(moving), Some(subscription)) = (moving, subscription) {
            self.move_to(id, sub, &subscription, &moving, now);
        }
    }

    /// Has the matcher know a connection's subscriptions, or not: while all of them are in the past, no live event is for them.
    pub(super) fn sleep_or_wake(&mut self, id: ConnId) {
        let class = self.conns.find(id).and_then(|conn| conn.class);
        let Some(class) = class.and_then(|class| self.classes.find(class)) else { return };
        let solo = self.conns.solo(id);
        if class.key.is_asleep != solo.is_some_and(|solo| solo.is_all_past(class.key.subs.len())) {
            let subs = self.subs_of(id).into_owned();
            self.enter_class(id, subs);
        }
    }
}

/// Whether a running subscription can be moved so.
///
/// # Errors
/// If there is nothing that could go at another pace.
pub(super) fn check_seek(solo: Option<&Solo>, sub: u8, seek: &Seek) -> Result<(), Refusal> {
    let replays = solo.map_or(&[][..], |solo| &solo.replays);
    let replay = replays.iter().find(|replay| replay.sub == sub);
    let is_played = replay.is_some_and(|replay| replay.playback().is_some());
    if is_played || seek.since.is_some() || seek.is_empty() {
        return Ok(());
    }
    let field = if seek.speed.is_some() { "speed" } else { "max_gap_ms" };
    let message = format_args!(
        "`{field}` needs `since`: this subscription is told nothing of the past at a pace of its own time"
    );
    Err(Refusal::of(RefusalCode::BadField, field, message))
}

impl Replay {
    /// A page has come: what is due soon of it is held.
    pub(super) fn take_to_play(&mut self, taking: Taking, now: Now) {
        let Some(player) = &mut self.player else { return };
        let let_go = player.take(taking, now);
        self.let_go(&let_go);
    }

    /// How the replay is played, or will be once it has moved.
    pub(super) fn playback(&self) -> Option<Playback> {
        match &self.moving {
            Some(moving) => moving.playback,
            None => self.player.as_deref().map(Player::playback),
        }
    }

    /// Has a replay told no longer of where it is: it moves when the pages that were asked for have come.
    fn leave(&mut self, homes: u128, moving: Moving) {
        self.homes = homes;
        self.is_live = false;
        self.began_us.clear();
        self.next.clear();
        self.player = None;
        self.untold = None;
        self.moving = Some(Box::new(moving));
    }

    /// Has a replay told at another pace from here on; `None`: as fast as it can be.
    fn set_pace(&mut self, playback: Option<Playback>, now: Now) {
        if let Some(moving) = &mut self.moving {
            moving.playback = playback.map(|playback| Playback {
                from_us: moving.playback.map_or(0, |before| before.from_us),
                ..playback
            });
            return;
        }
        let Some(player) = &mut self.player else { return };
        let (let_go, asking) = match playback {
            Some(Playback { speed, gap_ms_max, .. }) => {
                player.set_gap_ms_max(gap_ms_max);
                (player.set_speed(speed, now), Vec::new())
            }
            None => self.player.take().map(|player| player.into_asking()).unwrap_or_default(),
        };
        if let Some(player) = self.player.as_mut().filter(|player| player.is_paused()) {
            self.next.drain(..).for_each(|wanted| player.not_asked(wanted.home));
        }
        self.let_go(&let_go);
        self.want(asking);
    }

    fn want(&mut self, asking: Vec<Asking>) {
        let is_played = self.player.is_some();
        self.next.extend(asking.into_iter().map(|(home, read, after_us)| match is_played {
            true => Wanted::ahead(home, read, after_us),
            false => Wanted::new(home, read, after_us),
        }));
    }

    /// Events that were on a page are read again later: where nothing of their topic was told yet, what goes meanwhile is missed from there on.
    fn let_go(&mut self, events: &[Arc<Event>]) {
        for event in events {
            if !self.sent.contains_key(&event.topic) {
                self.state_bytes += REPLAY_KEY_BYTES + event.topic.as_str().len();
                self.sent.insert(event.topic.clone(), event.previous);
            }
        }
    }
}
