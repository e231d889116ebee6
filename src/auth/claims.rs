//! The claims of a signed token -> whose it is and whether it is in force.
//!
//! Invariants: time is an argument. A claim that is there is checked, whatever the settings: a token for
//! another audience or of an impossible type is never let through for want of a setting. Never looks at a
//! signature.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::Number;
use crate::limits::TOKEN_AUDIENCES_MAX;
use crate::limits::TOKEN_LIFETIME_S;

use super::token::Part;
use super::token::TokenError;

/// What a token must say to be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// `iss` must be one of these; empty: any, or none.
    pub issuers: Vec<Box<str>>,
    /// `aud` must name one of these; empty: a token that names an audience is refused.
    pub audiences: Vec<Box<str>>,
    /// Seconds by which the issuer's clock and ours may differ; at most `TOKEN_LEEWAY_S_MAX`.
    pub leeway_s: u64,
    /// Whether a token without `exp` is refused.
    pub expiry_required: bool,
    /// Seconds that a token may live, from its issue to its expiry. One that does not say when it was issued is
    /// taken to be issued when it is shown.
    pub lifetime_s_max: u64,
}

impl Default for TokenRules {
    fn default() -> Self {
        let lifetime_s_max = TOKEN_LIFETIME_S;
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_s: 30,
            expiry_required: true,
            lifetime_s_max,
        }
    }
}

impl TokenRules {
    /// How long a revocation must be remembered so that it outlives every token it is about; `None`: for
    /// ever.
    #[must_use]
    pub fn revocation_kept_s(&self) -> Option<u64> {
        self.expiry_required
            .then(|| self.lifetime_s_max.saturating_add(self.leeway_s.saturating_mul(2)))
    }
}

/// When a token is in force, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) issued_at_s: Option<u64>,
    pub(super) expires_at_s: Option<u64>,
}

/// The claims by name, each as the text that it came as.
#[derive(Debug)]
pub(super) struct Claims(BTreeMap<String, Box<RawValue>>);

impl Claims {
    /// Reads the claims' JSON text. Of two claims with one name the last counts (RFC 7519 section 4).
    pub(super) fn read(text: &[u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| TokenError::BadJson { part: Part::Claims, column: error.column() })
    }

    /// The text of a claim. A name with dots is first taken as it stands, then as a path into objects
    /// (`realm_access.roles`).
    pub(super) fn text(&self, name: &str) -> Option<Box<RawValue>> {
        if let Some(value) = self.0.get(name) {
            return Some(value.clone());
        }
        let mut path = name.split('.');
        let mut value = self.0.get(path.next()?)?.clone();
        let mut steps = 0;
        for step in path {
            let mut object: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(value.get()).ok()?;
            value = object.remove(step)?;
            steps += 1;
        }
        (steps > 0).then_some(value)
    }

    /// A claim that must be a string.
    pub(super) fn string(&self, name: &str) -> Result<Option<String>, TokenError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        serde_json::from_str(text.get()).map(Some).map_err(|_| bad(name, "a string"))
    }

    /// A claim that is a string or a list of strings.
    pub(super) fn strings(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<Vec<String>>, TokenError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let entries: OneOrMany = serde_json::from_str(text.get())
            .map_err(|_| bad(name, "a string or a list of strings"))?;
        match entries {
            OneOrMany::One(entry) => Ok(Some(vec![entry])),
            OneOrMany::Many(entries) if entries.len() > max => {
                Err(TokenError::TooManyEntries { claim: name.into(), max })
            }
            OneOrMany::Many(entries) => Ok(Some(entries)),
        }
    }

    /// A claim that is a moment.
    fn time_s(&self, name: &str) -> Result<Option<u64>, TokenError> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        numeric_date_s(text.get()).map(Some).ok_or_else(|| bad(name, "seconds since 1970"))
    }
}

/// The whole seconds of a `NumericDate`, as its JSON text has it; fractions are cut off.
//= rfc7519#2
//# A JSON numeric value representing the number of seconds from
//# 1970-01-01T00:00:00Z UTC until the specified UTC date/time, ignoring leap seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number from 0 to 2^53 fits"
)]
#[must_use]
pub fn numeric_date_s(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let seconds = Number::parse(text)?.to_f64().trunc();
    (0.0..SECONDS_MAX).contains(&seconds).then_some(seconds as u64)
}

/// From here on a double no longer tells seconds apart.
const SECONDS_MAX: f64 = (1_u64 << 53) as f64;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

pub(super) fn bad(claim: &str, expected: &'static str) -> TokenError {
    TokenError::BadClaim { claim: claim.into(), expected }
}

/// Checks that a token with these claims is in force at `now_s`, for us, and from an issuer that we listen
/// to.
pub(super) fn check(claims: &Claims, rules: &TokenRules, now_s: u64) -> Result<Span, TokenError> {
    let span = check_times(claims, rules, now_s)?;
    let issuer = claims.string("iss")?;
    if !rules.issuers.is_empty() {
        let issuer = issuer.ok_or_else(|| TokenError::MissingClaim { claim: "iss".into() })?;
        if !rules.issuers.iter().any(|accepted| **accepted == *issuer) {
            return Err(TokenError::WrongIssuer);
        }
    }
    //= rfc7519#4.1.3
    //# If the principal
    //# processing the claim does not identify itself with a value in the
    //# "aud" claim when this claim is present, then the JWT MUST be
    //# rejected.
    match claims.strings("aud", TOKEN_AUDIENCES_MAX)? {
        Some(audiences)
            if !audiences.iter().any(|one| rules.audiences.iter().any(|ours| **ours == **one)) =>
        {
            Err(TokenError::WrongAudience)
        }
        None if !rules.audiences.is_empty() => {
            Err(TokenError::MissingClaim { claim: "aud".into() })
        }
        _ => Ok(span),
    }
}

fn check_times(claims: &Claims, rules: &TokenRules, now_s: u64) -> Result<Span, TokenError> {
    let latest_s = now_s.saturating_add(rules.leeway_s);
    let (issued_at_s, expires_at_s) = (claims.time_s("iat")?, claims.time_s("exp")?);
    match expires_at_s {
        Some(at_s) => check_expiry(at_s, issued_at_s, rules, now_s)?,
        None if rules.expiry_required => {
            return Err(TokenError::MissingClaim { claim: "exp".into() });
        }
        None => {}
    }
    if let Some(from_s) = claims.time_s("nbf")?.filter(|from_s| *from_s > latest_s) {
        return Err(TokenError::NotYetValid { from_s, now_s });
    }
    if let Some(at_s) = issued_at_s.filter(|at_s| *at_s > latest_s) {
        return Err(TokenError::IssuedAhead { at_s, now_s });
    }
    let expires_at_s = expires_at_s.map(|at_s| at_s.saturating_add(rules.leeway_s));
    Ok(Span { issued_at_s, expires_at_s })
}

fn check_expiry(
    at_s: u64,
    issued_at_s: Option<u64>,
    rules: &TokenRules,
    now_s: u64,
) -> Result<(), TokenError> {
    //= rfc7519#4.1.4
    //# The "exp" (expiration time) claim identifies the expiration time on
    //# or after which the JWT MUST NOT be accepted for processing.
    if now_s >= at_s.saturating_add(rules.leeway_s) {
        return Err(TokenError::Expired { at_s, now_s });
    }
    // From its issue, not from now: or a token of ten years would be refused for nine and then accepted, long
    // after its revocation was forgotten.
    let life_s = at_s.saturating_sub(issued_at_s.unwrap_or(now_s).min(now_s));
    let max_s = rules.lifetime_s_max;
    if life_s > max_s.saturating_add(rules.leeway_s) {
        return Err(TokenError::LivesTooLong { life_s, max_s });
    }
    Ok(())
}
