//! `fanwire token`: makes a token, or says what is in one and whether it is good.
//!
//! Invariants: reads the files it is told to and nothing else; time and output are arguments. Never prints a
//! key or secret.

mod inspect;
mod mint;

use std::fmt;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::auth::Algorithm;
use crate::auth::JwksError;
use crate::auth::Key;
use crate::auth::KeyError;
use crate::auth::KeySet;
use crate::auth::KeySetError;
use crate::auth::Mapping;
use crate::auth::MintError;
use crate::auth::TokenError;
use crate::auth::TokenRules;
use crate::auth::Verifier;
use crate::auth::VerifierError;
use crate::clock::Now;
use crate::matcher::FilterError;

use inspect::InspectArgs;
use mint::MintArgs;

/// Bytes of a key file; more is no key.
const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Makes tokens, and says what is in one.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TokenCommand {
    /// Make a token and print it.
    Mint(MintArgs),
    /// Say what is in a token and whether it is good.
    Inspect(InspectArgs),
}

/// Why there is no token, or it is no good.
#[derive(Debug)]
pub enum TokenCommandError {
    Read {
        path: PathBuf,
        error: io::Error,
    },
    NotText {
        path: PathBuf,
    },
    Write(io::Error),
    Random,
    Key(KeyError),
    KeySet(KeySetError),
    Jwks(JwksError),
    Mint(MintError),
    Rules(VerifierError),
    /// The filter begins like JSON and is none.
    Filter(serde_json::Error),
    /// The filter is none that a server understands, so that its bearer would be let in nowhere.
    BadFilter(FilterError),
    /// What was to be minted would be refused.
    WouldBeRefused(TokenError),
    /// What was inspected is refused.
    Refused(TokenError),
}

impl fmt::Display for TokenCommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NotText { path } => write!(f, "{}: not text", path.display()),
            Self::Write(error) => write!(f, "writing the answer: {error}"),
            Self::Random => {
                write!(f, "no random numbers to be had for the token's name: give one with --id")
            }
            Self::Key(error) => write!(f, "{error}"),
            Self::KeySet(error) => write!(f, "{error}"),
            Self::Jwks(error) => write!(f, "{error}"),
            Self::Mint(error) => write!(f, "{error}"),
            Self::Rules(error) => write!(f, "{error}"),
            Self::Filter(error) => write!(f, "the filter begins like JSON but is none: {error}"),
            Self::BadFilter(error) => write!(f, "the server would refuse the filter: {error}"),
            Self::WouldBeRefused(error) => write!(f, "the server would refuse it: {error}"),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TokenCommandError {}

/// Does what was asked and writes the answer to `out`.
///
/// # Errors
/// Nothing was minted, or what was inspected is no good; the answer so far is written.
pub fn run(args: &TokenArgs, now: Now, out: &mut impl Write) -> Result<(), TokenCommandError> {
    let now_s = now.wall_us / 1_000_000;
    match &args.command {
        TokenCommand::Mint(args) => {
            let token = mint::mint(args, now_s)?;
            writeln!(out, "{token}").map_err(TokenCommandError::Write)
        }
        TokenCommand::Inspect(args) => inspect::inspect(args, now_s, out),
    }
}

fn verifier(keys: Vec<Key>, rules: TokenRules) -> Result<Verifier, TokenCommandError> {
    let keys = KeySet::new(keys).map_err(TokenCommandError::KeySet)?;
    Verifier::new(keys, rules, Mapping::default()).map_err(TokenCommandError::Rules)
}

/// What `made` makes of the algorithm asked for, or of the first that the key is good for; the first error if
/// none is.
fn first_that_fits<T, E>(
    asked: Option<Algorithm>,
    made: impl Fn(Algorithm) -> Result<T, E>,
) -> Result<T, E> {
    if let Some(algorithm) = asked {
        return made(algorithm);
    }
    made(Algorithm::Rs256).or_else(|first| {
        let others = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384];
        others.into_iter().find_map(|algorithm| made(algorithm).ok()).ok_or(first)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TokenCommandError> {
    let failed = |error| TokenCommandError::Read { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<String, TokenCommandError> {
    String::from_utf8(read(path)?).map_err(|_| TokenCommandError::NotText { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::auth::secret_in_file;

    /// 2026-01-01 00:00:00 UTC.
    const NOW: Now = Now { mono_ms: 0, wall_us: 1_767_225_600_000_000 };

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn fixture(name: &str) -> String {
        format!("{}/tests/fixtures/auth/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn token_at(now: Now, words: &[&str]) -> (String, Result<(), TokenCommandError>) {
        let cli = Cli::try_parse_from(["token"].iter().chain(words)).unwrap();
        let mut out = Vec::new();
        let outcome = run(&cli.args, now, &mut out);
        (String::from_utf8(out).unwrap(), outcome)
    }

    fn minted(words: &[&str]) -> Result<String, TokenCommandError> {
        let (token, outcome) = token_at(NOW, &[&["mint"], words].concat());
        outcome.map(|()| token.trim().to_owned())
    }

    #[test]
    fn what_is_minted_with_any_key_is_found_good_with_its_other_half() {
        for (name, algorithm) in
            [("rsa", "RS256"), ("ed25519", "EdDSA"), ("p256", "ES256"), ("p384", "ES384")]
        {
            let token =
                minted(&["--key-file", &fixture(&format!("{name}.pem")), "--user", "ada"]).unwrap();
            let public = fixture(&format!("{name}.pub.pem"));
            let (answer, outcome) = token_at(NOW, &["inspect", &token, "--key-file", &public]);
            outcome.unwrap();
            assert!(answer.contains(algorithm) && answer.contains("signature  good"), "{answer}");
            assert!(answer.contains("expires    2026-01-01 01:00:00 UTC (in 60 min)"), "{answer}");
            let other = fixture(if name == "p256" { "rsa.pub.pem" } else { "p256.pub.pem" });
            let (_, outcome) = token_at(NOW, &["inspect", &token, "--key-file", &other]);
            assert!(matches!(
                outcome,
                Err(TokenCommandError::Refused(TokenError::AlgorithmNotAccepted { .. }))
            ));
        }
        let token =
            minted(&["--key-file", &fixture("rsa.pem"), "--algorithm", "PS384", "--user", "ada"])
                .unwrap();
        let public = fixture("rsa.pub.pem");
        let (_, outcome) =
            token_at(NOW, &["inspect", &token, "--key-file", &public, "--algorithm", "PS384"]);
        outcome.unwrap();
    }

    #[test]
    fn a_token_says_what_it_was_told_to() {
        let secret = fixture("secret.txt");
        let token = minted(&[
            "--secret-file",
            &secret,
            "--user",
            "ada",
            "--role",
            "viewer",
            "--role",
            "ops",
            "--subscribe",
            "adsb/**",
            "--publish",
            "adsb/ch",
            "--filter",
            "alt < \"1\"",
            "--expires",
            "7d",
            "--issuer",
            "me",
            "--audience",
            "you",
            "--kid",
            "k1",
            "--id",
            "t1",
        ])
        .unwrap();
        let (answer, outcome) =
            token_at(NOW, &["inspect", &token, "--secret-file", &secret, "--issuer", "me"]);
        outcome.unwrap();
        for line in [
            "user       ada",
            "roles      viewer, ops",
            "subscribe  adsb/**",
            "publish    adsb/ch",
            r#"filter     "alt < \"1\"""#,
            r#"  "kid": "k1""#,
            r#"  "jti": "t1""#,
        ] {
            assert!(answer.contains(line), "{line} in {answer}");
        }
        let (_, outcome) =
            token_at(NOW, &["inspect", &token, "--secret-file", &secret, "--audience", "them"]);
        assert!(matches!(outcome, Err(TokenCommandError::Refused(TokenError::WrongAudience))));
    }

    #[test]
    fn a_token_that_is_over_is_shown_and_refused() {
        let secret = fixture("secret.txt");
        let token =
            minted(&["--secret-file", &secret, "--user", "ada", "--expires", "30m"]).unwrap();
        let later = Now { wall_us: NOW.wall_us + 3 * 3_600_000_000, ..NOW };
        let (answer, outcome) = token_at(later, &["inspect", &token, "--secret-file", &secret]);
        assert!(answer.contains("expires    2026-01-01 00:30:00 UTC (2 h ago)"), "{answer}");
        assert_eq!(outcome.unwrap_err().to_string(), "token expired 9000 s ago");
        let (answer, outcome) = token_at(later, &["inspect", &token]);
        outcome.unwrap();
        assert!(answer.contains("signature  not checked"), "{answer}");
    }

    #[test]
    fn what_the_server_would_refuse_is_not_minted() {
        let secret = fixture("secret.txt");
        let refused = |words: &[&str]| {
            minted(&[&["--secret-file", &secret], words].concat()).unwrap_err().to_string()
        };
        let bad = refused(&["--user", "ada", "--subscribe", "a//b"]);
        assert_eq!(
            bad,
            "the server would refuse it: token's claim `fanwire.subscribe[0]`: topic has an empty segment at byte 2"
        );
        assert_eq!(
            refused(&["--user", ""]),
            "the server would refuse it: token's claim `sub` is not a name"
        );
        assert!(
            refused(&["--user", "ada", "--filter", "{oops"])
                .starts_with("the filter begins like JSON")
        );
        assert_eq!(
            refused(&["--user", "ada", "--filter", "altitude <"]),
            "the server would refuse the filter: a value is expected at byte 10, counted from 0"
        );
        assert_eq!(
            refused(&["--user", "ada", "--filter", r#"{"lt":["altitude"]}"#]),
            "the server would refuse the filter: a string, a number, true or false is expected at byte 17, counted from 0"
        );
        assert!(refused(&["--user", "ada", "--expires", "500d"]).contains("token lives"));
        assert!(refused(&["--user", "ada", "--algorithm", "HS512"]).contains("needs 64 or more"));
        assert!(
            refused(&["--user", "ada", "--algorithm", "RS256"])
                .contains("signs with a private key")
        );
        let public = minted(&["--key-file", &fixture("rsa.pub.pem"), "--user", "ada"]).unwrap_err();
        assert!(
            public.to_string().contains("does not sign")
                || public.to_string().contains("not a private key")
        );
        let absent = minted(&["--key-file", "/nonexistent/key.pem", "--user", "ada"]).unwrap_err();
        assert!(absent.to_string().starts_with("/nonexistent/key.pem: "));
    }

    /// A token as another issuer might make it, which asks nobody about what it says.
    fn foreign(claims: &serde_json::Value) -> String {
        let secret = fs::read(fixture("secret.txt")).unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(secret_in_file(&secret));
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    }

    #[test]
    fn a_forced_filter_that_no_server_understands_is_the_verdict() {
        let secret = fixture("secret.txt");
        for (filter, reason) in [
            (serde_json::json!("altitude <"), "a value is expected at byte 10, counted from 0"),
            (
                serde_json::json!({ "lt": ["altitude"] }),
                "a string, a number, true or false is expected at byte 17, counted from 0",
            ),
        ] {
            let grants = serde_json::json!({ "filter": filter });
            let claims =
                serde_json::json!({ "sub": "ada", "exp": 1_767_229_200, "fanwire": grants });
            let words = ["inspect", &foreign(&claims), "--secret-file", &secret];
            let (answer, outcome) = token_at(NOW, &words);
            assert!(answer.contains(&format!("filter     {filter}")), "{answer}");
            let verdict = outcome.unwrap_err().to_string();
            assert_eq!(verdict, format!("the server would refuse the filter: {reason}"));
        }
    }

    #[test]
    fn a_moment_is_shown_however_its_number_is_written() {
        let claims =
            serde_json::json!({ "sub": "ada", "iat": 1_767_225_600.5, "exp": 1.767_229_2e9 });
        let words = ["inspect", &foreign(&claims), "--secret-file", &fixture("secret.txt")];
        let (answer, outcome) = token_at(NOW, &words);
        outcome.unwrap();
        assert!(answer.contains("issued     2026-01-01 00:00:00 UTC (0 s ago)"), "{answer}");
        assert!(answer.contains("expires    2026-01-01 01:00:00 UTC (in 60 min)"), "{answer}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_read() {
        for words in [
            &["mint", "--user", "ada"][..],
            &["mint", "--secret-file", "a", "--key-file", "b", "--user", "ada"],
            &["mint", "--secret-file", "a"],
            &["mint", "--secret-file", "a", "--user", "ada", "--algorithm", "none"],
            &["mint", "--secret-file", "a", "--user", "ada", "--expires", "soon"],
            &["mint", "--secret-file", "a", "--user", "ada", "--expires", "0s"],
            &["mint", "--secret-file", "a", "--user", "ada", "--expires", "99999999999999999999d"],
            &["inspect", "t", "--secret-file", "a", "--key-file", "b"],
            &[],
        ] {
            assert!(Cli::try_parse_from(["token"].iter().chain(words)).is_err(), "{words:?}");
        }
    }
}
