//! Which event types a client hears: all of them, all but some, or some; and which of their events.
//!
//! Invariant: a type is selected at most once, so an event comes at most once. At most `PROVISIONING_TYPES_MAX` types are named.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::filters::FilterFault;
use super::filters::Filters;
use crate::batch::Slow;
use crate::dialect::Batch;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::limits::PROVISIONING_TYPES_MAX;
use crate::matcher::Filter;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// A client's selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Everything that there is to be heard where the client is: `within` these types, if that is not everything.
    All {
        within: Option<&'static [&'static str]>,
        except: BTreeSet<String>,
        filters: Filters,
    },
    Only(Vec<(String, Filters)>),
}

/// Bytes of a name in a set, besides its text.
const NAME_BYTES: usize = 2 * size_of::<String>();

/// More types were named than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyTypes;

impl Selection {
    /// What a URL selects: no names mean everything within these types.
    pub(super) fn of(
        within: Option<&'static [&'static str]>,
        events: &[String],
        filters: &Filters,
    ) -> Self {
        if events.is_empty() {
            return Self::All { within, except: BTreeSet::new(), filters: filters.clone() };
        }
        Self::Only(events.iter().map(|name| (name.clone(), filters.clone())).collect())
    }

    //= provisioning#5.7
    //# A subscribe message *adds* types; the first explicit subscription narrows "all" to the
    //# set;
    pub(super) fn with(&self, events: &[String], new: &Filters) -> Result<Self, TooManyTypes> {
        let mut only = match (self, events.is_empty()) {
            (Self::All { within, except, .. }, true) => {
                let (within, except) = (*within, except.clone());
                return Ok(Self::All { within, except, filters: new.clone() });
            }
            (Self::Only(only), true) => {
                let all = only.iter().map(|(name, _)| (name.clone(), new.clone()));
                return Ok(Self::Only(all.collect()));
            }
            (Self::All { .. }, false) => Vec::new(),
            (Self::Only(only), false) => only.clone(),
        };
        for name in events {
            match only.iter_mut().find(|(own, _)| own == name) {
                Some((_, filters)) => *filters = new.clone(),
                None => only.push((name.clone(), new.clone())),
            }
        }
        if only.len() > PROVISIONING_TYPES_MAX { Err(TooManyTypes) } else { Ok(Self::Only(only)) }
    }

    //= provisioning#5.7
    //# `unsubscribe` from "all" keeps all but those [choice].
    pub(super) fn without(&self, events: &[String]) -> Result<Self, TooManyTypes> {
        match self {
            Self::All { within, except, filters } => {
                let (within, mut except) = (*within, except.clone());
                except.extend(events.iter().cloned());
                if except.len() > PROVISIONING_TYPES_MAX {
                    return Err(TooManyTypes);
                }
                Ok(Self::All { within, except, filters: filters.clone() })
            }
            Self::Only(only) => {
                let left = only.iter().filter(|(name, _)| !events.contains(name));
                Ok(Self::Only(left.cloned().collect()))
            }
        }
    }

    /// The filters that hold for what is selected under this subscription id.
    pub(super) fn filters_of(&self, id: &str) -> Option<&Filters> {
        match self {
            Self::All { filters, .. } => Some(filters),
            Self::Only(only) => {
                only.iter().find(|(name, _)| name == id).map(|(_, filters)| filters)
            }
        }
    }

    /// Bytes of its names and filters.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::All { except, filters, .. } => {
                let names: usize = except.iter().map(|name| NAME_BYTES + name.len()).sum();
                names + filters.held_bytes()
            }
            Self::Only(only) => {
                let each = only.iter().map(|(name, filters)| {
                    size_of::<(String, Filters)>() + name.len() + filters.held_bytes()
                });
                each.sum()
            }
        }
    }

    /// The subscriptions that this is: one for all, or one for each type.
    ///
    /// # Errors
    /// If the filters of one of them are larger than a filter may be.
    pub(super) fn subscriptions(
        &self,
        batch: Option<Batch>,
        view: &View,
    ) -> Result<Vec<Arc<Subscription>>, FilterFault> {
        match self {
            Self::All { within: Some(types), except, filters } => {
                let left = types.iter().filter(|name| !except.contains(**name));
                let topics = left.filter_map(|name| view.topic_of(name)).map(TopicPattern::Exact);
                let made = made("*", topics.collect(), tests_of(filters, view), batch)?;
                Ok(made.into_iter().collect())
            }
            Self::All { within: None, except, filters } => {
                let mut tests = tests_of(filters, view);
                let topics: Vec<Scalar> = except
                    .iter()
                    .filter_map(|name| view.topic_of(name))
                    .map(|topic| Scalar::text(topic.as_str()))
                    .collect();
                if !topics.is_empty() {
                    tests.push(Predicate::Test(Term::native(Source::Topic, Test::NotIn(topics))));
                }
                Ok(made("*", view.topics.clone(), tests, batch)?.into_iter().collect())
            }
            Self::Only(only) => {
                let each = only.iter().filter_map(|(name, filters)| {
                    let topics = vec![TopicPattern::Exact(view.topic_of(name)?)];
                    made(name, topics, tests_of(filters, view), batch).transpose()
                });
                each.collect()
            }
        }
    }
}

fn tests_of(filters: &Filters, view: &View) -> Vec<Predicate> {
    let mut tests = filters.predicates();
    if !view.deletes {
        let test = Test::differs(Scalar::text(Op::Delete.name()));
        tests.push(Predicate::Test(Term::native(Source::Op, test)));
    }
    tests
}

/// `None` if there are no topics.
fn made(
    id: &str,
    topics: Vec<TopicPattern>,
    tests: Vec<Predicate>,
    batch: Option<Batch>,
) -> Result<Option<Arc<Subscription>>, FilterFault> {
    if topics.is_empty() {
        return Ok(None);
    }
    let too_large = |problem| FilterFault::TooLarge { problem: Box::new(problem) };
    let filter = match tests.is_empty() {
        true => None,
        false => Some(Filter::new(&Predicate::And(tests)).map_err(too_large)?),
    };
    let (id, slow) = (Arc::from(id), Slow::Disconnect);
    let subscription = Subscription { id, topics, filter, batch, slow, ..Subscription::default() };
    Ok(Some(Arc::new(subscription)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PROVISIONING_FILTERS_MAX;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn ids(selection: &Selection) -> Vec<String> {
        let subscriptions = selection.subscriptions(None, &View::default()).unwrap();
        subscriptions.iter().map(|sub| sub.id.to_string()).collect()
    }

    #[test]
    fn the_first_subscription_narrows_and_further_ones_add() {
        let none = Filters::default();
        let all = Selection::of(None, &[], &none);
        assert_eq!(ids(&all), ["*"]);
        let one = all.with(&names(&["a"]), &none).unwrap();
        assert_eq!(ids(&one), ["a"]);
        let two = one.with(&names(&["b", "a"]), &none).unwrap();
        assert_eq!(ids(&two), ["a", "b"]);
        assert_eq!(ids(&two.without(&names(&["a", "x"])).unwrap()), ["b"]);
        assert_eq!(ids(&two.without(&names(&["a", "b"])).unwrap()), [""; 0]);
    }

    #[test]
    fn an_endpoint_with_some_types_is_all_of_them_until_some_are_named() {
        let none = Filters::default();
        let types: &[&str] = &["a", "b"];
        let topics = |selection: &Selection| -> Vec<String> {
            let subscriptions = selection.subscriptions(None, &View::default()).unwrap();
            let topics = subscriptions.iter().flat_map(|sub| &sub.topics);
            topics.map(|topic| topic.as_str().to_owned()).collect()
        };
        let all = Selection::of(Some(types), &[], &none);
        assert_eq!(topics(&all), ["a", "b"]);
        assert_eq!(topics(&all.with(&names(&["a"]), &none).unwrap()), ["a"]);
        let without = all.without(&names(&["a"])).unwrap();
        assert_eq!(topics(&without), ["b"]);
        assert_eq!(topics(&without.with(&names(&["a"]), &none).unwrap()), ["a"]);
        assert_eq!(topics(&without.without(&names(&["b"])).unwrap()), [""; 0]);
    }

    #[test]
    fn leaving_all_keeps_all_but_those() {
        let all = Selection::of(None, &[], &Filters::default());
        let Ok(Selection::All { except, .. }) = all.without(&names(&["a"])) else {
            panic!("it stays all")
        };
        assert_eq!(except.into_iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn filters_that_are_too_much_together_are_said() {
        // Loose values are compared one by one, so long lists of them cost.
        let values: Vec<String> = (0..1000).map(|n| format!("{n:01000}")).collect();
        let mut filters = Filters::default();
        for name in 0..PROVISIONING_FILTERS_MAX {
            filters.add_parameter(&format!("f{name}"), &values.join(",")).unwrap();
        }
        let all = Selection::of(None, &[], &filters);
        let fault = all.subscriptions(None, &View::default()).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the filters together are too much: filter costs 1001001 steps up to here; at most 65536 are allowed for texts of 1 KiB"
        );
    }

    #[test]
    fn fifty_types_are_allowed_and_not_one_more() {
        let none = Filters::default();
        let many: Vec<String> = (0..50).map(|n| format!("t{n}")).collect();
        let fifty = Selection::of(None, &[], &none).with(&many, &none).unwrap();
        assert_eq!(fifty.with(&names(&["one more"]), &none), Err(TooManyTypes));
        assert!(fifty.with(&names(&["t3"]), &none).is_ok());
    }
}
