//! Writes that wait to be carried out together, and what is said of those that were.
//!
//! Invariants: writes keep the order in which they came; an event that makes no row changes nothing, and nobody is answered for one. Never writes itself.

use std::sync::Arc;

use crate::event::Event;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::TableId;
use crate::tables::Write;
use crate::tables::Written;
use crate::tables::asks::Answer;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;
use crate::tables::keeper::check_event;
use crate::tables::keeper::told;
use crate::tables::keeper::told_to_all;
use crate::tables::keeper::write_of_event;

/// A write, and who waits for it, if anybody.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) asker: Option<Asker>,
    pub(super) write: Write,
}

/// A client's write, if its row can be told of; else it is answered.
pub(super) fn of_client(
    schema: &Schema,
    asker: Asker,
    write: Write,
    out: &mut Vec<Outcome>,
) -> Option<Waiting> {
    match check_event(schema, &write) {
        Ok(()) => Some(Waiting { asker: Some(asker), write }),
        Err(error) => {
            out.push(Outcome::Answer(asker, Answer::Failed(error)));
            None
        }
    }
}

/// The writes that events mean.
pub(super) fn of_events(
    schema: &Schema,
    rows: Vec<(TableId, Arc<Event>)>,
) -> impl Iterator<Item = Waiting> {
    rows.into_iter().filter_map(|(table, event)| {
        let write = write_of_event(schema, table, &event).and_then(|write| {
            check_event(schema, &write)?;
            Ok(write)
        });
        match write {
            Ok(write) => Some(Waiting { asker: None, write }),
            Err(error) => {
                tracing::debug!(%error, "an event makes no row");
                None
            }
        }
    })
}

/// Appends what is said of a write that was carried out, or was not.
pub(super) fn say(
    schema: &Schema,
    waiting: &Waiting,
    result: Result<Written, TableError>,
    out: &mut Vec<Outcome>,
) {
    let Waiting { asker, write } = waiting;
    match (*asker, result) {
        (Some(asker), Ok(written)) => out.push(told(schema, write, asker, written)),
        (Some(asker), Err(error)) => out.push(Outcome::Answer(asker, Answer::Failed(error))),
        (None, Ok(written)) => {
            out.extend(told_to_all(schema, write, &written).map(Outcome::Told));
        }
        (None, Err(error)) => tracing::warn!(%error, "an event's row is not written"),
    }
}
