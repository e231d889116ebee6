//! Payloads that the grammar allows and the fast parser does not take.
//!
//! An integer beyond 64 bits becomes a double, a number beyond a double's range the largest, half a surrogate pair U+FFFD. Invariant:
//! what comes out has the same values otherwise, at other bytes. Never used for a payload that the fast parser takes.

use crate::event::Number;
use crate::event::json;
use crate::event::json::JsonError;
use crate::event::json::JsonProblem;
use crate::event::json::Reader;
use crate::event::json::Token;

/// Reads `payload` strictly and leaves in `text` an equal one that the parser takes: integers beyond 64 bits as doubles,
/// numbers beyond doubles as the largest, half a surrogate pair as U+FFFD.
pub(super) fn soften(payload: &[u8], text: &mut Vec<u8>) -> Result<(), JsonError> {
    let payload = std::str::from_utf8(payload)
        .map_err(|error| JsonError { at: error.valid_up_to(), problem: JsonProblem::NotUtf8 })?;
    text.clear();
    let mut reader = Reader::new(payload);
    let mut copied = 0;
    while let Some((at, token)) = reader.next_token()? {
        let (old_bytes, new) = match token {
            Token::Number(number) => (number.len(), softened_number(number)),
            Token::Text(string) | Token::Name(string) => {
                (string.len() + 2, softened_string(string))
            }
            _ => continue,
        };
        if let Some(new) = new {
            text.extend_from_slice(payload.as_bytes().get(copied..at).unwrap_or_default());
            text.extend_from_slice(new.as_bytes());
            copied = at + old_bytes;
        }
    }
    text.extend_from_slice(payload.as_bytes().get(copied..).unwrap_or_default());
    Ok(())
}

fn softened_number(token: &str) -> Option<String> {
    if token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok() {
        return None;
    }
    let value = token.parse::<f64>().ok()?;
    let is_float = token.contains(['.', 'e', 'E']);
    (!is_float || value.is_infinite()).then(|| format!("{:e}", Number::from_f64(value).to_f64()))
}

fn softened_string(token: &str) -> Option<String> {
    token.contains("\\u").then(|| {
        let mut softened = String::new();
        json::push_string(&json::unescaped(token), &mut softened);
        softened
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fields::Scratch;
    use crate::event::fields::check_payload;

    /// Both parsers and a third must agree on what is JSON, on random damage to a text that has everything in it.
    #[test]
    fn the_fast_parser_and_the_strict_reader_agree() {
        let seed = 0x5eed_0002_u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let whole = r#"{"a":[1,-2.5e+3,"x\u00e9\n",true,null],"b":{"c":false,"d":""},"e":0.1}"#;
        let alphabet = br#"{}[],:"\0123456789.eE+-truefalsn u/"#;
        let mut scratch = Scratch::default();
        let mut taken = 0;
        for _ in 0..40_000 {
            let mut text = whole.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..text.len());
                match random.u8(..3) {
                    0 => text[at] = alphabet[random.usize(..alphabet.len())],
                    1 => drop(text.remove(at)),
                    _ => text.insert(at, alphabet[random.usize(..alphabet.len())]),
                }
            }
            let mut strict = Vec::new();
            let by_reader = soften(&text, &mut strict);
            let by_parser = check_payload(&text, &mut scratch);
            let shown = String::from_utf8_lossy(&text);
            if text.first() == Some(&b'{') {
                assert_eq!(by_parser, by_reader, "seed {seed:#x} {shown}");
            }
            if by_reader.is_ok() {
                taken += 1;
                let third = serde_json::from_slice::<serde_json::Value>(&text);
                assert!(third.is_ok() || shown.contains("\\u"), "seed {seed:#x} {shown} {third:?}");
            }
        }
        assert!(taken > 1000, "{taken} of the damaged texts were still JSON");
    }
}
