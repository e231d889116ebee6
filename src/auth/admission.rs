//! How many connections and how fast: by user, by address, by connection, by publisher.
//!
//! Invariants: what was let in is counted until it is handed back, so `Admitted` is neither copied nor made
//! elsewhere; there is at most one entry by user and address for each live connection. Time is an argument.
//! One process has one `Admission`: counting per core would multiply the limits by the cores.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::limits::ADDRESS_CONNECTIONS;
use crate::limits::HANDSHAKES_PER_S;
use crate::limits::MESSAGES_PER_S;
use crate::limits::PUBLISH_PER_S;
use crate::limits::USER_CONNECTIONS;

use super::rate::Buckets;
use super::rate::Rate;

/// The limits, as set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessLimits {
    pub user_connections: u32,
    pub address_connections: u32,
    /// By address.
    pub handshakes: Rate,
    /// By connection; its `Bucket` lives in the connection.
    pub messages: Rate,
    /// By publisher: a user, or the address of one without a name.
    pub publish: Rate,
}

impl Default for AccessLimits {
    fn default() -> Self {
        Self {
            user_connections: USER_CONNECTIONS,
            address_connections: ADDRESS_CONNECTIONS,
            handshakes: Rate::per_second(HANDSHAKES_PER_S),
            messages: Rate::per_second(MESSAGES_PER_S),
            publish: Rate::per_second(PUBLISH_PER_S),
        }
    }
}

/// A limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    UserConnections {
        max: u32,
    },
    AddressConnections {
        max: u32,
    },
    Handshakes {
        per_second: u32,
    },
    /// Who counts has too many questions to answer already.
    Busy,
}

impl LimitError {
    /// The limit's name, as in the settings and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserConnections { .. } => "user_connections",
            Self::AddressConnections { .. } => "address_connections",
            Self::Handshakes { .. } => "handshakes_per_s",
            Self::Busy => "full",
        }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::UserConnections { max } => {
                write!(f, "{name}: this user has {max} connections already")
            }
            Self::AddressConnections { max } => {
                write!(f, "{name}: this address has {max} connections already")
            }
            Self::Handshakes { per_second } => {
                write!(f, "{name}: more than {per_second} handshakes a second")
            }
            Self::Busy => write!(f, "{name}: too many handshakes wait to be counted, try again"),
        }
    }
}

impl std::error::Error for LimitError {}

/// An address as it is counted: of IPv6 the first 64 bits, since whoever has one address there has all of
/// those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// How `address` is counted; `None`: it is not, being this machine's own. A proxy there speaks for
    /// everyone.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            own if own.is_loopback() => None,
            IpAddr::V4(address) => Some(Self(IpAddr::V4(address))),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Some(Self(IpAddr::V6(Ipv6Addr::from_bits(network))))
            }
        }
    }
}

/// Who publishes, for the rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publisher(Counted);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    User(Arc<str>),
    Address(AddressKey),
}

impl Publisher {
    /// Who `user` at `peer` is counted as; `None`: they are not, having no name and coming from this machine.
    #[must_use]
    pub fn of(user: Option<&Arc<str>>, peer: IpAddr) -> Option<Self> {
        let counted = match user {
            Some(user) => Counted::User(Arc::clone(user)),
            None => Counted::Address(AddressKey::of(peer)?),
        };
        Some(Self(counted))
    }
}

/// A connection that was let in and is counted. To be handed back to `leave` when it ends.
#[derive(Debug)]
#[must_use = "what is not handed back stays counted"]
pub struct Admitted {
    user: Option<Arc<str>>,
    address: Option<AddressKey>,
}

/// Who is here, counted.
#[derive(Debug)]
pub struct Admission {
    limits: AccessLimits,
    users: HashMap<Arc<str>, u32>,
    addresses: HashMap<AddressKey, u32>,
    handshakes: Buckets<AddressKey>,
    publishers: Buckets<Publisher>,
}

impl Admission {
    /// Nobody yet; at most so many rates of each kind are remembered.
    #[must_use]
    pub fn within(limits: AccessLimits, rates_max: usize) -> Self {
        Self {
            limits,
            users: HashMap::new(),
            addresses: HashMap::new(),
            handshakes: Buckets::new(rates_max),
            publishers: Buckets::new(rates_max),
        }
    }

    /// Whoever comes from now on is held to these; who is here stays, and is counted.
    pub const fn set_limits(&mut self, limits: AccessLimits) {
        self.limits = limits;
    }

    /// A handshake begins: to be asked before the token is looked at, which is what costs.
    ///
    /// # Errors
    /// This address has begun too many lately.
    pub fn handshake(&mut self, peer: IpAddr, now_ms: u64) -> Result<(), LimitError> {
        let rate = self.limits.handshakes;
        let fits = AddressKey::of(peer)
            .is_none_or(|address| self.handshakes.take(address, 1, rate, now_ms));
        if fits { Ok(()) } else { Err(LimitError::Handshakes { per_second: rate.per_second }) }
    }

    /// A connection wants to open. `user`: absent if anonymous or not yet known.
    ///
    /// # Errors
    /// The user or the address has too many already; nothing was counted then.
    pub fn connect(
        &mut self,
        user: Option<Arc<str>>,
        peer: IpAddr,
    ) -> Result<Admitted, LimitError> {
        let address = AddressKey::of(peer);
        let max = self.limits.address_connections;
        if address.is_some_and(|address| count(&self.addresses, &address) >= max) {
            return Err(LimitError::AddressConnections { max });
        }
        if let Some(user) = &user {
            self.check_user(user)?;
            *self.users.entry(Arc::clone(user)).or_default() += 1;
        }
        if let Some(address) = address {
            *self.addresses.entry(address).or_default() += 1;
        }
        Ok(Admitted { user, address })
    }

    /// An open connection says only now whose it is, or is someone else's from here on.
    ///
    /// # Errors
    /// The user has too many already; the connection stays counted as before.
    pub fn identify(&mut self, admitted: &mut Admitted, user: &Arc<str>) -> Result<(), LimitError> {
        if admitted.user.as_ref() == Some(user) {
            return Ok(());
        }
        self.check_user(user)?;
        *self.users.entry(Arc::clone(user)).or_default() += 1;
        if let Some(former) = admitted.user.replace(Arc::clone(user)) {
            discount(&mut self.users, &former);
        }
        Ok(())
    }

    /// A connection ended.
    pub fn leave(&mut self, admitted: Admitted) {
        let Admitted { user, address } = admitted;
        if let Some(user) = user {
            discount(&mut self.users, &user);
        }
        if let Some(address) = address {
            discount(&mut self.addresses, &address);
        }
    }

    /// Someone wants to publish `events` events: how many of them they may, having published others lately.
    #[must_use]
    pub fn publish(&mut self, publisher: &Publisher, events: u32, now_ms: u64) -> u32 {
        self.publishers.take_up_to(publisher.clone(), events, self.limits.publish, now_ms)
    }

    /// Connections of a user.
    #[cfg(test)]
    fn connections_of(&self, user: &str) -> u32 {
        self.users.get(user).copied().unwrap_or(0)
    }

    fn check_user(&self, user: &Arc<str>) -> Result<(), LimitError> {
        let max = self.limits.user_connections;
        if count(&self.users, user) >= max {
            Err(LimitError::UserConnections { max })
        } else {
            Ok(())
        }
    }
}

fn count<K: Eq + std::hash::Hash>(counts: &HashMap<K, u32>, key: &K) -> u32 {
    counts.get(key).copied().unwrap_or(0)
}

fn discount<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    let left = counts.get_mut(key).expect("it was counted when it was let in");
    *left -= 1;
    if *left == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RATES_MAX;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ada() -> Option<Arc<str>> {
        Some(Arc::from("ada"))
    }

    #[test]
    fn the_eleventh_connection_of_a_user_is_refused_and_the_limit_named() {
        let mut admission = Admission::within(AccessLimits::default(), RATES_MAX);
        let mut open: Vec<Admitted> =
            (0..10).map(|_| admission.connect(ada(), ip("127.0.0.1")).unwrap()).collect();
        let refused = admission.connect(ada(), ip("10.0.0.1")).unwrap_err();
        assert_eq!(refused, LimitError::UserConnections { max: 10 });
        assert_eq!(refused.to_string(), "user_connections: this user has 10 connections already");
        let _bob = admission.connect(Some(Arc::from("bob")), ip("10.0.0.1")).unwrap();
        admission.leave(open.pop().unwrap());
        let _eleventh = admission.connect(ada(), ip("10.0.0.1")).unwrap();
        assert_eq!(admission.connections_of("ada"), 10);
    }

    #[test]
    fn an_address_is_counted_and_this_machine_is_not() {
        let limits = AccessLimits { address_connections: 2, ..AccessLimits::default() };
        let mut admission = Admission::within(limits, RATES_MAX);
        let one = admission.connect(None, ip("2001:db8::1")).unwrap();
        let _two = admission.connect(None, ip("2001:db8::ffff:0:2")).unwrap();
        let refused = admission.connect(ada(), ip("2001:db8::3")).unwrap_err();
        assert_eq!(refused, LimitError::AddressConnections { max: 2 });
        assert_eq!(admission.connections_of("ada"), 0, "a refused connection counts for nobody");
        let _other = admission.connect(None, ip("2001:db8:0:1::1")).unwrap();
        admission.leave(one);
        let _again = admission.connect(None, ip("2001:db8::4")).unwrap();
        let _local: Vec<Admitted> =
            (0..9).map(|_| admission.connect(None, ip("::ffff:127.0.0.1")).unwrap()).collect();
    }

    #[test]
    fn a_connection_that_says_late_whose_it_is_is_counted_then() {
        let limits = AccessLimits { user_connections: 1, ..AccessLimits::default() };
        let mut admission = Admission::within(limits, RATES_MAX);
        let (ada, bob): (Arc<str>, Arc<str>) = (Arc::from("ada"), Arc::from("bob"));
        let mut first = admission.connect(None, ip("10.0.0.1")).unwrap();
        let mut second = admission.connect(None, ip("10.0.0.1")).unwrap();
        admission.identify(&mut first, &ada).unwrap();
        admission.identify(&mut first, &ada).unwrap();
        assert_eq!(
            admission.identify(&mut second, &ada),
            Err(LimitError::UserConnections { max: 1 })
        );
        admission.identify(&mut first, &bob).unwrap();
        admission.identify(&mut second, &ada).unwrap();
        admission.leave(first);
        admission.leave(second);
        assert!(
            admission.users.is_empty() && admission.addresses.is_empty(),
            "nothing is left behind"
        );
    }

    #[test]
    fn handshakes_and_publishing_have_their_rates() {
        let one = Rate::per_second(1);
        let limits = AccessLimits {
            handshakes: one,
            publish: Rate::per_second(3),
            ..AccessLimits::default()
        };
        let mut admission = Admission::within(limits, RATES_MAX);
        assert!(admission.handshake(ip("10.0.0.1"), 0).is_ok());
        assert_eq!(
            admission.handshake(ip("10.0.0.1"), 1),
            Err(LimitError::Handshakes { per_second: 1 })
        );
        assert!(admission.handshake(ip("10.0.0.2"), 1).is_ok());
        assert!((0..5).all(|_| admission.handshake(ip("127.0.0.1"), 1).is_ok()));
        let ada = ada();
        let publisher = |user, peer| Publisher::of(user, ip(peer)).unwrap();
        assert_eq!(admission.publish(&publisher(ada.as_ref(), "127.0.0.1"), 2, 0), 2);
        let elsewhere = publisher(ada.as_ref(), "10.0.0.9");
        assert_eq!(admission.publish(&elsewhere, 2, 0), 1, "a user is one, wherever they are");
        assert_eq!(admission.publish(&elsewhere, 2, 0), 0);
        assert_eq!(admission.publish(&publisher(None, "10.0.0.9"), 3, 0), 3);
        assert_eq!(Publisher::of(None, ip("127.0.0.1")), None);
    }
}
