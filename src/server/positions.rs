//! Where sources go on: their positions, which the folder keeps beside the sessions of clients, and the events that were stored after these.
//!
//! Invariant: shards are told of sessions of clients alone. Reads before anybody else asks the store for anything.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Config;
use crate::event::HomeId;
use crate::event::ShardId;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::history::asks::Answer;
use crate::history::asks::Fault;
use crate::history::asks::PageAsk;
use crate::history::asks::Restored;
use crate::history::asks::Stretch;
use crate::history::keeper::Keeper;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::KeptSession;
use crate::limits::PAGE_BYTES_MAX;
use crate::source::Past;
use crate::source::Position;
use crate::source::number_of;

/// By the names of sources, what each goes on from.
pub(super) type Pasts = HashMap<String, Past>;

/// Takes the positions of the sources that are configured out of what shards are told, and finds what was stored after them.
pub(super) fn pasts<D: Disk>(
    config: &Config,
    keeper: &mut Keeper<D>,
    restored: &mut [Restored],
    (topics, wall_us): (&Arc<[TopicPattern]>, u64),
) -> Result<Pasts, DiskError> {
    let Some(first) = restored.first() else { return Ok(Pasts::new()) };
    let (of_sources, of_clients): (Vec<KeptSession>, Vec<KeptSession>) =
        first.sessions.iter().cloned().partition(|(name, _)| Position::source_of(name).is_some());
    if of_sources.is_empty() {
        return Ok(Pasts::new());
    }
    let stamped_us = first.stamped_us;
    let of_clients: Arc<[KeptSession]> = of_clients.into();
    for restored in restored.iter_mut() {
        restored.sessions = Arc::clone(&of_clients);
    }
    let mut pasts = Pasts::new();
    for (name, bytes) in of_sources {
        let source = Position::source_of(&name).unwrap_or_default();
        if !config.sources.iter().any(|said| said.name == source) {
            continue;
        }
        let position = Position::from_bytes(&bytes);
        if position.is_none() {
            tracing::warn!(source, "the position of a source is not understood: it begins anew");
        }
        pasts.insert(source.to_owned(), Past { position, ..Past::default() });
    }
    let after_us = pasts.values().filter_map(|past| Some(past.position.as_ref()?.after_us)).min();
    if let Some(after_us) = after_us {
        let shard_count = u16::try_from(restored.len()).unwrap_or(u16::MAX);
        let asked = Asked { topics, shard_count, until_us: stamped_us, wall_us };
        recognise(keeper, &mut pasts, &asked, after_us)?;
    }
    for (source, past) in &pasts {
        let recognised = past.recognised.count();
        tracing::info!(source, recognised, "a source goes on from where it was");
    }
    Ok(pasts)
}

/// What of the past is read.
struct Asked<'a> {
    topics: &'a Arc<[TopicPattern]>,
    shard_count: u16,
    until_us: u64,
    wall_us: u64,
}

/// Takes note of the events of sources that were stored after a moment.
fn recognise<D: Disk>(
    keeper: &mut Keeper<D>,
    pasts: &mut Pasts,
    asked: &Asked<'_>,
    after_us: u64,
) -> Result<(), DiskError> {
    let mut by_number: HashMap<u64, &mut Past> =
        pasts.iter_mut().map(|(name, past)| (number_of(name), past)).collect();
    for shard in (0..asked.shard_count).map(ShardId) {
        let mut from_us = after_us;
        loop {
            let Ok(stretch) = read(keeper, asked, shard, from_us)? else {
                tracing::warn!(
                    "some of what sources had stored last cannot be read: some of it may be told twice"
                );
                break;
            };
            for event in &stretch.events {
                let origin = event.meta.as_ref().and_then(|meta| meta.origin.as_deref());
                let past = origin.and_then(|origin| by_number.get_mut(&origin.source));
                if let (Some(origin), Some(past)) = (origin, past)
                    && !past.recognised.note(&origin.id)
                {
                    tracing::warn!(
                        "more was stored after a source's position than is remembered: some of it may be told twice"
                    );
                    return Ok(());
                }
            }
            let Some(more_us) = stretch.more_after_us else { break };
            from_us = more_us;
        }
    }
    Ok(())
}

/// A page of one home.
fn read<D: Disk>(
    keeper: &mut Keeper<D>,
    asked: &Asked<'_>,
    shard: ShardId,
    after_us: u64,
) -> Result<Result<Stretch, Fault>, DiskError> {
    let read = Read {
        topics: asked.topics.to_vec(),
        start: Start::AfterTime { time_us: after_us, mark: None },
        after_us,
        page_bytes: PAGE_BYTES_MAX,
        with_before: false,
    };
    let ask = PageAsk {
        shard,
        ticket: 0,
        home: HomeId::durable(shard, asked.shard_count),
        shard_count: asked.shard_count,
        read: Arc::new(read),
        after_us,
        until_us: asked.until_us,
        page_bytes: PAGE_BYTES_MAX,
    };
    let mut out = Vec::new();
    keeper.ask(ask, &mut out);
    loop {
        if let Some((_, Answer::Page(page))) = out.pop() {
            return Ok(page.result);
        }
        keeper.step((0, asked.wall_us), |_| true, &mut out)?;
    }
}
