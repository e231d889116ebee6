//! One core's world: its connections, its classes, the topics at home here. A state machine without I/O, clock or async.
//!
//! Bytes, messages and the time come in; bytes for sockets and messages for other shards are asked for. Invariants: [`Shard::work`] never
//! blocks and never fails; one subscriber's state never costs another; every list in here has a bound in `limits`.

mod access;
mod addresses;
mod allowance;
mod arrivals;
mod brake;
mod class;
mod codec;
mod confine;
mod conns;
mod deadlines;
mod doors;
mod encoded;
mod fanout;
mod figures;
mod flush;
mod forced;
mod home;
mod ingest;
mod input;
mod intake;
mod keys;
mod lanes;
mod large;
mod lifecycle;
mod own;
mod pace;
mod past_room;
mod peer;
mod publish;
mod pump;
mod reads;
mod registrar;
mod relief;
mod replay;
mod roll;
mod session;
mod settings;
mod shape;
mod snapshot;
mod solo;
mod spending;
mod stats;
mod subscribe;
mod tickets;
mod tokens;
mod topics;
mod turn;
mod voice;
mod want;
mod work;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

pub use access::Access;
pub use access::Listeners;
pub use allowance::Ask;
pub use doors::routes_page;
pub use figures::FIGURES;
pub use figures::Figure;
pub use figures::FigureKind;
pub use input::Address;
pub use input::Began;
pub use input::ConnId;
pub use input::ConnRef;
pub use input::Entry;
pub use input::Mesh;
pub use input::PageAnswer;
pub use input::Port;
pub use input::PublishRun;
pub use input::PublishedRun;
pub use input::ReadWish;
pub use lanes::Lane;
pub use lanes::Message;
pub use lanes::Parcel;
pub use lanes::PartyId;
pub use lanes::Pending;
pub use peer::Peer;
pub use session::AdminRequest;
pub use session::Response;
pub use settings::Bounds;
pub use settings::Durable;
pub use settings::MemoryBounds;
pub use settings::OwnEvents;
pub use settings::Settings;
pub use stats::Stats;

use crate::auth::Verifier;
use crate::batch::Budget;
use crate::batch::Frames;
use crate::batch::LargeEvents;
use crate::clock::Now;
use crate::event::HomeId;
use crate::event::Homes;
use crate::event::ShardId;
use crate::limits::ADDRESS_CONNECTIONS_SPARE;
use crate::matcher::Matcher;
use crate::wire::decoder::Inbound;
use crate::wire::http::HttpDate;

/// Where a shard's bytes go.
pub trait Sink {
    /// Hands bytes to a connection's socket, which never blocks.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent;

    /// The same with bytes that lie in several places, at most [`PIECES_PER_SEND_MAX`](crate::limits::PIECES_PER_SEND_MAX) of them.
    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent;
}

/// What a socket did with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It took so many. Fewer than it was given, or none: it is full, and will say when it is writable.
    Took(usize),
    /// Its peer is gone.
    Closed,
}

/// One core's world.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    shard_count: u16,
    homes: Homes,
    settings: Settings,
    epoch: Arc<str>,
    conns: conns::Conns,
    addresses: addresses::Addresses,
    classes: class::Classes,
    matcher: Matcher,
    home: home::Home,
    /// Up to which stamp of each home shard everything was fanned out here.
    cursor: Vec<u64>,
    /// Messages for each other party.
    outgoing: lanes::Outgoing<Mesh>,
    arrived: arrivals::Arrivals,
    /// Requests for pages that wait until there is room and time for them.
    reads: reads::Reads,
    frames: Frames,
    large: LargeEvents,
    events_since_flush: usize,
    /// What the classes gathered last, on its way to their members.
    flight: flush::Flight,
    turn: turn::Turn,
    brake: brake::Brake,
    /// Events that had arrived when the round began and are not fanned out.
    ungathered: usize,
    /// Bytes of events that were queued for solo connections since the last flight began: the sum over events, not over connections.
    queued_bytes: usize,
    /// So much waits for some class that it must go out.
    is_class_full: bool,
    /// Classes with frames waiting.
    dirty: Vec<class::ClassId>,
    /// Solo connections to be looked at.
    queue: pump::Queue,
    batch_deadlines: deadlines::Schedule<class::ClassId>,
    /// What connections asked and other shards have not answered.
    tickets: tickets::Tickets,
    /// What publishers may still publish, as far as the registrar has handed it out.
    allowances: allowance::Allowances,
    /// Uploads that found everything full, and when they try again.
    held: deadlines::Deadlines<ConnRef>,
    resumed: Vec<ConnId>,
    gone: VecDeque<ConnId>,
    admin: VecDeque<(ConnRef, AdminRequest)>,
    inbound: Inbound,
    /// Connections that have said more than could be carried out at once, and go on in the next turn; and bytes of what was carried out in this.
    unheard: VecDeque<ConnRef>,
    heard_bytes: usize,
    /// What is held of what has come in part.
    intake: intake::Intake,
    tokens: tokens::Tokens,
    registrar: registrar::Registrar,
    own: own::Own,
    /// When it is, as answers say it: set with every accepted connection and every tick.
    date: HttpDate,
    replay_serial: u32,
    stream_epoch: u32,
    swept: u32,
    /// What all outboxes may hold together.
    outboxes: Rc<Budget>,
    relief: relief::Relief,
    /// What all replays may hold together, and who waits.
    past_room: past_room::PastRoom,
    stopping: Option<lifecycle::Stopping>,
    stats: Stats,
    pace_deadlines: deadlines::Schedule<ConnRef>,
    spending: spending::Spending,
    /// Connections whose replays rest, since their filters have worked enough for a while.
    rests: deadlines::Deadlines<ConnRef>,
    insiders: shape::Insiders,
    /// Bytes of what is remembered of paced and leaving subscriptions.
    shaping_bytes: usize,
    ingest: ingest::Ingest,
    codec: Rc<codec::Codec>,
    scratch: fanout::Scratch,
    scratch_alone: encoded::Encoded,
    full: Vec<ConnId>,
    /// What is being said, until its length is known.
    reply_scratch: Vec<u8>,
    pump_scratch: pump::Scratch,
}

impl Shard {
    /// An empty shard. All shards of a process share an epoch.
    #[must_use]
    pub fn new(id: ShardId, shard_count: u16, settings: Settings, epoch: Arc<str>) -> Self {
        let codec = Rc::new(codec::Codec::new(Arc::clone(&settings.views)));
        let (outgoing_bytes, arrived_bytes, _) = settings.memory.mesh_parts();
        let outboxes = Budget::new(settings.outboxes_bytes_max);
        let durable = settings
            .durable
            .as_ref()
            .map_or_else(Arc::default, |durable| Arc::clone(&durable.topics));
        let homes = Homes::new(shard_count, durable);
        let home = home::Home::new(
            HomeId::volatile(id),
            homes.clone(),
            settings.home_bounds(),
            settings.retention,
        );
        let rates_max = settings.memory.rates_max();
        Self {
            id,
            shard_count,
            tokens: tokens::Tokens::new(&settings),
            registrar: registrar::Registrar::new(settings.access.limits, rates_max),
            own: own::Own::default(),
            home,
            past_room: past_room::PastRoom::new(settings.memory.replays_bytes_max),
            intake: intake::Intake::new(settings.memory.input_bytes_max),
            settings,
            epoch,
            conns: conns::Conns::default(),
            addresses: addresses::Addresses::default(),
            classes: class::Classes::default(),
            matcher: Matcher::default(),
            // Not 0, which would be "not known": of a home that has told nothing yet, nothing is missing.
            cursor: vec![1; homes.count()],
            outgoing: lanes::Outgoing::new(outgoing_bytes),
            arrived: arrivals::Arrivals::new(arrived_bytes),
            reads: reads::Reads::new(shard_count),
            frames: Frames::default(),
            large: LargeEvents::within(&outboxes),
            events_since_flush: 0,
            flight: flush::Flight::default(),
            turn: turn::Turn::default(),
            brake: brake::Brake::default(),
            ungathered: 0,
            queued_bytes: 0,
            is_class_full: false,
            dirty: Vec::new(),
            queue: pump::Queue::default(),
            batch_deadlines: deadlines::Schedule::default(),
            tickets: tickets::Tickets::default(),
            allowances: allowance::Allowances::within(rates_max),
            held: deadlines::Deadlines::default(),
            resumed: Vec::new(),
            gone: VecDeque::new(),
            admin: VecDeque::new(),
            inbound: Inbound::default(),
            unheard: VecDeque::new(),
            heard_bytes: 0,
            date: HttpDate::default(),
            replay_serial: 0,
            stream_epoch: 0,
            swept: 0,
            outboxes,
            relief: relief::Relief::default(),
            stopping: None,
            stats: Stats::default(),
            pace_deadlines: deadlines::Schedule::default(),
            spending: spending::Spending::default(),
            rests: deadlines::Deadlines::default(),
            insiders: shape::Insiders::default(),
            shaping_bytes: 0,
            ingest: ingest::Ingest::new(shard_count),
            scratch: fanout::Scratch::new(&codec),
            scratch_alone: encoded::Encoded::new(&codec),
            full: Vec::new(),
            reply_scratch: Vec::new(),
            pump_scratch: pump::Scratch::new(&codec),
            codec,
            homes,
        }
    }

    /// A socket was accepted on one of the listeners. `None`: there are as many as there may be; it is to be closed.
    pub fn open(&mut self, port: Port, peer: impl Into<Peer>, now: Now) -> Option<ConnRef> {
        let Peer { address, certificate } = peer.into();
        if self.conns.len() >= self.settings.connections_max || self.stopping.is_some() {
            return None;
        }
        let most = self.settings.access.limits.address_connections;
        if !self.addresses.enter(address, most.saturating_add(ADDRESS_CONNECTIONS_SPARE)) {
            tracing::debug!(peer = %address, "its address has too many connections");
            return None;
        }
        self.date.set(now.wall_us / 1_000_000);
        self.stats.connections_opened += 1;
        let heard_s = lifecycle::seconds(now);
        let conn = self.conns.insert(session::Session::new(port), address, heard_s);
        let named = certificate.and_then(|shown| self.settings.access.certified.find(&shown));
        if let (Some(named), Some(opened)) = (named, self.conns.find_mut(conn.id)) {
            opened.named = Some(Box::new(named));
        }
        Some(conn)
    }

    /// Takes in a message of another party.
    pub fn inbox(&mut self, message: Mesh, now: Now) {
        match message {
            Mesh::Events(events) => self.arrived.push_events(events),
            Mesh::Page(answer) => self.arrived.push_page(answer),
            Mesh::Publish(run) => self.publish_here(*run, now),
            Mesh::Published(answer) => self.home_answered(*answer, now),
            Mesh::Read(wish) => self.read_here(wish, now),
            Mesh::Enter(entry) => self.enter_here(&entry, now),
            Mesh::Entered { conn, result } => self.entered(conn, result, now),
            Mesh::Leave(address) => self.leave(address),
            Mesh::Revoke(what) => self.revoke_here(*what, now),
            // This shard fetches none.
            Mesh::KeysWanted => {}
            // This shard is no store, and none was asked.
            Mesh::Store(_) | Mesh::StoreSays(_) => {}
            Mesh::Ask(ask) => self.grant(*ask, now),
            Mesh::Granted { conn, publisher, events } => {
                self.granted(conn, *publisher, events, now);
            }
            Mesh::Keys(verifier) => self.take_keys(verifier),
            Mesh::Interest(shard, interest) => self.ingest.learn(shard, interest),
            Mesh::AskTopics(asker, listing) => self.tell_topics(asker, &listing),
            Mesh::Topics { conn, topics } => self.topics_told(conn, topics, now),
        }
    }

    /// The messages that wait for another party; what its inbox does not take stays, in order.
    pub fn mesh_pending(&mut self, to: PartyId) -> &mut Pending<Mesh> {
        self.outgoing.to(to)
    }

    /// A connection that wants its input again; it may have unread bytes.
    pub fn poll_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// A connection whose socket is to be closed. Its place is free from now on.
    pub fn poll_gone(&mut self) -> Option<ConnId> {
        let id = self.gone.pop_front()?;
        if let Some(conn) = self.conns.remove(id) {
            self.addresses.leave(conn.peer);
        }
        Some(id)
    }

    /// A request that is answered outside of the core, through [`Shard::answer`].
    pub fn poll_admin(&mut self) -> Option<(ConnRef, AdminRequest)> {
        self.admin.pop_front()
    }

    /// The keys that tokens are checked with are others now. Who is connected stays.
    fn take_keys(&mut self, verifier: Arc<Verifier>) {
        Arc::make_mut(&mut self.settings.access).verifier = Some(verifier);
    }

    /// When `work` must be called at the latest, in milliseconds since the start.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        let stopping = self.stopping.as_ref().and_then(lifecycle::Stopping::due_ms);
        [
            self.batch_deadlines.next_ms(),
            self.pace_deadlines.next_ms(),
            self.held.next_ms(),
            self.rests.next_ms(),
            self.brake.due_ms(),
            stopping,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What has been counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let held = self.home.held();
        Stats {
            connections: self.conns.len() as u64,
            classes: self.classes.len() as u64,
            topics: self.home.topic_count() as u64,
            history_events: held.events,
            history_bytes: held.bytes,
            history_keys: held.keys,
            deflate_streams: self.classes.streams() as u64,
            input_bytes: self.intake.held() as u64,
            ..self.stats
        }
    }
}
