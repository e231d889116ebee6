//! One client's conversation: what it is subscribed to, and what it has asked to be replayed.
//!
//! Invariants: its subscriptions to one table are one subscription of the server's, which passes what any of them passes, so a row is told once; subscriptions are there before what the same
//! message wants replayed is read, so there is no hole between the two.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filters;
use super::message::Entry;
use super::message::Message;
use super::replay::Replay;
use crate::batch::Slow;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Batch;
use crate::dialect::BatchForm;
use crate::dialect::Context;
use crate::dialect::Kept;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::limits::FILTER_COST_MAX;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::RTBDP_FILTERS_BYTES_MAX;
use crate::limits::RTBDP_REPLAYS_MAX;
use crate::limits::RTBDP_SUBSCRIPTIONS_MAX;
use crate::limits::RTBDP_TESTS_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::matcher::Filter;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::position::Since;
use crate::tables::Table;
use crate::tables::TableId;

/// One client's conversation.
#[derive(Debug, Default)]
pub struct Conversation {
    /// The client has not shown the secret: it is being closed, and nothing that it says is heard.
    is_barred: bool,
    subscribed: Vec<Subscribed>,
    /// In the order in which they are answered.
    replays: VecDeque<Replay>,
    /// Steps that making filters of the message at hand has taken, whether they were passed over or not.
    making_steps: u64,
}

/// One of the client's subscriptions.
#[derive(Debug)]
struct Subscribed {
    id: i64,
    table: TableId,
    predicate: Predicate,
    tests: usize,
    cost: u64,
    /// Bytes of its filter.
    bytes: usize,
    /// Bytes of the predicate.
    held_bytes: usize,
}

impl Conversation {
    /// A conversation with a client that may be heard, or one that is to be closed.
    #[must_use]
    pub fn new(is_barred: bool) -> Self {
        Self { is_barred, ..Self::default() }
    }

    //= rtbdp#4.2
    //# `subscribe` with an **id already active on this connection is ignored** (even for another table/filter).
    /// Subscribes, if it can; true if it has.
    fn subscribe(&mut self, entry: &Entry, context: &Context<'_>) -> bool {
        if self.subscribed.iter().any(|sub| sub.id == entry.id)
            || self.subscribed.len() >= RTBDP_SUBSCRIPTIONS_MAX
        {
            return false;
        }
        let Some((id, table)) = find(entry, context) else { return false };
        let Some(predicate) = filters::live(table, entry.filters.as_deref()) else { return false };
        let Ok(filter) = Filter::new(&predicate) else {
            self.making_steps += FILTER_REFUSED_STEPS;
            return false;
        };
        self.making_steps += filter.making_steps();
        let tests = entry.filters.as_ref().map_or(0, |_| tests_of(&predicate));
        let (cost, bytes) = (filter.cost(), filter.weight_bytes());
        let bytes_before: usize = self.subscribed.iter().map(|sub| sub.bytes).sum();
        if bytes_before + bytes > RTBDP_FILTERS_BYTES_MAX {
            return false;
        }
        let same_table = || self.subscribed.iter().filter(|sub| sub.table == id);
        let tests_before: usize = same_table().map(|sub| sub.tests).sum();
        let cost_before: u64 = same_table().map(|sub| sub.cost).sum();
        if tests_before + tests > RTBDP_TESTS_MAX || cost_before + cost > FILTER_COST_MAX / 2 {
            return false;
        }
        if same_table().next().is_none() && self.tables().len() >= SUBSCRIPTIONS_MAX {
            return false;
        }
        let (id, table, held_bytes) = (entry.id, id, predicate.weight_bytes());
        self.subscribed.push(Subscribed { id, table, predicate, tests, cost, bytes, held_bytes });
        true
    }

    /// The tables that are subscribed to, in the order in which they were.
    fn tables(&self) -> Vec<TableId> {
        let mut tables = Vec::new();
        for sub in &self.subscribed {
            if !tables.contains(&sub.table) {
                tables.push(sub.table);
            }
        }
        tables
    }

    //= rtbdp#4.7
    //# Several subscriptions of one connection to the same table are merged: each row is sent **once** (union of filters).
    /// What the server is asked for.
    fn wishes(&self, context: &Context<'_>) -> Vec<Wish> {
        let wish = |id: TableId| {
            let table = context.tables.table(id);
            let any = self.subscribed.iter().filter(|sub| sub.table == id);
            let any: Vec<&Predicate> = any.map(|sub| &sub.predicate).collect();
            let any = match any.iter().any(|predicate| **predicate == Predicate::all()) {
                true => Predicate::all(),
                false => Predicate::Or(any.into_iter().cloned().collect()),
            };
            // There is no word for a row that goes.
            let test = Test::differs(Scalar::text(Op::Delete.name()));
            let stays = Predicate::Test(Term::native(Source::Op, test));
            let filter = Filter::new(&Predicate::And(vec![stays, any])).ok()?;
            let subscription = Subscription {
                id: Arc::from(context.view.table_name(table)),
                topics: vec![TopicPattern::Exact(table.topic.clone())],
                filter: Some(filter),
                batch: Some(BATCH),
                slow: Slow::Disconnect,
                ..Subscription::default()
            };
            Some(Wish::new(Arc::new(subscription), Since::Now))
        };
        self.tables().into_iter().filter_map(wish).collect()
    }

    fn carry_out(&mut self, message: &Message, context: &Context<'_>, steps: &mut Vec<Step>) {
        let mut has_changed = false;
        let whole = message.subscribe.iter().take_while(|entry| !entry.is_broken);
        let subscribe_count = whole.clone().count();
        for entry in whole {
            has_changed |= self.subscribe(entry, context);
        }
        let is_whole = subscribe_count == message.subscribe.len();
        if is_whole {
            let before = self.subscribed.len();
            self.subscribed.retain(|sub| !message.unsubscribe.contains(&sub.id));
            has_changed |= self.subscribed.len() < before;
        }
        let making = std::mem::take(&mut self.making_steps);
        if making > 0 {
            steps.push(Step::Pay { steps: making });
        }
        if has_changed {
            steps.push(Step::Want(self.wishes(context)));
        }
        if is_whole {
            let whole = message.replay.iter().take_while(|entry| !entry.is_broken);
            whole.take(RTBDP_REPLAYS_MAX).for_each(|entry| self.replay(entry, context, steps));
        }
    }

    fn replay(&mut self, entry: &Entry, context: &Context<'_>, steps: &mut Vec<Step>) {
        let Some((id, table)) = find(entry, context) else { return };
        let name = context.view.table_name(table);
        if let Some((replay, query)) = Replay::new(entry, (id, table), &name) {
            self.replays.push_back(replay);
            let what = Request::Query(Box::new(query));
            steps.push(Step::Ask { ticket: Ticket::Only, what });
        }
    }
}

//= rtbdp#4.3
//# Live batches: per connection **and table**, one RxJava `buffer(50 ms, 1024)`: flush every 50 ms (fixed phase) or at
//# 1024 rows.
const BATCH: Batch = Batch { events_max: 1024, delay_ms: 50, form: BatchForm::Rows };

/// The table that is meant, if it is there and seen.
fn find<'a>(entry: &Entry, context: &Context<'a>) -> Option<(TableId, &'a Table)> {
    context.view.find_table(context.tables, entry.table.as_deref()?)
}

fn tests_of(predicate: &Predicate) -> usize {
    match predicate {
        Predicate::Test(_) => 1,
        Predicate::And(all) | Predicate::Or(all) => 1 + all.iter().map(tests_of).sum::<usize>(),
        Predicate::Not(inner) => tests_of(inner),
    }
}

impl Talk for Conversation {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        //= rtbdp#4.1
        //# Otherwise: upgrade succeeds, then close **1008 `missing auth`**.
        if self.is_barred {
            steps.push(Step::Close { code: 1008, reason: "missing auth" });
        }
    }

    //= rtbdp#4.1
    //# Text frames only; binary is ignored.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        if let (Said::Text(text), false) = (said, self.is_barred)
            && let Ok(message) = Message::read(text)
        {
            self.carry_out(&message, context, steps);
        }
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        let subscribed: usize =
            self.subscribed.iter().map(|sub| size_of::<Subscribed>() + sub.held_bytes).sum();
        subscribed + self.replays.iter().map(Replay::held_bytes).sum::<usize>()
    }

    fn keep(&mut self) -> Option<Kept> {
        None
    }
}

impl Ask for Conversation {
    fn answered(
        &mut self,
        _ticket: Ticket,
        answer: Answer<'_>,
        _context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let Answer::Rows(page) = answer else {
            // It is not answered, or no further; the client is told nothing, and above all not that it has all rows.
            self.replays.pop_front();
            return;
        };
        let Some(replay) = self.replays.front_mut() else { return };
        steps.extend(replay.message(page).map(Step::say));
        if page.end.is_some() {
            steps.extend(replay.end().map(Step::say));
            self.replays.pop_front();
        }
    }
}
