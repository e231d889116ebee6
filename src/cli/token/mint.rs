//! Making a token.
//!
//! Invariant: what comes out has been checked as a server with default settings would, but for its signature:
//! no token is minted that is then refused for its form.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::Algorithm;
use crate::auth::Key;
use crate::auth::NewClaims;
use crate::auth::NewGrants;
use crate::auth::Parts;
use crate::auth::SigningKey;
use crate::auth::TokenRules;
use crate::auth::secret_in_file;
use crate::matcher::Filter;

use super::TokenCommandError;
use super::first_that_fits;
use super::read;
use super::read_text;
use super::verifier;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("signing").required(true))]
pub(super) struct MintArgs {
    /// File with the secret that the server has too (HS256, HS384, HS512).
    #[arg(long, value_name = "FILE", group = "signing")]
    secret_file: Option<PathBuf>,
    /// PEM file with the private key (RS*, PS*, ES*, EdDSA).
    #[arg(long, value_name = "FILE", group = "signing")]
    key_file: Option<PathBuf>,
    /// How to sign [default: HS256 with a secret; RS256, EdDSA, ES256 or ES384 as the key is].
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// Name of the key, for the server to find it by (`kid`).
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// Whose token it is (`sub`).
    #[arg(long)]
    user: String,
    /// A role; may be given again.
    #[arg(long, value_name = "NAME")]
    role: Vec<String>,
    /// A topic or pattern that may be subscribed to; may be given again. None: as the server's settings say.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,
    /// A topic or pattern that may be published to; may be given again.
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,
    /// A filter that holds for every subscription: an expression, or an object in JSON.
    #[arg(long)]
    filter: Option<String>,
    /// How long the token is good for: `90s`, `30m`, `1h`, `7d`.
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
    expires: u64,
    /// Who issues it (`iss`).
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Whom it is for (`aud`).
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// Name of the token, to revoke it by (`jti`) [default: a random one].
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

pub(super) fn mint(args: &MintArgs, now_s: u64) -> Result<String, TokenCommandError> {
    let filter = args.filter.as_deref().map(filter_json).transpose()?;
    // An empty list would grant nothing; to say nothing leaves it to the server's settings.
    let subscribe = Some(args.subscribe.as_slice()).filter(|list| !list.is_empty());
    let publish = Some(args.publish.as_slice()).filter(|list| !list.is_empty());
    let says_something = subscribe.is_some() || publish.is_some() || filter.is_some();
    let grants = NewGrants { subscribe, publish, filter: filter.as_deref() };
    let id = match &args.id {
        Some(id) => id.clone(),
        None => random_id()?,
    };
    let claims = NewClaims {
        user: &args.user,
        roles: &args.role,
        id: Some(&id),
        issuer: args.issuer.as_deref(),
        audience: args.audience.as_deref(),
        issued_at_s: now_s,
        expires_at_s: Some(now_s.saturating_add(args.expires)),
        grants: says_something.then_some(grants),
    };
    check_form(&claims, now_s)?;
    let key = signing_key(args)?;
    let token = key.mint(args.kid.as_deref(), &claims).map_err(TokenCommandError::Mint)?;
    Parts::of(&token).map_err(TokenCommandError::WouldBeRefused)?;
    Ok(token)
}

/// Has the claims checked as a server with default settings would, with a key made for the purpose.
fn check_form(claims: &NewClaims<'_>, now_s: u64) -> Result<(), TokenCommandError> {
    let secret = [0; 32];
    let signing =
        SigningKey::from_secret(Algorithm::Hs256, &secret).map_err(TokenCommandError::Mint)?;
    let token = signing.mint(None, claims).map_err(TokenCommandError::Mint)?;
    let key = Key::from_secret(None, Algorithm::Hs256, &secret).map_err(TokenCommandError::Key)?;
    let audiences = claims.audience.iter().map(|audience| Box::from(*audience)).collect();
    let verifier = verifier(vec![key], TokenRules { audiences, ..TokenRules::default() })?;
    verifier.verify(&token, now_s).map(drop).map_err(TokenCommandError::WouldBeRefused)
}

/// An expression becomes a JSON string; an object stays as it is.
fn filter_json(filter: &str) -> Result<Box<RawValue>, TokenCommandError> {
    let text = if filter.trim_start().starts_with('{') {
        filter.trim().to_owned()
    } else {
        Value::from(filter).to_string()
    };
    let value = RawValue::from_string(text).map_err(TokenCommandError::Filter)?;
    Filter::parse_value(value.get()).map_err(TokenCommandError::BadFilter)?;
    Ok(value)
}

fn random_id() -> Result<String, TokenCommandError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| TokenCommandError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn signing_key(args: &MintArgs) -> Result<SigningKey, TokenCommandError> {
    if let Some(path) = &args.secret_file {
        let secret = read(path)?;
        let algorithm = args.algorithm.unwrap_or(Algorithm::Hs256);
        return SigningKey::from_secret(algorithm, secret_in_file(&secret))
            .map_err(TokenCommandError::Mint);
    }
    let pem = match &args.key_file {
        Some(path) => read_text(path)?,
        None => String::new(),
    };
    let made = |algorithm| {
        let key = SigningKey::from_private_pem(algorithm, &pem)?;
        // A curve is only found to be another when something is signed.
        key.mint(None, &NewClaims::default()).map(|_| key)
    };
    first_that_fits(args.algorithm, made).map_err(TokenCommandError::Mint)
}

/// `90s`, `30m`, `1h`, `7d` -> seconds.
fn parse_span(text: &str) -> Result<u64, NotASpan> {
    let unit_s = match text.chars().last().ok_or(NotASpan)? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(NotASpan),
    };
    let count: u64 =
        text.get(..text.len() - 1).and_then(|digits| digits.parse().ok()).ok_or(NotASpan)?;
    count.checked_mul(unit_s).filter(|span_s| *span_s > 0).ok_or(NotASpan)
}

/// Not a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotASpan;

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a span of time such as `90s`, `30m`, `1h` or `7d`")
    }
}

impl std::error::Error for NotASpan {}
