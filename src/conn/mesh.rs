//! What ties the parties to one another: an inbox of two lanes and a doorbell for each, and in which order a turn takes in what was said.
//!
//! Invariants: between two parties the messages of a lane arrive in the order in which they were handed on; what is handed on in the control
//! lane is there before what is handed on after it in the data lane, and holds before any of that data is told; control is taken whether there
//! is room for data or not; an inbox is bounded in messages and in bytes, a turn takes no more than an inbox holds, and who finds it
//! full keeps what it has. Nobody waits here.

use std::io;
use std::sync::Arc;

use super::doorbell::Doorbell;
use super::sync::AtomicUsize;
use super::sync::Ordering;
use super::sync::Receiver;
use super::sync::Sender;
use super::sync::TrySendError;
use super::sync::bounded;
use super::world::World;
use crate::clock::Now;
use crate::limits::INBOX_BYTES_MAX;
use crate::limits::INBOX_MESSAGES_MAX;
use crate::limits::INBOX_PER_TURN_MAX;
use crate::shard::Lane;
use crate::shard::Message;
use crate::shard::Parcel;
use crate::shard::Pending;

/// One end of a lane into an inbox.
#[derive(Debug)]
struct Slot<M> {
    parcels: Sender<Parcel<M>>,
    /// Bytes that are in it.
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The receiving end of a lane, in an inbox.
#[derive(Debug)]
struct Tray<M> {
    parcels: Receiver<Parcel<M>>,
    bytes: Arc<AtomicUsize>,
}

/// A party, as one that has something to tell it sees it.
#[derive(Debug)]
pub struct Peer<M> {
    control: Slot<M>,
    data: Slot<M>,
    pub(super) doorbell: Arc<Doorbell>,
}

/// What a party has been told.
#[derive(Debug)]
pub struct Inbox<M> {
    control: Tray<M>,
    data: Tray<M>,
}

/// What ties a party to the others.
#[derive(Debug)]
pub struct Links<M> {
    pub inbox: Inbox<M>,
    pub doorbell: Arc<Doorbell>,
    /// Every party's, in the order of their ids, this one's too.
    pub peers: Vec<Peer<M>>,
    /// How many cores have something left to finish: none leaves before the last, for another may still need it as a home.
    pub unfinished: Arc<AtomicUsize>,
}

/// What became of what waited for a party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOn {
    /// Something was.
    pub any: bool,
    /// Something was not: the inbox is full.
    pub is_stuck: bool,
}

fn lane<M>(bytes_max: usize) -> (Slot<M>, Tray<M>) {
    let (sender, receiver) = bounded(INBOX_MESSAGES_MAX);
    let bytes = Arc::new(AtomicUsize::new(0));
    let slot = Slot { parcels: sender, bytes: Arc::clone(&bytes), bytes_max };
    (slot, Tray { parcels: receiver, bytes })
}

impl<M> Clone for Slot<M> {
    fn clone(&self) -> Self {
        Self {
            parcels: self.parcels.clone(),
            bytes: Arc::clone(&self.bytes),
            bytes_max: self.bytes_max,
        }
    }
}

impl<M> Clone for Peer<M> {
    fn clone(&self) -> Self {
        Self {
            control: self.control.clone(),
            data: self.data.clone(),
            doorbell: Arc::clone(&self.doorbell),
        }
    }
}

impl<M> Slot<M> {
    /// Puts a parcel in; gives it back if there is no room. To a party that has left nothing can be told: that is no failure.
    fn put(&self, parcel: Parcel<M>) -> Result<(), Parcel<M>> {
        let weight_bytes = parcel.weight_bytes;
        // Counted first, so that the receiver never takes out more than was put in.
        let before = self.bytes.fetch_add(weight_bytes, Ordering::AcqRel);
        let is_over = before > 0 && before.saturating_add(weight_bytes) > self.bytes_max;
        let back = if is_over {
            Some(parcel)
        } else {
            match self.parcels.try_send(parcel) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(parcel)) => Some(parcel),
                Err(TrySendError::Disconnected(_)) => None,
            }
        };
        self.bytes.fetch_sub(weight_bytes, Ordering::AcqRel);
        back.map_or(Ok(()), Err)
    }
}

impl<M> Tray<M> {
    fn take(&self) -> Option<M> {
        let Parcel { message, weight_bytes } = self.parcels.try_recv().ok()?;
        self.bytes.fetch_sub(weight_bytes, Ordering::AcqRel);
        Some(message)
    }
}

impl<M> Inbox<M> {
    /// The next message of a lane.
    #[must_use]
    pub fn take(&self, lane: Lane) -> Option<M> {
        self.tray(lane).take()
    }

    /// Whether nothing is there in a lane.
    #[must_use]
    pub fn is_empty(&self, lane: Lane) -> bool {
        self.tray(lane).parcels.is_empty()
    }

    const fn tray(&self, lane: Lane) -> &Tray<M> {
        match lane {
            Lane::Control => &self.control,
            Lane::Data => &self.data,
        }
    }
}

impl<M: Message> Peer<M> {
    /// Hands on what waits for this party, as far as there is room: control first, and no data before all of it.
    pub fn hand_on(&self, pending: &mut Pending<M>) -> HandedOn {
        let mut handed = HandedOn::default();
        for lane in Lane::ALL {
            let slot = match lane {
                Lane::Control => &self.control,
                Lane::Data => &self.data,
            };
            while let Some(parcel) = pending.pop(lane) {
                if let Err(parcel) = slot.put(parcel) {
                    pending.put_back(parcel);
                    handed.is_stuck = true;
                    break;
                }
                handed.any = true;
            }
            if handed.is_stuck {
                break;
            }
        }
        if handed.any {
            self.doorbell.ring();
        }
        handed
    }
}

/// Takes in what there is, for one turn; true if there was something. `next` takes the next message of a lane.
pub fn take_in<W: World>(
    world: &mut W,
    next: &mut impl FnMut(Lane) -> Option<W::Message>,
    now: Now,
) -> bool {
    let had_control = take_control(world, next, now);
    let mut had_data = false;
    for _ in 0..INBOX_PER_TURN_MAX {
        if !world.wants_inbox() {
            break;
        }
        let Some(message) = next(Lane::Data) else { break };
        world.inbox(message, now);
        had_data = true;
    }
    // What was handed on before this data is there by now: a publisher is answered before it hears its event.
    let has_more = had_data && take_control(world, next, now);
    had_control | had_data | has_more
}

/// Takes all that was in the control lane when this began.
fn take_control<W: World>(
    world: &mut W,
    next: &mut impl FnMut(Lane) -> Option<W::Message>,
    now: Now,
) -> bool {
    for count in 0..INBOX_MESSAGES_MAX {
        let Some(message) = next(Lane::Control) else { return count > 0 };
        world.inbox(message, now);
    }
    true
}

/// Everyone's links, in the order of their ids; the first so many are cores. Each lane of an inbox takes so many bytes, and at most
/// `INBOX_BYTES_MAX`. Call before any thread has a table of descriptors of its own.
///
/// # Errors
/// If the process has no descriptors left for their doorbells.
pub fn weave<M>(
    party_count: u16,
    core_count: u16,
    inbox_bytes_max: usize,
) -> io::Result<Vec<Links<M>>> {
    let bytes_max = inbox_bytes_max.min(INBOX_BYTES_MAX);
    let unfinished = Arc::new(AtomicUsize::new(usize::from(core_count)));
    let (mut peers, mut inboxes) = (Vec::new(), Vec::new());
    for _ in 0..party_count {
        let ((control, control_tray), (data, data_tray)) = (lane(bytes_max), lane(bytes_max));
        peers.push(Peer { control, data, doorbell: Arc::new(Doorbell::new()?) });
        inboxes.push(Inbox { control: control_tray, data: data_tray });
    }
    let links = inboxes.into_iter().zip(&peers).map(|(inbox, own)| Links {
        inbox,
        doorbell: Arc::clone(&own.doorbell),
        peers: peers.clone(),
        unfinished: Arc::clone(&unfinished),
    });
    Ok(links.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Note(Lane, u32, usize);

    impl Message for Note {
        fn lane(&self) -> Lane {
            self.0
        }

        fn weight_bytes(&self) -> usize {
            self.2
        }

        fn is_past(&self) -> bool {
            false
        }
    }

    fn taken(inbox: &Inbox<Note>, lane: Lane) -> Vec<u32> {
        std::iter::from_fn(|| inbox.take(lane)).map(|note| note.1).collect()
    }

    #[test]
    fn a_full_data_lane_holds_no_control_up_and_a_full_control_lane_holds_data_up() {
        let links = weave::<Note>(2, 2, INBOX_BYTES_MAX).unwrap();
        let (to, inbox) = (&links[0].peers[1], &links[1].inbox);
        let mut pending = Pending::default();
        for number in 0..600 {
            pending.push(Note(Lane::Data, number, 1));
        }
        assert_eq!(to.hand_on(&mut pending), HandedOn { any: true, is_stuck: true });
        pending.push(Note(Lane::Control, 1, 1));
        assert!(to.hand_on(&mut pending).any);
        assert_eq!(taken(inbox, Lane::Control), [1]);
        assert_eq!(taken(inbox, Lane::Data), (0..512).collect::<Vec<_>>());
        // An answer that does not fit keeps back what was spread after it.
        for number in 0..513 {
            pending.push(Note(Lane::Control, number, 1));
        }
        assert!(to.hand_on(&mut pending).is_stuck);
        assert!(inbox.is_empty(Lane::Data));
        assert_eq!(taken(inbox, Lane::Control).len(), 512);
        assert_eq!(to.hand_on(&mut pending), HandedOn { any: true, is_stuck: false });
        assert_eq!(taken(inbox, Lane::Control), [512]);
        assert_eq!(taken(inbox, Lane::Data), (512..600).collect::<Vec<_>>());
    }

    #[test]
    fn an_inbox_is_bounded_in_bytes_but_for_one_message() {
        let links = weave::<Note>(3, 2, usize::MAX).unwrap();
        let inbox = &links[2].inbox;
        let mut pending = Pending::default();
        pending.push(Note(Lane::Data, 0, INBOX_BYTES_MAX + 1));
        pending.push(Note(Lane::Data, 1, 1));
        assert_eq!(links[0].peers[2].hand_on(&mut pending), HandedOn { any: true, is_stuck: true });
        let mut others = Pending::default();
        others.push(Note(Lane::Data, 2, 1));
        assert!(links[1].peers[2].hand_on(&mut others).is_stuck, "it is full for everyone");
        assert_eq!(taken(inbox, Lane::Data), [0]);
        assert!(!links[0].peers[2].hand_on(&mut pending).is_stuck);
        assert!(!links[1].peers[2].hand_on(&mut others).is_stuck);
        assert_eq!(taken(inbox, Lane::Data), [1, 2]);
    }

    #[test]
    fn what_is_told_to_one_that_has_left_is_gone() {
        let mut links = weave::<Note>(2, 1, INBOX_BYTES_MAX).unwrap();
        drop(links.pop());
        let to = links[0].peers[1].clone();
        let mut pending = Pending::default();
        pending.push(Note(Lane::Control, 0, INBOX_BYTES_MAX));
        pending.push(Note(Lane::Control, 1, INBOX_BYTES_MAX));
        assert!(!to.hand_on(&mut pending).is_stuck);
        assert!(pending.is_empty());
    }
}
