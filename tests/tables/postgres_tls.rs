//! PostgreSQL that is spoken with encrypted: a real server with a certificate, one without, and those that are not who they should be.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;

use fanwire::backend::postgres::Address;
use fanwire::backend::postgres::check;
use fanwire::clock::Clock;

use crate::conformance::ask;
use crate::postgres::LOOK;
use crate::postgres::LOOKS;
use crate::postgres::all;
use crate::postgres::create;
use crate::postgres::open;
use crate::postgres::schema;
use crate::postgres_cluster::Cluster;

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls")
}

/// Has a server encrypt, with the certificate of `localhost` and 127.0.0.1.
fn encrypt(cluster: &Cluster) {
    for (from, to) in [("localhost.pem", "own.crt"), ("localhost.key.pem", "own.key")] {
        let place = cluster.folder().join("data").join(to);
        std::fs::copy(certificates().join(from), &place).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            let owner =
                std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(cluster.folder()).unwrap());
            chown(&place, Some(owner), Some(owner)).unwrap();
        }
    }
    for set in ["ssl_cert_file = 'own.crt'", "ssl_key_file = 'own.key'", "ssl = on"] {
        cluster.sql("postgres", &format!("ALTER SYSTEM SET {set}"));
    }
    cluster.sql("postgres", "SELECT pg_reload_conf()");
}

#[test]
fn a_real_server_is_spoken_with_encrypted_and_believed_only_if_it_proves_itself() {
    let cluster = Cluster::start("tls", &["listen_addresses=127.0.0.1,127.0.0.2"]);
    let address = |host: &str, proof: &str| {
        format!("postgres://ada@{host}:{}/postgres?sslmode=verify-full{proof}", cluster.port())
    };
    let ours = format!("&sslrootcert={}", certificates().join("ca.pem").display());
    let schema = schema("notes");
    let said = |address: &str| {
        let address = Address::parse(address).unwrap();
        match check(&address, &schema, Clock::start()) {
            Ok(differences) => differences.join("; "),
            Err(error) => error.to_string(),
        }
    };
    // None of these is waited for: it is there, and is not believed.
    let refused = |address: &str| open(address, &schema, 10_000).unwrap_err().to_string();
    assert_eq!(refused(&address("127.0.0.1", &ours)), "it does not encrypt, and must");
    encrypt(&cluster);
    let lacks = "the database has no table `notes`";
    for host in ["127.0.0.1", "localhost"] {
        // What is set is read a moment after it is there.
        let found = (0..LOOKS).find(|_| {
            let is_there = said(&address(host, &ours)) == lacks;
            if !is_there {
                std::thread::park_timeout(LOOK);
            }
            is_there
        });
        assert!(found.is_some(), "{host}: {}", said(&address(host, &ours)));
    }
    let error = refused(&address("127.0.0.2", &ours));
    assert!(error.contains("certificate not valid for name"), "another name: {error}");
    // The certificate of a server is no authority's.
    let own = format!("&sslrootcert={}", certificates().join("localhost.pem").display());
    let error = refused(&address("127.0.0.1", &own));
    assert!(error.contains("invalid peer certificate"), "nobody vouches for it: {error}");

    let mut backend = open(&address("localhost", &ours), &schema, 10_000).unwrap();
    assert!(ask(&mut backend, create(1, "over TLS")).1.starts_with("Told"));
    assert_eq!(ask(&mut backend, all()).1, "End { count: 1, total: None, number: None }");
    let encrypted = "SELECT count(*) > 1, bool_and(s.ssl) FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.application_name = 'fanwire'";
    assert_eq!(cluster.sql("postgres", encrypted), "t|t", "who writes and who reads");
}
