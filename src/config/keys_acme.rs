//! The keys about certificates that an authority issues (ACME).

use super::takes::Key;
use super::takes::Takes;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tls.acme",
        takes: Takes::List(|config| &mut config.tls.acme.names),
        default: "[]",
        unit: "",
        doc: "Names (or addresses) of this server for which a certificate is ordered from an authority, kept and renewed (ACME, RFC 8555): `[\"fanwire.example.org\"]`. One certificate is for all of them. It is renewed when the authority says so (RFC 9773), else after two thirds of its time. What fails is in the log and tried again, after a minute at first and six hours at last, or at once when the configuration is read anew; the former certificate is shown until there is another. Before the first there is none to show, unless one of your own or a self-signed one is configured beside it.",
    },
    Key {
        name: "tls.acme_terms_agreed",
        takes: Takes::Switch(|config| &mut config.tls.acme.terms_agreed),
        default: "false",
        unit: "",
        doc: "Whether you agree to the authority's terms of service. Nothing is ordered without it.",
    },
    Key {
        name: "tls.acme_directory",
        takes: Takes::Text { field: |config| &mut config.tls.acme.directory },
        default: "\"https://acme-v02.api.letsencrypt.org/directory\"",
        unit: "",
        doc: "The authority, by the address of its directory. For a first try take one whose certificates nobody believes: `https://acme-staging-v02.api.letsencrypt.org/directory`.",
    },
    Key {
        name: "tls.acme_contacts",
        takes: Takes::List(|config| &mut config.tls.acme.contacts),
        default: "[]",
        unit: "",
        doc: "Where the authority may write to: `[\"mailto:ops@example.org\"]`. Said when the account is made.",
    },
    Key {
        name: "tls.acme_challenge",
        takes: Takes::Choice {
            of: &["tls-alpn-01", "http-01"],
            set: |config, word| word.clone_into(&mut config.tls.acme.challenge),
        },
        default: "\"tls-alpn-01\"",
        unit: "",
        doc: "How the authority sees that the names are yours. `tls-alpn-01`: it connects to port 443, which must lead to a listener that speaks TLS. `http-01`: it asks on port 80, which must lead to `tls.redirect_listen`.",
    },
    Key {
        name: "tls.acme_ca_file",
        takes: Takes::Text { field: |config| &mut config.tls.acme.ca_file },
        default: "\"\"",
        unit: "",
        doc: "Whom to believe that an authority is the one that was asked for, in PEM, for one of your own. Empty: whom this machine believes.",
    },
    Key {
        name: "tls.acme_eab_key_id",
        takes: Takes::Text { field: |config| &mut config.tls.acme.eab_key_id },
        default: "\"\"",
        unit: "",
        doc: "Of an authority that issues to its customers only (external account binding, RFC 8555 section 7.3.4): the name of the key that it gave you for it. Said when the account is made. Empty: the authority asks for none.",
    },
    Key {
        name: "tls.acme_eab_key_file",
        takes: Takes::Text { field: |config| &mut config.tls.acme.eab_key_file },
        default: "\"\"",
        unit: "",
        doc: "The file with that key (HMAC), in base64url as authorities give it.",
    },
];
