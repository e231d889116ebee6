//! The parties beside the shards: who fetches keys, the store, whoever has the tables; which of them there are, and how each is begun.
//!
//! Invariants: shards are the first parties, and these come behind them in this order; whoever the shards may ask is there before anyone is accepted.

use std::sync::Arc;

use flume::Sender;

use super::error::StartError;
use super::hooking::Hooking;
use super::keys;
use super::keys::Keeping;
use super::plan::Plan;
use super::sourcing::Sourcing;
use super::storing::StorePlace;
use super::storing::Storing;
use super::tabling::Tabling;
use crate::admin::Board;
use crate::admin::jwks::JwksKeeper;
use crate::clock::Clock;
use crate::conn::Party;
use crate::dialect::HookTerms;
use crate::event::Homes;
use crate::event::TopicPattern;
use crate::shard::Durable;
use crate::shard::Hooks;
use crate::shard::PartyId;
use crate::tables::Schema;

/// Parties that are configured, before they are begun.
pub(super) struct Parties<'a, M> {
    pub(super) keeper: Option<JwksKeeper>,
    pub(super) store: Option<BeginStore<'a, M>>,
    /// Begun only if there are tables.
    pub(super) tables: Option<(Schema, Box<BeginTables<'a, M>>)>,
    pub(super) hooks: Option<BeginHooks<'a, M>>,
    /// How many sources there are, and how they are begun; `None`: there are none.
    pub(super) sources: Option<(usize, Box<BeginSources<'a, M>>)>,
}

/// How sources are begun: at their places, of which the first has this id, where topics are at home, and who keeps positions.
pub(super) type BeginSources<'a, M> = dyn FnOnce(
        (Vec<Party<M>>, PartyId),
        (&Homes, Option<PartyId>),
        (&Arc<Board>, Clock),
    ) -> Result<Sourcing, StartError>
    + 'a;

/// How whoever answers hooks is begun, and what conversations are told of it.
pub(super) struct BeginHooks<'a, M> {
    pub(super) terms: HookTerms,
    pub(super) begin: Box<BeginHooking<'a, M>>,
}

/// How whoever answers hooks is begun.
pub(super) type BeginHooking<'a, M> =
    dyn FnOnce((Party<M>, u16), (&Arc<Board>, Clock)) -> Result<Hooking, StartError> + 'a;

/// How the tables are begun.
pub(super) type BeginTables<'a, M> = dyn FnOnce(&Schema, (Party<M>, Homes), (&Arc<Board>, Clock)) -> Result<Tabling, StartError>
    + 'a;

/// How the store is begun, and for which topics.
pub(super) struct BeginStore<'a, M> {
    pub(super) topics: Arc<[TopicPattern]>,
    pub(super) begin: Box<Begin<'a, M>>,
}

type Begin<'a, M> = dyn FnOnce(StorePlace<'_, M>) -> Result<Storing, StartError> + 'a;

/// Parties that have begun. They stop when dropped.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) keeping: Option<Keeping>,
    pub(super) storing: Option<Storing>,
    pub(super) tabling: Option<Tabling>,
    pub(super) hooking: Option<Hooking>,
    pub(super) sourcing: Option<Sourcing>,
}

impl<M: crate::shard::Message> Parties<'_, M> {
    /// Tells the shards who is who; says how many parties there are, the shards included.
    pub(super) fn seat(&self, plan: &mut Plan) -> u16 {
        let mut count = plan.shard_count;
        let mut seat = |is_there: bool| {
            let party = is_there.then_some(PartyId(count));
            count += u16::from(is_there);
            party
        };
        Arc::make_mut(&mut plan.settings.access).keys = seat(self.keeper.is_some());
        let store = seat(self.store.is_some());
        plan.settings.durable = store.zip(self.store.as_ref()).map(|(party, store)| {
            let topics = Arc::clone(&store.topics);
            Durable { store: party, topics }
        });
        let has_tables = match &self.tables {
            Some((schema, _)) => {
                plan.settings.tables.schema = schema.clone();
                !schema.is_empty()
            }
            None => false,
        };
        plan.settings.tables.party = seat(has_tables);
        // Hooks are asked of tables only.
        let party = seat(has_tables && self.hooks.is_some());
        if let (Some(party), Some(hooks)) = (party, &self.hooks) {
            plan.settings.hooks = Hooks { terms: hooks.terms, party: Some(party) };
        }
        // Last, since nobody asks them anything.
        for _ in 0..self.source_count() {
            seat(true);
        }
        count
    }

    fn source_count(&self) -> usize {
        self.sources.as_ref().map_or(0, |(count, _)| *count)
    }

    /// Begins them, each at its place in the mesh.
    pub(super) fn begin(
        self,
        plan: &Plan,
        mut places: impl Iterator<Item = Party<M>>,
        (board, clock): (&Arc<Board>, Clock),
        keep: impl FnOnce(keys::Job<M>, Sender<()>) + Send + 'static,
    ) -> Result<Begun, StartError> {
        let shard_count = plan.shard_count;
        let settings = &plan.settings;
        let others = [
            settings.access.keys.is_some(),
            settings.durable.is_some(),
            settings.tables.party.is_some(),
            settings.hooks.party.is_some(),
        ];
        let others = others.into_iter().map(u16::from).sum::<u16>();
        let first_of_sources = shard_count + others;
        let mut place = |is_there: bool| if is_there { places.next() } else { None };
        let access = &plan.settings.access;
        let keeping = match (place(access.keys.is_some()), self.keeper, access.verifier.clone()) {
            (Some(party), Some(keeper), Some(configured)) => {
                let job = keys::Job { party, keeper, configured, clock, shard_count };
                Some(Keeping::start(job, keep).map_err(StartError::Thread)?)
            }
            _ => None,
        };
        // Whoever comes first is to be known, too.
        keeping.iter().for_each(Keeping::wait_for_first);
        let storing = match (place(self.store.is_some()), self.store) {
            (Some(party), Some(store)) => {
                let sizes = &plan.worst_case.sizes;
                let settings = &plan.settings;
                Some((store.begin)(StorePlace {
                    party,
                    shard_count,
                    sizes,
                    settings,
                    board,
                    clock,
                })?)
            }
            _ => None,
        };
        let tables = &plan.settings.tables;
        let tabling = match (place(tables.party.is_some()), self.tables) {
            (Some(party), Some((schema, begin))) => {
                let homes = plan.settings.homes(shard_count);
                Some(begin(&schema, (party, homes), (board, clock))?)
            }
            _ => None,
        };
        let hooking = match (place(plan.settings.hooks.party.is_some()), self.hooks) {
            (Some(party), Some(hooks)) => {
                Some((hooks.begin)((party, shard_count), (board, clock))?)
            }
            _ => None,
        };
        let sourcing = match self.sources {
            Some((count, begin)) => {
                let parties = places.take(count).collect();
                let first = PartyId(first_of_sources);
                let durable = settings.durable.as_ref();
                let store = durable.filter(|durable| !durable.topics.is_empty());
                let homes = settings.homes(shard_count);
                let store = store.map(|durable| durable.store);
                Some(begin((parties, first), (&homes, store), (board, clock))?)
            }
            None => None,
        };
        Ok(Begun { keeping, storing, tabling, hooking, sourcing })
    }
}
