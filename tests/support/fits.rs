//! What a line of a transcript stands for: repetitions written out, and what fits it.

#![expect(clippy::string_slice, reason = "fixtures are cut where ASCII stands")]

use super::world::START_US;

/// A line in which `{{x*9}}` is nine times x.
pub fn repeated(line: &str) -> String {
    let Some((before, rest)) = line.split_once("{{") else { return line.to_owned() };
    let Some((inside, after)) = rest.split_once("}}") else { return line.to_owned() };
    let count = inside.rsplit_once('*').and_then(|(text, n)| Some((text, n.parse().ok()?)));
    match count {
        Some((text, count)) => format!("{before}{}{}", text.repeat(count), repeated(after)),
        None => format!("{before}{{{{{}", repeated(rest)),
    }
}

/// Whether a text is what was expected; `…` stands for anything.
pub fn fits(expected: &str, said: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The key that tokens of transcripts are signed with. It opens nothing.
pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A line, its tokens signed; their times count from the beginning.
pub fn with_tokens(line: &str) -> String {
    with_tokens_from(line, i64::try_from(START_US / 1_000_000).unwrap())
}

/// A line, its tokens signed; their times count from a moment, in seconds since 1970.
pub fn with_tokens_from(line: &str, start_s: i64) -> String {
    let Some((before, rest)) = line.split_once('«') else { return line.to_owned() };
    let (claims, after) = rest.split_once('»').expect("a token ends");
    let mut claims: serde_json::Value = serde_json::from_str(claims).expect("claims are JSON");
    for name in ["exp", "nbf", "iat"] {
        if let Some(from_start) = claims[name].as_i64() {
            claims[name] = (start_s + from_start).into();
        }
    }
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    let token = jsonwebtoken::encode(&header, &claims, &key).expect("it is signed");
    format!("{before}{token}{}", with_tokens_from(after, start_s))
}
