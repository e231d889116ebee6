//! The keys about encryption: certificates, and which listeners use them.

use super::takes::Key;
use super::takes::Takes;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tls.certificate_file",
        takes: Takes::Text { field: |config| &mut config.tls.certificate_file },
        default: "\"\"",
        unit: "",
        doc: "A certificate and those that it was signed with, in PEM, the server's own first. With one, every listener speaks TLS (1.3 and 1.2). Read again within two seconds when the file changes; nobody is disconnected. If what it then holds is no good, the former certificate stays, and the log says why.",
    },
    Key {
        name: "tls.key_file",
        takes: Takes::Text { field: |config| &mut config.tls.key_file },
        default: "\"\"",
        unit: "",
        doc: "The certificate's private key, in PEM. Read again like the certificate.",
    },
    Key {
        name: "tls.self_signed",
        takes: Takes::List(|config| &mut config.tls.self_signed),
        default: "[]",
        unit: "",
        doc: "Names and addresses for which the server makes a certificate and signs it itself, for a first try: `[\"localhost\", \"127.0.0.1\"]`. Clients must be given it, or told not to ask (`--insecure`). It is good for 30 days, and renewed when 20 of them have passed.",
    },
    Key {
        name: "tls.folder",
        takes: Takes::Text { field: |config| &mut config.tls.folder },
        default: "\"\"",
        unit: "",
        doc: "Where certificates are kept that the server makes or orders: `self-signed.crt` is for clients (`--ca`), `self-signed.pem` is the server's, `acme.pem` was issued and `acme-account.json` is the account with the authority. Empty: a self-signed one is kept nowhere, a new one is made at each start; what an authority issues is kept in the folder `tls` of `data_dir`.",
    },
    Key {
        name: "tls.client_ca_file",
        takes: Takes::Text { field: |config| &mut config.tls.client_ca_file },
        default: "\"\"",
        unit: "",
        doc: "The authorities, in PEM, whose certificates clients may show. With them, whoever shows one is known by it (`[[tls.clients]]`) where no token says otherwise; one that these authorities have not signed, or that is over, ends the handshake. Read again like the certificate; sessions from before are not resumed then. Empty: clients are asked for none.",
    },
    Key {
        name: "tls.client_required",
        takes: Takes::Switch(|config| &mut config.tls.client_required),
        default: "false",
        unit: "",
        doc: "Whether a client that shows no certificate is refused in its handshake, on every listener that speaks TLS.",
    },
    Key {
        name: "tls.plain_listeners",
        takes: Takes::List(|config| &mut config.tls.plain_listeners),
        default: "[]",
        unit: "",
        doc: "Listeners that speak no TLS although there is a certificate, by the keys that they are set with: `[\"listen\"]`, or a `listen` of a dialect.",
    },
    Key {
        name: "tls.redirect_listen",
        takes: Takes::AddressOrNone(|config| &mut config.tls.redirect_listen),
        default: "\"\"",
        unit: "address:port, or `\"\"`",
        doc: "Where requests in the clear are told to come back by `https` (308, which keeps method and body), and nothing else: `0.0.0.0:80`. Empty: nowhere.",
    },
    Key {
        name: "tls.redirect_port",
        takes: Takes::Number { min: 0, max: 65_535, field: |config| &mut config.tls.redirect_port },
        default: "0",
        unit: "",
        doc: "The port that they are told, if it is another from outside. 0: that of `listen`.",
    },
    Key {
        name: "tls.hsts_s",
        takes: Takes::Number { min: 0, max: 63_072_000, field: |config| &mut config.tls.hsts_s },
        default: "0",
        unit: "seconds",
        doc: "For how long browsers ask this host by `https` alone once they were answered by it (`Strict-Transport-Security`). It holds for every port of the host, whoever listens there, and cannot be taken back before it is over; so nobody is told by default. 0: nothing is said.",
    },
];
