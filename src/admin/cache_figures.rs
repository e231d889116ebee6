//! What the cache in front of tables counts, as `GET /metrics` names it.

use super::party_figures::PartyFigure;
use super::party_figures::figure;
use crate::shard::FigureKind;
use crate::tables::CacheFigures;

/// The figures of the cache of answers.
pub(super) const CACHE_FIGURES: [PartyFigure<CacheFigures>; 9] = [
    figure(
        "fanwire_cache_hits_total",
        FigureKind::Counter,
        "Answers of tables, and numbers of rows, that were kept and told.",
        |figures| figures.hits,
    ),
    figure(
        "fanwire_cache_misses_total",
        FigureKind::Counter,
        "Those that were looked for and not kept, or were of before a write.",
        |figures| figures.misses,
    ),
    figure(
        "fanwire_cache_unanswered_total",
        FigureKind::Counter,
        "Those that were not looked for, or not found in time: a server is gone, slow, or has too much to do.",
        |figures| figures.unanswered,
    ),
    figure(
        "fanwire_cache_kept_total",
        FigureKind::Counter,
        "Answers of tables, and numbers of rows, that were put where they are kept.",
        |figures| figures.kept,
    ),
    figure(
        "fanwire_cache_evicted_total",
        FigureKind::Counter,
        "Those that had to make room for others in this process.",
        |figures| figures.evicted,
    ),
    figure(
        "fanwire_cache_failures_total",
        FigureKind::Counter,
        "How often a server that keeps them was lost, or not to be had.",
        |figures| figures.failures,
    ),
    figure(
        "fanwire_cache_entries",
        FigureKind::Gauge,
        "Answers of tables, and numbers of rows, that are kept in this process.",
        |figures| figures.entries,
    ),
    figure("fanwire_cache_bytes", FigureKind::Gauge, "Bytes that they take.", |figures| {
        figures.bytes
    }),
    figure(
        "fanwire_cache_servers_up",
        FigureKind::Gauge,
        "Servers of Redis or memcached that keep them and answer.",
        |figures| figures.servers_up,
    ),
];
