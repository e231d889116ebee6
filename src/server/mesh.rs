//! The inboxes and doorbells that tie the shards to one another.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::conn::Doorbell;
use crate::conn::Links;
use crate::conn::Peer;
use crate::limits::INBOX_MESSAGES_MAX;

/// Everyone's links, in the order of their ids. Call before any thread has a table of descriptors of its own.
pub(super) fn weave<M>(shard_count: u16) -> io::Result<Vec<Links<M>>> {
    let mut doorbells = Vec::new();
    for _ in 0..shard_count {
        doorbells.push(Arc::new(Doorbell::new()?));
    }
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..shard_count).map(|_| flume::bounded::<M>(INBOX_MESSAGES_MAX)).unzip();
    let drained = Arc::new(AtomicUsize::new(0));
    let links = receivers.into_iter().zip(&doorbells).map(|(inbox, doorbell)| {
        let peers = senders.iter().zip(&doorbells);
        let peers = peers
            .map(|(inbox, doorbell)| Peer { inbox: inbox.clone(), doorbell: Arc::clone(doorbell) });
        Links {
            inbox,
            doorbell: Arc::clone(doorbell),
            peers: peers.collect(),
            drained: Arc::clone(&drained),
        }
    });
    Ok(links.collect())
}

/// Everyone, as one who is none of them sees them.
pub(super) fn peers<M>(links: &[Links<M>]) -> Vec<Peer<M>> {
    let all = links.first().map(|links| links.peers.iter());
    let peer =
        |peer: &Peer<M>| Peer { inbox: peer.inbox.clone(), doorbell: Arc::clone(&peer.doorbell) };
    all.into_iter().flatten().map(peer).collect()
}
