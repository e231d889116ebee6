//! Who is on a connection, and what that leaves of what the client asks for.
//!
//! Invariant: a subscription is confined before it is entered into a class, so nothing that a token excludes is ever matched for it, live or
//! from the past. Confining only narrows: topics are intersected, filters are joined with `and`. What cannot be confined is refused.

use std::cell::Cell;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::input::Port;
use super::lanes::PartyId;
use super::passed_on::Proxies;
use crate::auth::AccessLimits;
use crate::auth::AdminSecret;
use crate::auth::Anonymous;
use crate::auth::AnonymousAccess;
use crate::auth::Certified;
use crate::auth::EventTypes;
use crate::auth::Origins;
use crate::auth::Principal;
use crate::auth::TokenRules;
use crate::auth::Verifier;
use crate::auth::Whence;
use crate::dialect::Forced;
use crate::dialect::Share;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::event::fields::Scratch;
pub(super) use crate::event::topic::common;
use crate::limits::WHO_SPARE_BYTES;
use crate::matcher::Filter;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// What an operator has set about who may do what.
#[derive(Clone, Debug)]
pub struct Access {
    /// Without one, tokens are not looked at, and everyone is anonymous.
    pub verifier: Option<Arc<Verifier>>,
    /// The party that fetches keys, if they are fetched.
    pub keys: Option<PartyId>,
    pub anonymous: Anonymous,
    /// Who is known by a certificate.
    pub certified: Certified,
    pub event_types: EventTypes,
    pub origins: Origins,
    pub limits: AccessLimits,
    /// What opens the admin endpoints; without one they are closed.
    pub admin: Option<Arc<AdminSecret>>,
    /// Figures are for whoever shows what opens the admin endpoints.
    pub hides_figures: bool,
    /// The addresses that connections come in by.
    pub listeners: Listeners,
    pub proxies: Proxies,
}

/// The address that each listener is bound to: what counts as this machine is judged by the one that a connection came in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    shared: IpAddr,
    own: Vec<(Port, IpAddr)>,
    /// Where `https` is spoken, and for how long browsers are told to speak nothing else.
    https_port: u16,
    hsts_s: u32,
    /// An authority is answered that looks there whether a name is ours.
    is_checked: bool,
}

impl Listeners {
    /// Listeners that are all bound to one address.
    #[must_use]
    pub const fn at(address: IpAddr) -> Self {
        Self { shared: address, own: Vec::new(), https_port: 443, hsts_s: 0, is_checked: false }
    }

    /// The listeners, with one of them bound to another address.
    #[must_use]
    pub fn with(mut self, port: Port, address: IpAddr) -> Self {
        self.own.push((port, address));
        self
    }

    /// Who asks in the clear is sent to this port, and who is answered encrypted is to ask in no other way for so many seconds.
    #[must_use]
    pub fn https(mut self, port: u16, hsts_s: u32) -> Self {
        (self.https_port, self.hsts_s) = (port, hsts_s);
        self
    }

    /// An authority looks, where requests in the clear are sent elsewhere, whether a name is ours.
    #[must_use]
    pub const fn checked(mut self, is_checked: bool) -> Self {
        self.is_checked = is_checked;
        self
    }

    pub(super) const fn is_checked(&self) -> bool {
        self.is_checked
    }

    pub(super) const fn https_port(&self) -> u16 {
        self.https_port
    }

    /// Seconds for which a client is to ask in no other way than encrypted: 0, which says nothing, of what is not.
    //= rfc6797#7.2
    //# An HSTS Host MUST NOT include the STS header field in HTTP responses
    //# conveyed over non-secure transport.
    pub(super) const fn hsts_s(&self, is_encrypted: bool) -> u32 {
        if is_encrypted { self.hsts_s } else { 0 }
    }

    fn of(&self, port: Port) -> IpAddr {
        let own = self.own.iter().find(|(own, _)| *own == port);
        own.map_or(self.shared, |(_, address)| *address)
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            verifier: None,
            keys: None,
            anonymous: Anonymous::default(),
            certified: Certified::default(),
            event_types: EventTypes::open(),
            origins: Origins::default(),
            limits: AccessLimits::default(),
            admin: None,
            hides_figures: false,
            listeners: Listeners::at(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            proxies: Proxies::default(),
        }
    }
}

/// Someone, with what follows from their token worked out once.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) principal: Principal,
    /// The filters that the token forces; all of them hold.
    forced: Vec<Filter>,
    /// Topics of event types that none of their roles may see.
    barred: Vec<TopicName>,
    held_bytes: usize,
}

/// The filters that roles force, read once: whoever has the role has the same.
#[derive(Debug, Default)]
pub(super) struct RoleFilters(Vec<(Arc<str>, Filter)>);

impl RoleFilters {
    pub(super) fn of(access: &Access) -> Self {
        let texts = access.verifier.iter().flat_map(|verifier| verifier.role_filters());
        let read = |text: &Arc<str>| Some((Arc::clone(text), Filter::parse_value(text).ok()?));
        Self(texts.filter_map(read).collect())
    }

    fn find(&self, text: &Arc<str>) -> Option<Filter> {
        let known = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, text));
        known.map(|(_, filter)| filter.clone())
    }
}

/// A forced filter that is no filter: its bearer is let in nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadForcedFilter;

impl Who {
    pub(super) fn new(
        principal: Principal,
        types: &EventTypes,
        view: &View,
        roles: &RoleFilters,
    ) -> Result<Self, BadForcedFilter> {
        let mut forced: Vec<Filter> = Vec::new();
        let mut own_bytes = 0;
        for text in &principal.forced_filters {
            let filter = match roles.find(text) {
                Some(filter) => filter,
                None => {
                    let filter = Filter::parse_value(text).map_err(|_| BadForcedFilter)?;
                    own_bytes += filter.weight_bytes();
                    filter
                }
            };
            if !forced.contains(&filter) {
                forced.push(filter);
            }
        }
        let barred = types.barred(&principal).filter_map(|name| view.topic_of(name)).collect();
        let held_bytes = own_bytes + principal.held_bytes();
        Ok(Self { principal, forced, barred, held_bytes })
    }

    /// The filters that are forced on all that they ask for.
    pub(super) fn forced(&self) -> &[Filter] {
        &self.forced
    }

    /// Bytes that they hold beyond those that every connection may have; what roles force is there once, whoever has them.
    pub(super) fn beyond_spare_bytes(&self) -> usize {
        self.held_bytes.saturating_sub(WHO_SPARE_BYTES)
    }

    /// What is left of a subscription; `None`: nothing.
    pub(super) fn confine(&self, asked: &Arc<Subscription>) -> Option<Arc<Subscription>> {
        if let Some(share) = &asked.share {
            let topics = share.topics.clone();
            let alone = Arc::new(Subscription { topics, share: None, ..(**asked).clone() });
            let confined = self.confine(&alone)?;
            let share = Some(Arc::new(Share { topics: confined.topics.clone() }));
            return Some(Arc::new(Subscription {
                topics: Vec::new(),
                share,
                ..(*confined).clone()
            }));
        }
        let mut topics = self.granted(&asked.topics);
        topics.retain(
            |topic| !matches!(topic, TopicPattern::Exact(name) if self.barred.contains(name)),
        );
        if topics.is_empty() {
            return None;
        }
        let mut forced: Vec<Filter> = asked.forced.filters.to_vec();
        let own = self.forced.iter().cloned().chain(self.barring(&topics));
        for filter in own {
            if !forced.contains(&filter) {
                forced.push(filter);
            }
        }
        let is_same = topics == asked.topics && forced.len() == asked.forced.filters.len();
        if is_same && (forced.is_empty() || asked.forced.is_joined) {
            return Some(Arc::clone(asked));
        }
        let joined = joined(asked.filter.as_ref(), &forced);
        let is_joined = joined.is_some();
        let filter = joined.or_else(|| asked.filter.clone());
        let forced = Forced { filters: forced.into(), is_joined };
        Some(Arc::new(Subscription { topics, filter, forced, ..(**asked).clone() }))
    }

    /// What keeps patterns from topics that are barred; nothing if they match none.
    fn barring(&self, topics: &[TopicPattern]) -> Option<Filter> {
        let wild = || topics.iter().filter(|topic| matches!(topic, TopicPattern::Wild(_)));
        let barred: Vec<Scalar> = self
            .barred
            .iter()
            .filter(|name| wild().any(|topic| topic.matches(name)))
            .map(|name| Scalar::text(name.as_str()))
            .collect();
        if barred.is_empty() {
            return None;
        }
        let test = Predicate::Test(Term::native(Source::Topic, Test::NotIn(barred)));
        Some(Filter::new(&test).expect("a server has few types of events that need a role"))
    }

    /// Whether the client may see this event at all; `steps`: what the client's forced filters took is added.
    pub(super) fn lets_see(&self, event: &Event, steps: &Cell<u64>) -> bool {
        let passes = |forced: &Filter| {
            let evaluated = forced.ask(event, &mut Scratch::default());
            steps.set(steps.get() + evaluated.steps);
            evaluated.passes
        };
        self.principal.may_hear(&event.topic)
            && !self.barred.contains(&event.topic)
            && self.forced.iter().all(passes)
    }

    /// Whether the client may know of this event: see it, or, of a delete, the last event of the key that is gone.
    pub(super) fn lets_know(&self, event: &Event, steps: &Cell<u64>) -> bool {
        let sees = |event: &Event| self.lets_see(event, steps);
        sees(event) || event.before.as_deref().is_some_and(sees)
    }

    /// Whether a topic is one of an event type that none of their roles may see.
    pub(super) fn is_barred(&self, topic: &TopicName) -> bool {
        self.barred.contains(topic)
    }

    /// What of these topics is granted.
    fn granted(&self, topics: &[TopicPattern]) -> Vec<TopicPattern> {
        if topics.iter().all(|topic| self.principal.may_subscribe(topic)) {
            return topics.to_vec();
        }
        let mut granted = common(topics, self.principal.subscribe.patterns());
        granted.sort_unstable();
        granted.dedup();
        granted
    }
}

/// What is asked for and what is forced, as one filter that the matcher can find events by; deletes are looked at again. `None`: together they are
/// larger than a filter may be, and what is forced is looked at for every event that passes what is asked for.
fn joined(asked: Option<&Filter>, forced: &[Filter]) -> Option<Filter> {
    let is_delete = Test::equals(Scalar::text(Op::Delete.name()));
    let is_delete = Predicate::Test(Term::native(Source::Op, is_delete));
    let forced = Predicate::And(forced.iter().map(Filter::to_predicate).collect());
    let mut tests: Vec<Predicate> = asked.map(Filter::to_predicate).into_iter().collect();
    tests.push(Predicate::Or(vec![forced, is_delete]));
    Filter::new(&Predicate::And(tests)).ok()
}

impl Access {
    /// Whether a client without a token may come in from there. `passed_on_by`: the header field that says that a proxy passed its request on.
    pub(super) fn admits_anonymous(
        &self,
        port: Port,
        peer: IpAddr,
        passed_on_by: Option<&str>,
    ) -> bool {
        let forwarded = passed_on_by.is_some();
        let whence = Whence { listener: self.listeners.of(port), peer, forwarded };
        self.anonymous.admits(&whence)
    }

    /// Seconds that a revocation is remembered, so that it outlives every token that it is about; `None`: for ever.
    #[must_use]
    pub fn revocation_kept_s(&self) -> Option<u64> {
        let rules = self.verifier.as_ref().map(|verifier| verifier.rules());
        // How long a certificate is good for nobody here decides.
        let rules = rules.filter(|_| self.certified.is_empty());
        rules.and_then(TokenRules::revocation_kept_s)
    }

    /// Why a client without a token may not come in from there, and what would help.
    pub(super) fn why_unknown(
        &self,
        port: Port,
        peer: IpAddr,
        passed_on_by: Option<&str>,
    ) -> String {
        if self.verifier.is_some() {
            return "a token is needed: Authorization: Bearer, or the parameter token".to_owned();
        }
        let listener = self.listeners.of(port);
        let is_local = |address: IpAddr| address.to_canonical().is_loopback();
        let whom = match (self.anonymous.access, passed_on_by) {
            (AnonymousAccess::Nowhere, _) => "nobody without a token".to_owned(),
            (_, Some("PROXY")) if is_local(listener) => {
                "only clients on this machine, and a PROXY header says that a proxy passed this connection on".to_owned()
            }
            (_, Some(field)) if is_local(listener) && is_local(peer) => format!(
                "only clients on this machine, and header field {field} says that a proxy passed this request on"
            ),
            _ if is_local(listener) => {
                format!("only clients on this machine, and this one is at {peer}")
            }
            _ => format!(
                "only clients on this machine by a listener that others cannot reach, and this one is at {listener}"
            ),
        };
        format!(
            "this server has no keys to check a token with, and lets in {whom}: set auth.key_file or auth.jwks_url, or auth.anonymous = \"anywhere\""
        )
    }

    /// Whoever comes without a token.
    pub(super) fn anonymous(&self, view: &View) -> Option<Who> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let whence = Whence { listener: loopback, peer: loopback, forwarded: false };
        let principal = self.anonymous.admit(&whence)?;
        Who::new(principal, &self.event_types, view, &RoleFilters::default()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    #[test]
    fn anonymous_clients_are_kept_from_what_needs_a_role_and_nothing_else() {
        let with_keys = Access { event_types: EventTypes::default(), ..Access::default() };
        let who = with_keys.anonymous(&View::default()).unwrap();
        let asked = |topics: &[&str]| {
            let topics = topics.iter().map(|topic| pattern(topic)).collect();
            Arc::new(Subscription { topics, ..Subscription::default() })
        };
        let plain = asked(&["adsb/ch", "fleet/**"]);
        assert!(Arc::ptr_eq(&who.confine(&plain).unwrap(), &plain));
        assert_eq!(who.confine(&asked(&["LogEntry"])), None);
        let all = who.confine(&asked(&["**"])).unwrap();
        assert!(all.filter.is_some());
        // Where nobody can show a role, nothing needs one.
        let who = Access::default().anonymous(&View::default()).unwrap();
        let logs = asked(&["LogEntry"]);
        assert!(Arc::ptr_eq(&who.confine(&logs).unwrap(), &logs));
    }
}
