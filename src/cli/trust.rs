//! Whom to trust, as it is typed.

use std::io;
use std::path::PathBuf;

use crate::cli::say;
use crate::client::Trust;
use crate::client::connect::Way;
use crate::client::endpoint::Endpoint;

/// Whom to trust.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TrustArgs {
    /// Trust the certificate authorities of this PEM file instead of the machine's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Take any certificate: whoever is in between can read and change everything.
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
    /// Show the certificate of this PEM file to a server that asks who you are.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub certificate_key: Option<PathBuf>,
}

/// Whom to trust, and as whom to come.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AccessArgs {
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Show the token that this file holds; it is read anew for each connection.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl TrustArgs {
    /// The same for a client. That nobody is asked who they are is said loudly.
    pub(crate) fn trust(&self, endpoint: &Endpoint) -> Trust {
        if endpoint.is_encrypted && self.insecure {
            say(&format!(
                "fanwire: {endpoint}: --insecure: whoever is in between can read and change everything"
            ));
        }
        Trust {
            authorities: self.ca.clone(),
            anyone: self.insecure,
            identity: self.certificate.clone().zip(self.certificate_key.clone()),
        }
    }

    /// The way to a server.
    ///
    /// # Errors
    /// If the authorities cannot be read, or there are none.
    pub(crate) fn way(&self, endpoint: Endpoint) -> io::Result<Way> {
        let trust = self.trust(&endpoint);
        Way::new(endpoint, &trust)
    }
}

impl AccessArgs {
    /// The way to a server.
    ///
    /// # Errors
    /// If the authorities or the token cannot be read, or there are none.
    pub(crate) fn way(&self, endpoint: Endpoint) -> io::Result<Way> {
        self.trust.way(endpoint)?.showing(self.token_file.clone())
    }
}
