//! What cannot be used stops the start, with the key that says it.

use fanwire::server::Server;

use crate::secure::Authority;
use crate::secure::Folder;

/// Files, and why the server does not start with each.
fn cases(
    tls: &str,
    with_ca: &dyn Fn(&str) -> String,
    folder: &Folder,
) -> Vec<(String, &'static str)> {
    let client = |name: &str| with_ca(&format!("[[tls.clients]]\nname = '{name}'\n"));
    let ca = folder.path("clients.pem");
    vec![
        (
            format!("tls.client_ca_file = '{ca}'\n"),
            "fanwire.toml:5: `tls.client_ca_file`: cannot be used: there is no TLS",
        ),
        (
            format!("{tls}tls.client_ca_file = '/nowhere'\n"),
            "fanwire.toml:7: `tls.client_ca_file`: cannot be used: /nowhere: ",
        ),
        (
            format!("{tls}tls.client_ca_file = '{}'\n", folder.path("one.key")),
            "fanwire.toml:7: `tls.client_ca_file`: cannot be used: ",
        ),
        (
            format!("{tls}tls.client_required = true\n"),
            "fanwire.toml:7: `tls.client_required`: cannot be used: nobody can show",
        ),
        (
            format!("{tls}[[tls.clients]]\nname = 'dns:a'\n"),
            "fanwire.toml:7: `tls.clients[0]`: cannot be used: no client is asked",
        ),
        (
            client("a.example"),
            "fanwire.toml:9: `tls.clients[0].name`: cannot be used: it is no name with its kind in front (subject:, cn:, dns:, uri:, email:, ip:)",
        ),
        (client("host:a"), "fanwire.toml:9: `tls.clients[0].name`: cannot be used: it is no name"),
        (client("dns:"), "fanwire.toml:9: `tls.clients[0].name`: cannot be used: it is no name"),
        (
            with_ca("[[tls.clients]]\nname = 'dns:a'\n[[tls.clients]]\nname = 'dns:a'\n"),
            "fanwire.toml:11: `tls.clients[1].name`: cannot be used: another",
        ),
        (
            with_ca("[[tls.clients]]\nuser = 'a'\n"),
            "fanwire.toml:8: `tls.clients[0]`: cannot be used: it has no `name`",
        ),
        (
            with_ca(
                &(0..=1024)
                    .map(|at| format!("[[tls.clients]]\nname = 'dns:h{at}'\n"))
                    .collect::<String>(),
            ),
            "fanwire.toml:2056: `tls.clients[1024]`: cannot be used: 1025 clients; at most 1024 may be",
        ),
        (
            client(&format!("dns:{}", "a".repeat(256))),
            "fanwire.toml:9: `tls.clients[0].name`: cannot be used: a user's name has at most 255 bytes",
        ),
        (
            with_ca(&format!("[[tls.clients]]\nname = 'dns:a'\nroles = {:?}\n", ["r"; 33])),
            "fanwire.toml:10: `tls.clients[0].roles`: cannot be used: at most 32 roles",
        ),
        (
            "tls.redirect_listen = '127.0.0.1:0'\n".to_owned(),
            "fanwire.toml:5: `tls.redirect_listen`: cannot be used: there is nothing to send",
        ),
        (
            format!("{tls}tls.redirect_listen = '127.0.0.1:0'\n"),
            "fanwire.toml:7: `tls.redirect_listen`: cannot be used: `listen` takes any port",
        ),
    ]
}

#[test]
fn what_cannot_be_used_stops_the_start_with_its_key() {
    let folder = Folder::new();
    folder.certify("one", &["localhost"]);
    Authority::new().publish(&folder, "clients.pem");
    let ca = folder.path("clients.pem");
    let tls = format!(
        "tls.certificate_file = '{}'\ntls.key_file = '{}'\n",
        folder.path("one.pem"),
        folder.path("one.key")
    );
    let with_ca = |more: &str| format!("{tls}tls.client_ca_file = '{ca}'\n{more}");
    for (text, expected) in cases(&tls, &with_ca, &folder) {
        let parsed = fanwire::config::Config::parse(
            &format!(
                "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\n{text}"
            ),
            std::path::Path::new("fanwire.toml"),
        );
        let error = match parsed {
            Ok(config) => Server::start(&config).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}
