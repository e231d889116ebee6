//! Hooks in Rust: what an embedder implements, and a chain of functions for those who want no type of their own.
//!
//! Invariant: functions of one hook run in the order in which they were added, and the first that aborts or fails is the last.

use std::fmt;
use std::time::Duration;

use super::Answered;
use super::Call;
use super::Hook;
use super::HookSet;
use super::Verdict;

/// Who answers hooks. It is asked by several threads at once, on none of which a client is served: it may wait, for as long as it is given.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// Which hooks it is asked; of the others it never hears.
    fn asked(&self) -> HookSet;

    /// Answers one call. An answer that comes later than `within` is too late: its client was told so.
    ///
    /// # Errors
    /// If there is no verdict, which is no yes.
    fn answer(&self, call: &Call, within: Duration) -> Answered;
}

type Function = dyn Fn(&Call) -> Answered + Send + Sync;

//= resolvespec#3A.7
//# Hooks run in registration order; the first error or Abort stops the chain.
/// Functions that answer hooks, several for one hook if need be.
#[derive(Default)]
pub struct Chain(Vec<(Hook, Box<Function>)>);

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(hook, _)| hook)).finish()
    }
}

impl Chain {
    /// The same, and this function for a hook, behind those that it has.
    #[must_use]
    pub fn on(
        mut self,
        hook: Hook,
        function: impl Fn(&Call) -> Answered + Send + Sync + 'static,
    ) -> Self {
        self.0.push((hook, Box::new(function)));
        self
    }
}

impl Hooks for Chain {
    fn asked(&self) -> HookSet {
        self.0.iter().map(|(hook, _)| *hook).collect()
    }

    fn answer(&self, call: &Call, _within: Duration) -> Answered {
        let mut call = call.clone();
        let mut all = Verdict::default();
        for (_, function) in self.0.iter().filter(|(hook, _)| *hook == call.hook) {
            let verdict = function(&call)?;
            if verdict.abort.is_some() {
                return Ok(verdict);
            }
            all = all.then(verdict);
            let changes = [
                (&all.options, &mut call.options),
                (&all.data, &mut call.data),
                (&all.result, &mut call.result),
                (&all.metadata, &mut call.metadata),
            ];
            for (changed, of_call) in changes {
                if let Some(changed) = changed {
                    of_call.clone_from(changed);
                }
            }
        }
        Ok(all)
    }
}

impl Verdict {
    /// This one, and then another: what both change is as the other says, and what either forbids is forbidden.
    fn then(self, next: Self) -> Self {
        let masks = match (self.masks, next.masks) {
            (Some(ones), Some(others)) => Some([ones, others].concat()),
            (one, other) => one.or(other),
        };
        Self {
            abort: next.abort.or(self.abort),
            options: next.options.or(self.options),
            data: next.data.or(self.data),
            result: next.result.or(self.result),
            metadata: next.metadata.or(self.metadata),
            filters: [self.filters, next.filters].concat(),
            masks,
            identity: if next.identity == Default::default() {
                self.identity
            } else {
                next.identity
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::hook::Failure;
    use crate::dialect::hook::Json;

    fn json(text: &str) -> Json {
        Json::new(text).unwrap()
    }

    #[test]
    fn functions_run_in_order_each_on_what_those_before_have_changed() {
        let chain = Chain::default()
            .on(Hook::BeforeCreate, |_| {
                let data = Some(json(r#"{"team":"red"}"#));
                Ok(Verdict { data, ..Verdict::default() }.with_filters(json("[1]")))
            })
            .on(Hook::AfterCreate, |_| Err(Failure::Unreachable))
            .on(Hook::BeforeCreate, |call| {
                assert_eq!(call.data.as_str(), r#"{"team":"red"}"#);
                Ok(Verdict::default().with_filters(json("[2]")).with_mask(json("[]")))
            });
        assert!(
            chain.asked().contains(Hook::AfterCreate) && !chain.asked().contains(Hook::BeforeRead)
        );
        let verdict = chain.answer(&Call::new(Hook::BeforeCreate), Duration::MAX).unwrap();
        assert_eq!(verdict.data, Some(json(r#"{"team":"red"}"#)));
        assert_eq!(verdict.filters, [json("[1]"), json("[2]")]);
        assert_eq!(verdict.masks, Some(vec![json("[]")]));
        let failed = chain.answer(&Call::new(Hook::AfterCreate), Duration::MAX);
        assert_eq!(failed, Err(Failure::Unreachable));
    }

    #[test]
    fn the_first_that_aborts_is_the_last() {
        let chain = Chain::default()
            .on(Hook::BeforeRead, |_| Ok(Verdict::abort("no")))
            .on(Hook::BeforeRead, |_| unreachable!("the chain has stopped"));
        let verdict = chain.answer(&Call::new(Hook::BeforeRead), Duration::MAX).unwrap();
        assert_eq!(verdict.abort.as_deref(), Some("no"));
    }
}
