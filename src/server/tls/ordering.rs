//! From the configuration to certificates that an authority issues: what is ordered, who orders it, and how the authority sees that the names are ours.
//!
//! Invariants: what cannot be ordered stops the start, with the key that says it; what fails later does not. Never shows anything itself: cores do, as `watch` tells them.

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use flume::WeakSender;
use zeroize::Zeroizing;

use super::super::error::StartError;
use super::super::written::file;
use super::super::written::unusable;
use super::Watching;
use super::is_secured;
use super::watch::Task;
use crate::acme::Acme;
use crate::acme::AcmeSettings;
use crate::acme::Customer;
use crate::acme::Keeper;
use crate::acme::Proof;
use crate::acme::Shown;
use crate::acme::Stage;
use crate::acme::WORDING;
use crate::admin::Board;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::limits::ACME_NAMES_MAX;
use crate::limits::ACME_SHOW_MS_MAX;
use crate::outbound;
use crate::shard::Port;

/// What is to be ordered; `None`: nothing.
pub(in crate::server) fn settings(config: &Config) -> Result<Option<AcmeSettings>, ConfigError> {
    let acme = &config.tls.acme;
    if acme.names.is_empty() {
        return Ok(None);
    }
    let proof = match acme.challenge.as_str() {
        "http-01" => Proof::Http,
        _ => Proof::Tls,
    };
    check_names(&acme.names).map_err(|reason| unusable(config, "tls.acme", reason))?;
    if !acme.terms_agreed {
        let reason = "nothing is ordered before you agree to the authority's terms: set it to true";
        return Err(unusable(config, "tls.acme_terms_agreed", reason));
    }
    let is_encrypted = outbound::check_address(&acme.directory, WORDING)
        .map_err(|error| unusable(config, "tls.acme_directory", error))?;
    if let Some(other) = acme.contacts.iter().find(|contact| !contact.starts_with("mailto:")) {
        let reason = format!("\"{other}\" does not begin with \"mailto:\"");
        return Err(unusable(config, "tls.acme_contacts", reason));
    }
    check_way(config, proof)?;
    let authorities = match acme.ca_file.as_str() {
        "" => None,
        path => Some(file(config, "tls.acme_ca_file", path)?.to_vec()),
    };
    if is_encrypted {
        outbound::encryption(authorities.as_deref(), WORDING)
            .map_err(|error| unusable(config, "tls.acme_ca_file", error))?;
    }
    Ok(Some(AcmeSettings {
        names: acme.names.clone(),
        directory: acme.directory.clone(),
        contacts: acme.contacts.clone(),
        proof,
        folder: folder(config),
        authorities,
        customer: customer(config)?,
    }))
}

/// As whose customer an account is made.
fn customer(config: &Config) -> Result<Option<Customer>, ConfigError> {
    let (key_id, path) = (&config.tls.acme.eab_key_id, &config.tls.acme.eab_key_file);
    let key = "tls.acme_eab_key_file";
    match (key_id.as_str(), path.as_str()) {
        ("", "") => return Ok(None),
        ("", _) => {
            let reason = "the key has a name that the authority gave you with it";
            return Err(unusable(config, "tls.acme_eab_key_id", reason));
        }
        (_, "") => {
            return Err(unusable(config, key, "the authority gave you a key with that name"));
        }
        _ => {}
    }
    let text = file(config, key, path)?;
    let decoded = KEY_TEXT.decode(text.trim_ascii()).map(Zeroizing::new);
    match decoded {
        Ok(bytes) if !bytes.is_empty() => Ok(Some(Customer { key_id: key_id.clone(), key: bytes })),
        // What is wrong with a secret is not shown.
        _ => Err(unusable(config, key, format_args!("{path}: that is no key in base64url"))),
    }
}

/// How authorities write a key down, some with padding.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where account and certificate are kept.
fn folder(config: &Config) -> PathBuf {
    match config.tls.folder.as_str() {
        "" => Path::new(&config.data_dir).join("tls"),
        folder => PathBuf::from(folder),
    }
}

/// Whether the authority can see in that way that the names are ours.
fn check_way(config: &Config, proof: Proof) -> Result<(), ConfigError> {
    let key = "tls.acme_challenge";
    let reason = match proof {
        Proof::Http if config.tls.redirect_listen.is_none() => {
            "the authority asks on port 80, where nobody answers: set `tls.redirect_listen`"
        }
        Proof::Tls if !is_secured(config, Port::Shared) => {
            "the authority asks by TLS, and `listen` does not speak it: take \"http-01\""
        }
        Proof::Tls if config.tls.client_required => {
            "the authority shows no certificate of its own, which `tls.client_required` wants of everybody: take \"http-01\""
        }
        _ => return Ok(()),
    };
    Err(unusable(config, key, reason))
}

fn check_names(names: &[String]) -> Result<(), String> {
    if names.len() > ACME_NAMES_MAX {
        return Err(format!("{} names; at most {ACME_NAMES_MAX} may be", names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        if names.iter().take(index).any(|before| before == name) {
            return Err(format!("\"{name}\" is there twice"));
        }
        if name.starts_with("*.") {
            return Err(format!(
                "\"{name}\": an authority issues wildcards by DNS only, which the server cannot change; configure a certificate of your own for it"
            ));
        }
        if !is_name(name) && name.parse::<IpAddr>().is_err() {
            return Err(format!("\"{name}\" is no name of a host, in lower case"));
        }
    }
    Ok(())
}

/// Whether it is the name of a host (RFC 1123 section 2.1), in the form in which names are compared.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_of)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && !name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The listeners, as an authority comes to see them.
struct Listeners {
    tell: WeakSender<Task>,
    board: Arc<Board>,
}

impl Stage for Listeners {
    fn show(&self, shown: &[Shown]) -> Result<(), String> {
        let stops = || "the server stops".to_owned();
        let (told, hears) = flume::bounded(1);
        let tell = self.tell.upgrade().ok_or_else(stops)?;
        tell.send(Task::Prove(shown.to_vec(), told)).map_err(|_| stops())?;
        drop(tell);
        hears.recv_timeout(Duration::from_millis(ACME_SHOW_MS_MAX)).unwrap_or_else(|_| {
            Err(format!("a core has not taken it within {ACME_SHOW_MS_MAX} ms"))
        })
    }

    fn know_account(&self, thumbprint: &str) {
        self.board.certificates().know_account(thumbprint);
    }
}

/// Whoever orders certificates, if any are ordered. Stops when dropped, and does not wait for the end of a request that is underway.
#[derive(Debug)]
pub(in crate::server) struct Ordering(Acme);

impl Ordering {
    /// Begins, if something is to be ordered.
    pub(in crate::server) fn start(
        config: &Config,
        watching: Option<&Watching>,
        (board, clock): (&Arc<Board>, Clock),
    ) -> Result<Option<Self>, StartError> {
        let tell = watching.and_then(Watching::tell);
        let (Some(settings), Some(tell)) = (settings(config)?, tell) else { return Ok(None) };
        let stage = Listeners { tell, board: Arc::clone(board) };
        let (keeper, acme) = Keeper::new(
            settings,
            Box::new(stage),
            Arc::clone(board.certificates().orders()),
            clock,
        )
        .map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new().name("acme".to_owned());
        thread.spawn(move || keeper.run()).map_err(StartError::Thread)?;
        Ok(Some(Self(acme)))
    }

    /// Orders what is configured from now on.
    pub(in crate::server) fn renew(&self, settings: AcmeSettings) {
        self.0.renew(settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let text = format!(
            "listen = '127.0.0.1:0'\n[tls]\nacme = ['a.example.org']\nacme_terms_agreed = true\n{text}"
        );
        let config = Config::parse(&text, Path::new("f.toml")).unwrap();
        settings(&config).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_ordered_stops_the_start_with_the_key_that_says_it() {
        assert_eq!(said("folder = 'here'"), "");
        for (text, words) in [
            (
                "acme_directory = 'http://ca.example/dir'",
                "f.toml:5: `tls.acme_directory`: cannot be used: certificates are ordered over https only",
            ),
            ("acme_contacts = ['ops@example.org']", "does not begin with \"mailto:\""),
            ("acme_challenge = 'http-01'", "set `tls.redirect_listen`"),
            ("plain_listeners = ['listen']", "`listen` does not speak it"),
            ("client_required = true\nclient_ca_file = 'x'", "shows no certificate of its own"),
            ("acme_ca_file = '/nowhere.pem'", "/nowhere.pem"),
            ("acme_eab_key_id = 'k'", "`tls.acme_eab_key_file`: cannot be used: the authority"),
            ("acme_eab_key_file = 'f'", "`tls.acme_eab_key_id`: cannot be used: the key has"),
            ("acme_eab_key_id = 'k'\nacme_eab_key_file = '/nowhere'", "/nowhere"),
        ] {
            assert!(said(text).contains(words), "{text}: {}", said(text));
        }
        let config = |text: &str| Config::parse(text, Path::new("f.toml")).unwrap();
        let unasked = settings(&config("tls.acme = ['a.example.org']")).unwrap_err().to_string();
        assert!(unasked.contains("`tls.acme_terms_agreed`"), "{unasked}");
        for (name, words) in [
            ("*.example.org", "by DNS only"),
            ("A.example.org", "in lower case"),
            ("a..example", "no name of a host"),
            ("-a.example", "no name of a host"),
            ("1.2.3", "no name of a host"),
            ("", "no name of a host"),
        ] {
            let said = check_names(&[name.to_owned()]).unwrap_err();
            assert!(said.contains(words), "{name}: {said}");
        }
        for name in
            ["localhost", "a-b.example.org", "192.0.2.1", "2001:db8::1", "xn--bcher-kva.example"]
        {
            assert_eq!(check_names(&[name.to_owned()]), Ok(()), "{name}");
        }
        let twice = vec!["a.example".to_owned(); 2];
        assert!(check_names(&twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_customers_key_is_read_as_authorities_write_it_and_never_shown() {
        let path = std::env::temp_dir().join(format!("fanwire-eab-{}", std::process::id()));
        let ordered = |key: &str| {
            std::fs::write(&path, key).unwrap();
            let text = format!(
                "listen = '127.0.0.1:0'\n[tls]\nacme = ['a.example.org']\nacme_terms_agreed = true\nacme_eab_key_id = 'kid-1'\nacme_eab_key_file = '{}'",
                path.display()
            );
            settings(&Config::parse(&text, Path::new("f.toml")).unwrap())
        };
        for text in ["-_8B", "-_8B\n", " _w== \n", "_w\n"] {
            let customer = ordered(text).unwrap().unwrap().customer.unwrap();
            let whole = [0xfb, 0xff, 0x01];
            let key = if text.contains('B') { &whole[..] } else { &[0xff] };
            assert_eq!((customer.key_id.as_str(), &customer.key[..]), ("kid-1", key), "{text}");
            assert_eq!(format!("{customer:?}"), r#"Customer { key_id: "kid-1", .. }"#);
        }
        for text in ["", "\n", "not base64", "+/8B", "_"] {
            let said = ordered(text).unwrap_err().to_string();
            assert!(said.ends_with("that is no key in base64url"), "{text}: {said}");
            assert!(text.is_empty() || !said.contains("not base64"), "{said}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_issued_is_kept_with_the_data_unless_a_folder_is_named() {
        let config = |text: &str| Config::parse(text, Path::new("f.toml")).unwrap();
        assert_eq!(folder(&config("data_dir = 'here'")), Path::new("here/tls"));
        assert_eq!(folder(&config("tls.folder = 'certs'")), Path::new("certs"));
    }
}
