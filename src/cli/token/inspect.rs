//! Saying what is in a token, and whether it is good.
//!
//! Invariants: shows what a token says before it judges it, and judges just as the server does, with the
//! server's own code.

use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::auth::Algorithm;
use crate::auth::JwksOrigin;
use crate::auth::Key;
use crate::auth::Part;
use crate::auth::Parts;
use crate::auth::Principal;
use crate::auth::TokenError;
use crate::auth::TokenRules;
use crate::auth::decode_part;
use crate::auth::numeric_date_s;
use crate::auth::parse_jwks;
use crate::auth::secret_in_file;
use crate::event::moment;
use crate::limits::TOKEN_BYTES_MAX;
use crate::matcher::Filter;

use super::TokenCommandError;
use super::first_that_fits;
use super::read;
use super::read_text;
use super::verifier;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("checking"))]
pub(super) struct InspectArgs {
    /// The token; `-`: read it from standard input, which keeps it out of the shell's history.
    #[arg(default_value = "-")]
    token: String,
    /// Check the signature with the secret in this file.
    #[arg(long, value_name = "FILE", group = "checking")]
    secret_file: Option<PathBuf>,
    /// Check the signature with the public key in this PEM file.
    #[arg(long, value_name = "FILE", group = "checking")]
    key_file: Option<PathBuf>,
    /// Check the signature with the keys in this key set.
    #[arg(long, value_name = "FILE", group = "checking")]
    jwks_file: Option<PathBuf>,
    /// What the key is for [default: as for `mint`].
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// The issuer that must have issued it.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The audience that it must be for [default: whichever it says].
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
}

pub(super) fn inspect(
    args: &InspectArgs,
    now_s: u64,
    out: &mut impl Write,
) -> Result<(), TokenCommandError> {
    let token = if args.token == "-" { read_stdin()? } else { args.token.clone() };
    let token = token.trim();
    let refused = TokenCommandError::Refused;
    let parts = Parts::of(token).map_err(refused)?;
    let header = json(parts.header, Part::Header).map_err(refused)?;
    let claims = json(parts.claims, Part::Claims).map_err(refused)?;
    let answer = describe(&header, &claims, now_s);
    write!(out, "{answer}").map_err(TokenCommandError::Write)?;
    let Some(keys) = checking_keys(args)? else {
        let hint = "signature  not checked: give --secret-file, --key-file or --jwks-file\n";
        return write!(out, "{hint}").map_err(TokenCommandError::Write);
    };
    let own = claims.get("aud").map(strings).unwrap_or_default();
    let rules = TokenRules {
        issuers: args.issuer.iter().map(|issuer| issuer.as_str().into()).collect(),
        audiences: args.audience.as_ref().map_or(own, |audience| vec![audience.as_str().into()]),
        ..TokenRules::default()
    };
    let principal = verifier(keys, rules)?.verify(token, now_s).map_err(refused)?;
    write!(out, "signature  good\n{}", Permissions(&principal))
        .map_err(TokenCommandError::Write)?;
    for filter in &principal.forced_filters {
        Filter::parse_value(filter).map_err(TokenCommandError::BadFilter)?;
    }
    Ok(())
}

fn json(text: &str, part: Part) -> Result<Value, TokenError> {
    let bytes = decode_part(text, part)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| TokenError::BadJson { part, column: error.column() })
}

fn strings(value: &Value) -> Vec<Box<str>> {
    match value {
        Value::String(one) => vec![one.as_str().into()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(Box::from).collect(),
        _ => Vec::new(),
    }
}

fn checking_keys(args: &InspectArgs) -> Result<Option<Vec<Key>>, TokenCommandError> {
    if let Some(path) = &args.secret_file {
        let secret = read(path)?;
        let algorithm = args.algorithm.unwrap_or(Algorithm::Hs256);
        let key = Key::from_secret(None, algorithm, secret_in_file(&secret))
            .map_err(TokenCommandError::Key)?;
        return Ok(Some(vec![key]));
    }
    if let Some(path) = &args.key_file {
        let pem = read_text(path)?;
        let made = |algorithm| Key::from_public_pem(None, algorithm, &pem);
        let key = first_that_fits(args.algorithm, made).map_err(TokenCommandError::Key)?;
        return Ok(Some(vec![key]));
    }
    let Some(path) = &args.jwks_file else { return Ok(None) };
    let jwks = parse_jwks(&read(path)?, JwksOrigin::File).map_err(TokenCommandError::Jwks)?;
    Ok(Some(jwks.keys))
}

/// Header and claims as they are, and their times in words.
fn describe(header: &Value, claims: &Value, now_s: u64) -> String {
    let mut answer = format!("header     {header:#}\nclaims     {claims:#}\n");
    for (claim, word) in [("iat", "issued"), ("nbf", "valid from"), ("exp", "expires")] {
        let text = claims.get(claim).map(Value::to_string);
        if let Some(at_s) = text.and_then(|text| numeric_date_s(&text)) {
            answer.push_str(&format!("{word:<10} {} ({})\n", utc(at_s), relative(at_s, now_s)));
        }
    }
    if claims.get("exp").is_none() {
        answer.push_str("expires    never: a server refuses that unless it is set not to\n");
    }
    answer
}

/// What a server with default settings would allow.
struct Permissions<'a>(&'a Principal);

impl fmt::Display for Permissions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let principal = self.0;
        writeln!(f, "user       {}", principal.user.as_deref().unwrap_or("(none)"))?;
        writeln!(f, "roles      {}", listed(principal.roles.iter().map(|role| &**role)))?;
        writeln!(
            f,
            "subscribe  {}",
            listed(principal.subscribe.patterns().iter().map(|pattern| pattern.as_str()))
        )?;
        writeln!(
            f,
            "publish    {}",
            listed(principal.publish.patterns().iter().map(|pattern| pattern.as_str()))
        )?;
        for filter in &principal.forced_filters {
            writeln!(f, "filter     {filter}")?;
        }
        Ok(())
    }
}

fn listed<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    let listed = entries.collect::<Vec<_>>().join(", ");
    if listed.is_empty() { "(none)".to_owned() } else { listed }
}

/// `in 59 min`, `3 d ago`.
fn relative(at_s: u64, now_s: u64) -> String {
    let apart_s = at_s.abs_diff(now_s);
    let span = match apart_s {
        0..120 => format!("{apart_s} s"),
        120..7200 => format!("{} min", apart_s / 60),
        7200..172_800 => format!("{} h", apart_s / 3600),
        _ => format!("{} d", apart_s / 86_400),
    };
    if at_s > now_s { format!("in {span}") } else { format!("{span} ago") }
}

/// Seconds since 1970 -> `2026-01-01 00:00:00 UTC`.
fn utc(at_s: u64) -> String {
    let mut text = Vec::new();
    moment::put_seconds(at_s.saturating_mul(1_000_000), &mut text);
    // For a person: a blank between the day and the time, and the zone by its name.
    String::from_utf8_lossy(&text).replace('T', " ").replace('Z', " UTC")
}

fn read_stdin() -> Result<String, TokenCommandError> {
    let failed = |error| TokenCommandError::Read { path: "standard input".into(), error };
    let mut text = String::new();
    // One byte more than a token may have and its line end, so that one that is too long is seen to be.
    let bytes_max = u64::try_from(TOKEN_BYTES_MAX + 3).unwrap_or(u64::MAX);
    io::stdin().take(bytes_max).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_calendar_has_it() {
        for (at_s, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_767_225_599, "2025-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(at_s), expected);
        }
        // A token may say anything: the last second there is must not stop us.
        assert!(utc(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn a_span_is_said_in_the_unit_that_fits() {
        assert_eq!(relative(100, 100), "0 s ago");
        assert_eq!(relative(160, 100), "in 60 s");
        assert_eq!(relative(3_700, 100), "in 60 min");
        assert_eq!(relative(0, 7_200), "2 h ago");
        assert_eq!(relative(0, 86_400 * 3), "3 d ago");
    }
}
