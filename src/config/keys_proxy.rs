//! The keys about proxies in front of the server.

use super::takes::Key;
use super::takes::Takes;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "trusted_proxies",
        takes: Takes::List(|config| &mut config.trusted_proxies),
        default: "[]",
        unit: "",
        doc: "Addresses and networks of proxies that are believed when they say whom a request is from: `[\"10.0.0.0/8\", \"2001:db8::1\"]`. Limits by address then count that client. Whoever was passed on never counts as a client on this machine, believed or not.",
    },
    Key {
        name: "proxy_field",
        takes: Takes::Choice {
            of: &["X-Forwarded-For", "Forwarded"],
            set: |config, word| word.clone_into(&mut config.proxy_field),
        },
        default: "\"X-Forwarded-For\"",
        unit: "",
        doc: "The header field in which they say it. The other one is not read: a proxy that writes one of them lets its clients write the other.",
    },
    Key {
        name: "proxy_listeners",
        takes: Takes::List(|config| &mut config.proxy_listeners),
        default: "[]",
        unit: "",
        doc: "Listeners on which each connection begins with a header of the PROXY protocol (version 1 or 2), before TLS, by the keys that they are set with: `[\"listen\"]`. Only `trusted_proxies` may connect there.",
    },
];
