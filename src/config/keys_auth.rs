//! The keys about who may do what.

use super::takes::Key;
use super::takes::Takes;
use crate::limits::JWKS_WISH_S_MIN;
use crate::limits::TOKEN_LEEWAY_S_MAX;
use crate::limits::TOKEN_LIFETIME_S;

const _: () = assert!(TOKEN_LIFETIME_S == 34_560_000, "the default below says so");
const _: () = assert!(JWKS_WISH_S_MIN == 30, "the default below says so");

/// The algorithms that tokens may be signed with.
pub(super) const ALGORITHMS: &[&str] = &[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA",
];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "auth.algorithm",
        takes: Takes::Choice {
            of: ALGORITHMS,
            set: |config, word| word.clone_into(&mut config.auth.algorithm),
        },
        default: "\"HS256\"",
        unit: "",
        doc: "The one algorithm that the key of `auth.key_file` is for.",
    },
    Key {
        name: "auth.key_file",
        takes: Takes::Text { field: |config| &mut config.auth.key_file },
        default: "\"\"",
        unit: "",
        doc: "The key that tokens are checked with: a secret (HS*) or a public key as PEM. More than one: `[[auth.keys]]`. Without any key, file or address of keys tokens are not looked at, and everyone is anonymous.",
    },
    Key {
        name: "auth.jwks_file",
        takes: Takes::Text { field: |config| &mut config.auth.jwks_file },
        default: "\"\"",
        unit: "",
        doc: "Further keys, as a JSON Web Key Set.",
    },
    Key {
        name: "auth.jwks_url",
        takes: Takes::Text { field: |config| &mut config.auth.jwks_url },
        default: "\"\"",
        unit: "",
        doc: "Where the issuer publishes its keys: https, or this machine. Fetched before the server listens, as `Cache-Control` says, and when a token names a key that is not known; a failed fetch takes no key away.",
    },
    Key {
        name: "auth.jwks_wish_s_min",
        takes: Takes::Number {
            min: 1,
            max: 3600,
            field: |config| &mut config.auth.jwks_wish_s_min,
        },
        default: "30",
        unit: "seconds",
        doc: "How soon after a fetch a token that names an unknown key may cause the next one.",
    },
    Key {
        name: "auth.issuer",
        takes: Takes::Text { field: |config| &mut config.auth.issuer },
        default: "\"\"",
        unit: "",
        doc: "`iss` must be this. Empty: any.",
    },
    Key {
        name: "auth.audience",
        takes: Takes::Text { field: |config| &mut config.auth.audience },
        default: "\"\"",
        unit: "",
        doc: "`aud` must name this. Empty: a token that names an audience is refused.",
    },
    Key {
        name: "auth.leeway_s",
        takes: Takes::Number {
            min: 0,
            max: TOKEN_LEEWAY_S_MAX,
            field: |config| &mut config.auth.leeway_s,
        },
        default: "30",
        unit: "seconds",
        doc: "By how much the clocks of this machine and of the issuer may differ.",
    },
    Key {
        name: "auth.expiry_required",
        takes: Takes::Switch(|config| &mut config.auth.expiry_required),
        default: "true",
        unit: "",
        doc: "Whether a token without `exp` is refused. If it is not, revocations are kept for ever.",
    },
    Key {
        name: "auth.lifetime_s_max",
        takes: Takes::Number {
            min: 60,
            max: 10 * TOKEN_LIFETIME_S,
            field: |config| &mut config.auth.lifetime_s_max,
        },
        default: "34560000",
        unit: "seconds",
        doc: "How long a token may live, from its issue to its expiry; one that lives longer is refused.",
    },
    Key {
        name: "auth.user_claim",
        takes: Takes::Text { field: |config| &mut config.auth.user_claim },
        default: "\"sub\"",
        unit: "",
        doc: "The claim with the user's name.",
    },
    Key {
        name: "auth.role_claims",
        takes: Takes::List(|config| &mut config.auth.role_claims),
        default: "[\"role\", \"roles\"]",
        unit: "",
        doc: "The claims with roles, each a string or a list; all of them count. `realm_access.roles` is a path into objects.",
    },
    Key {
        name: "auth.grants_claim",
        takes: Takes::Text { field: |config| &mut config.auth.grants_claim },
        default: "\"fanwire\"",
        unit: "",
        doc: "The claim with `{\"subscribe\":[…],\"publish\":[…],\"filter\":…}`.",
    },
    Key {
        name: "auth.subscribe_default",
        takes: Takes::List(|config| &mut config.auth.subscribe_default),
        default: "[\"**\"]",
        unit: "",
        doc: "Topics and patterns that a token may subscribe to if neither it nor a role of its says anything about that.",
    },
    Key {
        name: "auth.publish_default",
        takes: Takes::List(|config| &mut config.auth.publish_default),
        default: "[]",
        unit: "",
        doc: "Likewise for publishing.",
    },
    Key {
        name: "auth.anonymous",
        takes: Takes::Choice {
            of: &["nowhere", "loopback", "anywhere"],
            set: |config, word| word.clone_into(&mut config.auth.anonymous),
        },
        default: "\"loopback\"",
        unit: "",
        doc: "Where clients without a token are let in.",
    },
    Key {
        name: "auth.anonymous_role",
        takes: Takes::Text { field: |config| &mut config.auth.anonymous_role },
        default: "\"\"",
        unit: "",
        doc: "The role of `[roles]` that clients without a token have: they may do what it says, and nothing else. Empty: everything but what needs a role.",
    },
    Key {
        name: "auth.admin_secret_file",
        takes: Takes::Text { field: |config| &mut config.auth.admin_secret_file },
        default: "\"\"",
        unit: "",
        doc: "What opens `/v1/admin/…`, in a file. Empty: nothing does.",
    },
    Key {
        name: "auth.metrics",
        takes: Takes::Choice {
            of: &["anyone", "secret"],
            set: |config, word| word.clone_into(&mut config.auth.metrics),
        },
        default: "\"anyone\"",
        unit: "",
        doc: "Who may read the figures at `/metrics`: totals of the whole server, without any name. `secret`: who shows the admin secret (`Authorization: Bearer`), as Prometheus can with `authorization.credentials_file`; the live page then shows none.",
    },
    Key {
        name: "auth.origins",
        takes: Takes::Text { field: |config| &mut config.auth.origins },
        default: "\"\"",
        unit: "",
        doc: "Origins of other sites and of apps whose pages may connect, with commas between them. Each is a whole origin, with its port if that is not the scheme's own: `https://app.example.com`, `http://localhost:5173`, `https://*.example.com`, `capacitor://localhost`, `tauri://localhost`, `app://.`, `file://`, `chrome-extension://<id>`, `vscode-webview://<id>`; `null` stands for pages without an origin, `*` for all.",
    },
    Key {
        name: "auth.hosts",
        takes: Takes::Text { field: |config| &mut config.auth.hosts },
        default: "\"\"",
        unit: "",
        doc: "Names under which this server is known, whose own pages may connect, with commas between them.",
    },
    Key {
        name: "auth.user_connections",
        takes: Takes::Number {
            min: 1,
            max: 1_000_000,
            field: |config| &mut config.auth.user_connections,
        },
        default: "10",
        unit: "connections",
        doc: "Connections that one user may have; the next is refused with 429.",
    },
    Key {
        name: "auth.address_connections",
        takes: Takes::Number {
            min: 1,
            max: 1_000_000,
            field: |config| &mut config.auth.address_connections,
        },
        default: "1000",
        unit: "connections",
        doc: "Connections that one address may have, this machine's own apart; the next is refused with 429.",
    },
    Key {
        name: "auth.handshakes_per_s",
        takes: Takes::Number {
            min: 1,
            max: 1_000_000,
            field: |config| &mut config.auth.handshakes_per_s,
        },
        default: "100",
        unit: "a second",
        doc: "Handshakes that one address may begin, this machine's own apart; the next is refused with 429.",
    },
    Key {
        name: "auth.messages_per_s",
        takes: Takes::Number {
            min: 1,
            max: 1_000_000,
            field: |config| &mut config.auth.messages_per_s,
        },
        default: "100",
        unit: "a second",
        doc: "Messages that one client may send over a WebSocket, in any dialect; the next closes it with 1008. What it publishes is counted by `auth.publish_per_s` instead.",
    },
    Key {
        name: "auth.publish_per_s",
        takes: Takes::Number {
            min: 1,
            max: 1_000_000_000,
            field: |config| &mut config.auth.publish_per_s,
        },
        default: "10000",
        unit: "a second",
        doc: "Events that one user may publish, or one address without a token, this machine's own apart. The next is not taken, and its publisher is told so: 429 over HTTP; an upload of many lines is read no faster.",
    },
];
