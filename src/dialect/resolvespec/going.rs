//! A request that is to be carried out, within what tokens and hooks have left of the tables.
//!
//! Invariant: what is asked, written and heard is never more than is left. Never asks anybody.

use super::asked::AskedFor;
use super::asked::Operation;
use super::asked::Refused;
use super::asked::write;
use super::confined::Confined;
use super::confined::Narrowed;
use super::confined::check_filter;
use super::hooked::Underway;
use super::hooked::hook_behind;
use super::live;
use super::message::Message;
use super::query;
use crate::batch::Slow;
use crate::dialect::Context;
use crate::dialect::Forced;
use crate::dialect::Hook;
use crate::dialect::Request;
use crate::dialect::Subscription;
use crate::dialect::hook::Call;
use crate::event::Projection;
use crate::event::TopicPattern;
use crate::matcher::Filter as LiveFilter;
use crate::tables::Filter;
use crate::tables::Table;
use crate::tables::TableId;
use std::sync::Arc;

/// A request that is to be carried out, and within what.
pub(super) struct Going<'a> {
    pub(super) message: &'a Message<'a>,
    /// What holds of it.
    pub(super) confined: Confined,
    pub(super) underway: Option<&'a Underway>,
}

impl Going<'_> {
    /// The conditions that hold of rows whatever the request is: those that a hook has answered.
    pub(super) fn held(&self, table: &Table) -> Result<Filter, Refused> {
        let Some(underway) = self.underway.filter(|underway| underway.is_held()) else {
            return Ok(Filter::all());
        };
        debug_assert!(underway.asked.is_some(), "a hook has been asked");
        query::filter(table, &self.message.options.filters)
            .map_err(|error| Refused::of_table(&self.message.operation, &error))
    }

    pub(super) fn write(
        &self,
        (id, table): (TableId, &Table),
        operation: Operation,
        context: &Context<'_>,
    ) -> Result<(AskedFor, Request), Refused> {
        let refused = |error| Refused::of_table(operation.name(), &error);
        let mut write = write(self.message, (id, table), operation).map_err(refused)?;
        let keeps = self.underway.is_some_and(Underway::has_data);
        let held = (self.held(table)?, keeps);
        let masked =
            self.confined.narrow_write(context.tables, &mut write, held).map_err(refused)?;
        let what = AskedFor::Write { table: id, operation, masked };
        Ok((what, Request::Write(Box::new(write))))
    }

    /// What a subscription hears of a table.
    pub(super) fn heard(
        &self,
        (id, table): (TableId, &Table),
        is_filtered: bool,
        context: &Context<'_>,
    ) -> Result<Subscription, String> {
        let Narrowed { filter, masked } =
            self.confined.of(context.tables, id).map_err(|error| error.to_string())?;
        let is_held = self.underway.is_some_and(Underway::is_held);
        // What is not looked at is not wrong.
        let asked = match is_filtered || is_held {
            true => query::filter(table, &self.message.options.filters)
                .and_then(|asked| check_filter(table, &asked, &masked).map(|()| asked))
                .map_err(|error| error.to_string())?,
            false => Filter::all(),
        };
        let held = if is_held { filter.and(asked.clone()) } else { filter };
        let forced: Vec<LiveFilter> = live::forced(table, &held)?;
        let filter = if is_filtered { live::filter(table, &asked)? } else { None };
        let shown = table.ids().filter(|column| !masked.contains(column));
        let shown: Vec<&str> = shown.map(|column| &*table.column(column).name).collect();
        let fields = match masked.is_empty() {
            true => None,
            false => Some(Arc::new(Projection::new(&shown).map_err(|error| error.to_string())?)),
        };
        Ok(Subscription {
            topics: vec![TopicPattern::Exact(table.topic.clone())],
            filter,
            fields,
            forced: Forced { filters: forced.into(), is_joined: false },
            //= resolvespec#3A.1
            //# when full, `SendJSON` fails and the message
            //# (response or notification) is **dropped silently**
            slow: Slow::DropSilently,
            ..Subscription::default()
        })
    }

    //= resolvespec#3A.7
    //# Two leaks: a notification carries the raw
    //# record, **not** the Result an after-hook replaced (column masking does not reach subscribers)
    /// Where results are replaced as they are answered, which notifications are not, somebody must have said what is masked of these.
    pub(super) fn check_masks(&self, context: &Context<'_>) -> Result<(), Refused> {
        let is_replaced = |hook: Hook| hook.sees_a_result() && context.hooks.asked.contains(hook);
        let may_differ = context.hooks.replaces_results && Hook::ALL.into_iter().any(is_replaced);
        if may_differ && !self.confined.says_masks() {
            return Err(Refused::new(
                "hook_error",
                "notifications do not pass the hooks that replace results: `before_connect` or `before_subscribe` must say what is masked (`mask`), be it nothing",
            ));
        }
        Ok(())
    }

    /// The call of the hook behind this request, if that is asked.
    pub(super) fn behind(&self, context: &Context<'_>) -> Option<Call> {
        let hook = hook_behind(self.message, context.hooks)?;
        let seen = (context.tables, context.view);
        Some(self.underway?.call(hook, self.message, (&self.confined, seen)))
    }
}
