//! The account with the authority: made once, kept, and found again.
//!
//! Invariants: an account is of one authority; at another one a new account is made in its place. Its key is never shown, and only the owner can read the file.

use std::fs;
use std::path::Path;

use instant_acme::Account;
use instant_acme::AccountCredentials;
use instant_acme::ExternalAccountKey;
use instant_acme::NewAccount;
use serde::Deserialize;
use serde::Serialize;
use zeroize::Zeroizing;

use super::AcmeSettings;
use super::client::Client;
use super::kept::account_path;
use super::kept::replace;
use super::order::Failure;

/// An account, as it is kept.
#[derive(Deserialize, Serialize)]
struct KeptAccount {
    directory: String,
    credentials: AccountCredentials,
}

/// The account that is kept, or a new one.
pub(super) async fn account(settings: &AcmeSettings, client: Client) -> Result<Account, Failure> {
    if let Some(kept) = read(settings) {
        let builder = Account::builder_with_http(Box::new(client));
        return Ok(builder.from_credentials(kept).await?);
    }
    let contacts: Vec<&str> = settings.contacts.iter().map(String::as_str).collect();
    // Without the operator's word for it nothing is begun (`tls.acme_terms_agreed`).
    let wanted = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(client));
    let customer = settings
        .customer
        .as_ref()
        .map(|customer| ExternalAccountKey::new(customer.key_id.clone(), &customer.key));
    let directory = settings.directory.clone();
    let (account, credentials) = builder.create(&wanted, directory, customer.as_ref()).await?;
    tracing::info!(authority = %settings.directory, account = account.id(), "there is a new account");
    let kept = KeptAccount { directory: settings.directory.clone(), credentials };
    keep(&settings.folder, &kept)?;
    Ok(account)
}

fn read(settings: &AcmeSettings) -> Option<AccountCredentials> {
    let path = account_path(&settings.folder);
    let text = Zeroizing::new(fs::read(&path).ok()?);
    match serde_json::from_slice::<KeptAccount>(&text) {
        Ok(kept) => (kept.directory == settings.directory).then_some(kept.credentials),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the account that is kept cannot be read: a new one is made");
            None
        }
    }
}

/// Forgets an account that the authority does not know.
pub(super) fn forget(folder: &Path) {
    let path = account_path(folder);
    match fs::remove_file(&path) {
        Ok(()) => tracing::warn!("the authority does not know the account: a new one is made"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "the account stays"),
    }
}

fn keep(folder: &Path, kept: &KeptAccount) -> Result<(), Failure> {
    let text = serde_json::to_string(kept).map_err(|error| Failure::Kept(error.to_string()))?;
    let text = Zeroizing::new(text);
    let path = account_path(folder);
    let written = fs::create_dir_all(folder).and_then(|()| replace(&path, &text, 0o600));
    written.map_err(|error| Failure::Kept(format!("{}: {error}", path.display())))
}
