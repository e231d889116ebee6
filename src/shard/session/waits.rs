//! Messages of a WebSocket's client that are not carried out yet.
//!
//! Invariant: messages that wait are counted in bytes; input that has to wait before it is decoded stays as bytes.

use std::collections::VecDeque;

use super::super::tickets::draft_bytes;
use super::talk::begins_with_publish;
use super::talk::begins_with_subscribe;
use super::unread::Unread;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::event::TopicName;
use crate::wire::decoder::Violation;

/// A message or control frame of a client, its bytes copied where they outlive the read.
#[derive(Debug)]
pub(super) enum Heard {
    /// The steps that the conversation wants for a message; `is_counted`: the message was charged to the rate limit.
    Steps {
        steps: Vec<Step>,
        is_counted: bool,
    },
    Echoed(Box<[u8]>),
    Ping(Box<[u8]>),
    Close {
        code: Option<u16>,
    },
    /// The client's bytes break the WebSocket protocol from here on.
    Broken(Violation),
}

impl Heard {
    /// Whether the next step is a publish.
    pub(super) fn is_publish(&self) -> bool {
        matches!(self, Self::Steps { steps, .. } if begins_with_publish(steps))
    }

    /// Whether the next step begins or changes subscriptions.
    pub(super) fn is_subscribe(&self) -> bool {
        matches!(self, Self::Steps { steps, .. } if begins_with_subscribe(steps))
    }

    /// Bytes of memory that the message holds.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Steps { steps, .. } => steps.iter().map(step_bytes).sum(),
            Self::Echoed(bytes) | Self::Ping(bytes) => bytes.len(),
            Self::Close { .. } | Self::Broken(_) => 0,
        }
    }
}

fn step_bytes(step: &Step) -> usize {
    let asked = match step {
        Step::Ask { what: Request::Publish(drafts), .. } => drafts.iter().map(draft_bytes).sum(),
        Step::Ask { what: Request::Query(query), .. } => query.weight_bytes(),
        Step::Ask { what: Request::Write(write), .. } => write.weight_bytes(),
        Step::Ask { what: Request::Hook(call), .. } => call.weight_bytes(),
        _ => 0,
    };
    size_of::<Step>() + asked
}

/// A run: publishes that travel together, and whose places are awaited.
#[derive(Debug, Default)]
pub(super) struct RunAwaited {
    /// Who is answered, and for how many drafts each.
    pub(super) tickets: Vec<(Ticket, usize)>,
    /// The outcomes of all drafts, in order.
    pub(super) topics: Vec<TopicName>,
    pub(super) bytes: usize,
}

/// An answer of whoever has the tables.
#[derive(Debug)]
pub(super) struct TableAwaited {
    pub(super) ticket: Ticket,
    /// The next page is not asked for: its client does not take what it was told.
    pub(super) is_paused: bool,
    pub(super) bytes: usize,
}

/// An answer of whoever answers hooks.
#[derive(Debug)]
pub(super) struct HookAwaited {
    pub(super) ticket: Ticket,
    /// What the client is told meanwhile waits until it is answered.
    pub(super) is_behind_a_write: bool,
    pub(super) bytes: usize,
}

/// What was asked, and is awaited before anything else is carried out.
#[derive(Debug)]
pub(super) enum Awaited {
    Run(RunAwaited),
    Table(TableAwaited),
    /// A name.
    Name(Ticket),
    /// That the session is written.
    Kept(Ticket),
    Hook(HookAwaited),
}

/// The messages of a connection that are to be carried out later.
#[derive(Debug, Default)]
pub(in super::super) struct Waits {
    pub(super) asked: Option<Awaited>,
    /// The messages right behind the run, in order.
    pub(super) heard: VecDeque<Heard>,
    pub(super) unread: Unread,
    /// The client has ended its sending side: no message follows.
    pub(super) has_ended: bool,
}

/// How far bytes were carried out.
#[derive(Default)]
pub(super) struct Paused {
    pub(super) taken: usize,
    pub(super) heard: VecDeque<Heard>,
    pub(super) asked: Option<Awaited>,
}

impl Awaited {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Run(run) => run.bytes,
            Self::Table(table) => table.bytes,
            Self::Name(_) | Self::Kept(_) => 0,
            Self::Hook(hook) => hook.bytes,
        }
    }
}

impl Waits {
    pub(super) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Bytes of memory that the waiting messages hold.
    pub(super) fn held_bytes(&self) -> usize {
        let asked = self.asked.as_ref().map_or(0, Awaited::held_bytes);
        let heard: usize = self.heard.iter().map(Heard::held_bytes).sum();
        size_of::<Self>() + self.unread.held_bytes() + asked + heard
    }

    pub(super) fn is_over(&self) -> bool {
        self.asked.is_none() && self.heard.is_empty() && self.unread.is_empty()
    }

    pub(super) fn take(&mut self, paused: Paused) {
        self.unread.take(paused.taken);
        self.heard = paused.heard;
        self.asked = paused.asked;
    }
}
