//! What a store counts, as `GET /metrics` names it.

use super::party_figures::PartyFigure;
use super::party_figures::figure;
use crate::history::keeper::Figures;
use crate::shard::FigureKind;

/// The figures of the store.
pub(super) const STORE_FIGURES: [PartyFigure<Figures>; 19] = [
    figure(
        "fanwire_store_events_total",
        FigureKind::Counter,
        "Events that were written to the disk.",
        |figures| figures.events,
    ),
    figure(
        "fanwire_store_bytes_total",
        FigureKind::Counter,
        "Bytes that were written to segments, with everything around the events.",
        |figures| figures.bytes,
    ),
    figure(
        "fanwire_store_groups_total",
        FigureKind::Counter,
        "Groups of events that were written together.",
        |figures| figures.groups,
    ),
    figure(
        "fanwire_store_write_seconds_total",
        FigureKind::Counter,
        "Seconds that writing groups took.",
        |figures| figures.write_us,
    ),
    figure("fanwire_store_syncs_total", FigureKind::Counter, "Syncs of segments.", |figures| {
        figures.syncs
    }),
    figure(
        "fanwire_store_sync_seconds_total",
        FigureKind::Counter,
        "Seconds that syncs took.",
        |figures| figures.sync_us,
    ),
    figure(
        "fanwire_store_refused_full_total",
        FigureKind::Counter,
        "Runs of events that were refused because the disk was full.",
        |figures| figures.refused_full,
    ),
    figure("fanwire_store_full", FigureKind::Gauge, "1 while the disk is full.", |figures| {
        figures.is_full
    }),
    figure(
        "fanwire_store_corrupt_events",
        FigureKind::Gauge,
        "Events on the disk that cannot be read any more.",
        |figures| figures.corrupt,
    ),
    figure(
        "fanwire_store_waiting_runs",
        FigureKind::Gauge,
        "Runs of events that wait to be written.",
        |figures| figures.runs_waiting,
    ),
    figure(
        "fanwire_store_unsynced_events",
        FigureKind::Gauge,
        "Events that were written and not synced.",
        |figures| figures.unsynced_events,
    ),
    figure("fanwire_store_held_bytes", FigureKind::Gauge, "Bytes of all segments.", |figures| {
        figures.held_bytes
    }),
    figure("fanwire_store_held_segments", FigureKind::Gauge, "Segments.", |figures| {
        figures.held_segments
    }),
    figure(
        "fanwire_store_segments_let_go_total",
        FigureKind::Counter,
        "Segments that were let go of.",
        |figures| figures.segments_let_go,
    ),
    figure(
        "fanwire_store_pages_total",
        FigureKind::Counter,
        "Pages of the past that were read from the disk.",
        |figures| figures.pages,
    ),
    figure("fanwire_store_page_events_total", FigureKind::Counter, "Events on them.", |figures| {
        figures.pages_events
    }),
    figure(
        "fanwire_store_pages_failed_total",
        FigureKind::Counter,
        "Pages that could not be read, and groups of deletes whose keys could not be looked up.",
        |figures| figures.pages_failed,
    ),
    figure(
        "fanwire_store_blocks_read_total",
        FigureKind::Counter,
        "Blocks that were read from the disk for pages; what lies in memory already is not read again.",
        |figures| figures.blocks_read,
    ),
    figure(
        "fanwire_store_shelf_bytes",
        FigureKind::Gauge,
        "Bytes of what was read of late.",
        |figures| figures.shelf_bytes,
    ),
];
