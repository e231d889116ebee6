//! Who may do what: tokens, permissions, limits.
//!
//! Pure checks with everything handed in. A token's text goes through `Verifier` and comes out as a
//! `Principal`, or as the one reason why not; `Revocations` has a word on it; the `Principal` then answers
//! what may be subscribed and published. `Admission` counts, `Origins` knows which web pages may connect.
//! Invariant: whatever a client says can only narrow what its token allows. Never does I/O, never asks what
//! time it is, never keeps a token's text.

mod admin;
mod admission;
mod algorithm;
mod anonymous;
mod certificate;
mod certified;
mod claims;
mod event_types;
mod grant;
mod jwks;
mod key;
mod key_set;
mod mapping;
mod mint;
mod origin;
mod principal;
mod rate;
mod revocation;
mod token;
mod verifier;

#[cfg(test)]
mod fixtures;

pub use admin::AdminSecret;
pub use admin::AdminSecretTooShort;
pub use admission::AccessLimits;
pub use admission::AddressKey;
pub use admission::Admission;
pub use admission::Admitted;
pub use admission::LimitError;
pub use admission::Publisher;
pub use algorithm::Algorithm;
pub use algorithm::KeyKind;
pub use algorithm::UnknownAlgorithm;
pub use anonymous::Anonymous;
pub use anonymous::AnonymousAccess;
pub use anonymous::Whence;
pub use certificate::BadCertificate;
pub use certificate::Certificate;
pub use certificate::NAME_KINDS;
pub use certified::Certified;
pub use certified::Named;
pub use claims::TokenRules;
pub use claims::numeric_date_s;
pub use event_types::EventTypes;
pub use grant::Grants;
pub use jwks::Jwks;
pub use jwks::JwksError;
pub use jwks::JwksOrigin;
pub use jwks::PassedOver;
pub use jwks::parse_jwks;
pub use key::Key;
pub use key::KeyError;
pub use key::secret_in_file;
pub use key_set::KeySet;
pub use key_set::KeySetError;
pub use mapping::Mapping;
pub use mapping::Role;
pub use mint::MintError;
pub use mint::NewClaims;
pub use mint::NewGrants;
pub use mint::SigningKey;
pub use origin::OriginError;
pub use origin::Origins;
pub use principal::Principal;
pub use rate::Bucket;
pub use rate::Buckets;
pub use rate::Rate;
pub use revocation::Revocations;
pub use revocation::RevocationsFull;
pub use revocation::Revoke;
pub use token::Part;
pub use token::Parts;
pub use token::TokenError;
pub use token::decode_part;
pub use verifier::Verifier;
pub use verifier::VerifierError;
