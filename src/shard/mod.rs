//! One core's world: its connections, its classes, the topics at home here. A state machine without I/O, clock or async.
//!
//! Bytes, messages and the time come in; bytes for sockets and messages for other shards are asked for. Invariants: [`Shard::work`] never
//! blocks and never fails; one subscriber's state never costs another; every list in here has a bound in `limits`.

mod access;
mod addresses;
mod allowance;
mod arrivals;
mod batches;
mod bookmark;
mod brake;
mod chunk;
mod claims;
mod class;
mod classes;
mod closes;
mod codec;
mod confine;
mod conns;
mod deadlines;
mod doors;
mod draining;
mod durable;
mod encoded;
mod fanout;
mod farewell;
mod figures;
mod flight;
mod forced;
mod gathered;
mod groups;
mod histogram;
mod hold;
mod home;
mod hooked;
mod ingest;
mod input;
mod inquiry;
mod intake;
mod keeping;
mod kept;
mod keys;
mod lanes;
mod large;
mod latency;
mod life;
mod lifecycle;
mod missed;
mod mixed;
mod names;
mod operator;
mod outlasting;
mod own;
mod pace;
mod passed_on;
mod past;
mod past_room;
mod past_told;
mod peer;
mod player;
mod playing;
mod plays;
mod publish;
mod pump;
mod reads;
mod registrar;
mod relief;
mod renewal;
mod replay;
mod returns;
mod rights;
mod roll;
mod rows;
mod rows_rights;
mod runs;
mod session;
mod settings;
mod shape;
mod shaped;
mod shaping;
mod shards;
mod sharing;
mod sight;
mod sink;
mod snapshot;
mod solo;
mod solos;
mod spending;
mod stats;
mod subscribe;
mod tally;
mod telling;
mod tickets;
mod tokens;
mod topics;
mod transport;
mod turn;
mod untold;
mod voice;
mod want;
mod window;
mod work;

use std::sync::Arc;

pub use access::Access;
pub use access::Listeners;
pub use bookmark::Bookmark;
pub use bookmark::ClientName;
pub use doors::routes_page;
pub use figures::FIGURES;
pub use figures::Figure;
pub use figures::FigureKind;
pub use histogram::BUCKETS_US;
pub use histogram::Histogram;
pub use histogram::Pulse;
pub use input::Address;
pub use input::AdminRequest;
pub use input::AllowanceAsk;
pub use input::Began;
pub use input::Claimant;
pub use input::ConnId;
pub use input::ConnRef;
pub use input::EntryRequest;
pub use input::Mesh;
pub use input::PageAnswer;
pub use input::Port;
pub use input::PublishRun;
pub use input::PublishedRun;
pub use input::ReadRequest;
pub use input::conn_of;
pub use inquiry::ConnName;
pub use inquiry::Finding;
pub use inquiry::Findings;
pub use inquiry::Inquiry;
pub use lanes::Lane;
pub use lanes::Message;
pub use lanes::Parcel;
pub use lanes::PartyId;
pub use lanes::Pending;
pub use passed_on::Proxies;
pub use peer::Peer;
pub use returns::Elsewhere;
pub use returns::Returns;
pub use session::CHALLENGE_PATH;
pub use session::Response;
pub use settings::Bounds;
pub use settings::Durable;
pub use settings::Hooks;
pub use settings::MemoryBounds;
pub use settings::OwnEvents;
pub use settings::Settings;
pub use settings::Tables;
pub use sink::Sent;
pub use sink::Sink;
pub use stats::Behind;
pub use stats::Deflated;
pub use stats::SessionsLeft;
pub use stats::Stats;
pub use tally::STATUSES;
pub use tally::Spoken;
pub use tally::Tally;
pub use work::Done;

use crate::auth::Verifier;
use crate::clock::Now;
use crate::event::ShardId;
use crate::history::Held;
use crate::limits::ADDRESS_CONNECTIONS_SPARE;

/// One core's world.
#[derive(Debug)]
pub struct Shard {
    shards: shards::Shards,
    settings: Settings,
    conns: conns::Conns,
    life: life::Life,
    classes: classes::Classes,
    home: home::Home,
    /// Where durable topics are put in order, if there are any.
    durable: Option<Box<durable::DurableHome>>,
    /// Messages for each other party.
    outgoing: lanes::Outgoing<Mesh>,
    arrived: arrivals::Arrivals,
    /// Requests for pages that wait until there is room and time for them.
    reads: reads::Reads,
    telling: telling::Telling,
    /// What is held of what has come in part.
    intake: intake::Intake,
    rights: rights::Rights,
    stats: Stats,
}

impl Shard {
    /// An empty shard. All shards of a process share an epoch.
    #[must_use]
    pub fn new(id: ShardId, shard_count: u16, settings: Settings, epoch: Arc<str>) -> Self {
        let (outgoing_bytes, arrived_bytes, _) = settings.memory.mesh_parts();
        let homes = settings.homes(shard_count);
        let home = home::Home::volatile(id, &homes, &settings);
        let durable = durable::DurableHome::of(id, &homes, &settings);
        Self {
            rights: rights::Rights::new(&settings),
            home,
            durable,
            intake: intake::Intake::new(settings.memory.input_bytes_max, shard_count),
            telling: telling::Telling::new(&settings, homes.count(), Arc::clone(&epoch)),
            outgoing: lanes::Outgoing::new(shard_count, outgoing_bytes),
            arrived: arrivals::Arrivals::new(arrived_bytes),
            reads: reads::Reads::new(shard_count),
            shards: shards::Shards::new(id, homes, epoch),
            settings,
            conns: conns::Conns::default(),
            life: life::Life::default(),
            classes: classes::Classes::default(),
            stats: Stats::default(),
        }
    }

    /// A socket was accepted on one of the listeners. `None`: there are as many as there may be; it is to be closed.
    pub fn open(&mut self, port: Port, peer: impl Into<Peer>, now: Now) -> Option<ConnRef> {
        let Peer { address, certificate, is_passed_on, is_encrypted } = peer.into();
        if self.life.is_stopping() {
            return None;
        }
        if self.conns.len() >= self.settings.connections_max {
            self.stats.connections_refused += 1;
            let message = format_args!("there are as many connections as there may be");
            self.tell_log_of(None, "warning", "limits", message, now);
            return None;
        }
        // A proxy that is trusted speaks for many: whom it speaks for is counted, once that is known.
        let is_proxy = self.settings.access.proxies.trusted.contain(address);
        let most = self.settings.access.limits.address_connections;
        let most = most.saturating_add(ADDRESS_CONNECTIONS_SPARE);
        let (session, heard_s) = (session::Session::new(port), deadlines::seconds(now));
        let counted = (!is_proxy).then_some(most);
        let Some(conn) = self.conns.insert(session, (address, counted), heard_s) else {
            tracing::debug!(peer = %address, "its address has too many connections");
            self.stats.connections_refused += 1;
            return None;
        };
        self.life.set_date(now);
        self.stats.connections_opened += 1;
        let named = certificate.and_then(|shown| self.settings.access.certified.find(&shown));
        if let Some(opened) = self.conns.find_mut(conn.id) {
            if named.is_some() {
                opened.caller.origin.get_or_insert_default().named = named;
            }
            opened.caller.is_passed_on = is_passed_on;
            opened.caller.is_encrypted = is_encrypted;
        }
        Some(conn)
    }

    /// The messages that wait for another party; what its inbox does not take stays, in order.
    pub fn mesh_pending(&mut self, to: PartyId) -> &mut Pending<Mesh> {
        self.outgoing.to(to)
    }

    /// A connection that wants its input again; it may have unread bytes.
    pub fn poll_resumed(&mut self) -> Option<ConnId> {
        self.conns.pop_resumed()
    }

    /// A connection whose socket is to be closed. Its place is free from now on.
    pub fn poll_gone(&mut self) -> Option<ConnId> {
        self.conns.pop_gone()
    }

    /// A request that is answered outside of the core, through [`Shard::answer`].
    pub fn poll_admin(&mut self) -> Option<(ConnRef, AdminRequest)> {
        self.intake.tickets.pop_outside()
    }

    /// The keys that tokens are checked with are others now. Who is connected stays.
    fn take_keys(&mut self, verifier: Arc<Verifier>) {
        Arc::make_mut(&mut self.settings.access).verifier = Some(verifier);
        self.rights.tokens.renew(&self.settings);
    }

    /// When `work` must be called at the latest, in milliseconds since the start.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        [
            self.telling.gathered.due_ms(),
            self.telling.shapings.due_ms(),
            self.intake.due_ms(),
            self.telling.past_room.due_ms(),
            self.telling.plays.due_ms(),
            self.arrived.brake.due_ms(),
            self.life.due_ms(),
            self.rights.claims.due_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What has been counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let durable = self.durable.as_ref().map(|durable| &durable.home);
        let held = durable.map_or_else(Held::default, home::Home::held).and(self.home.held());
        let topics = self.home.topic_count() + durable.map_or(0, home::Home::topic_count);
        let (sessions, bytes) = self.rights.claims.left();
        Stats {
            left: SessionsLeft {
                sessions: sessions as u64,
                bytes: bytes as u64,
                unshared: self.rights.groups.dropped,
                ..self.stats.left
            },
            connections: self.conns.len() as u64,
            classes: self.classes.len() as u64,
            topics: topics as u64,
            history_events: held.events,
            history_bytes: held.bytes,
            history_keys: held.keys,
            deflate_streams: self.classes.streams() as u64,
            input_bytes: self.intake.held() as u64,
            deflated: self.telling.deflated(),
            behind: Behind {
                outbox_bytes: self.telling.solos.outboxes().held() as u64,
                ..self.stats.behind
            },
            ..self.stats
        }
    }
}
