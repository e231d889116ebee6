//! What a line of a transcript stands for: repetitions written out, and what fits it.

#![expect(clippy::string_slice, reason = "fixtures are cut where ASCII stands")]

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
