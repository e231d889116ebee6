//! Inputs made of a corpus by chance: its lines in any order, with words changed for others of their kind, bytes changed, cut and doubled.
//!
//! What a fuzzer that watches the code finds in hours is not found so; what a plain test can find in seconds is, and the same again by its seed.

use crate::random::Random;

/// Words that stand for one another where one is found.
const WORDS: [&[&str]; 4] = [
    &[
        "null",
        "true",
        "0",
        "-0.0",
        "1.5",
        "7",
        "1e400",
        "-1e-400",
        "9007199254740993",
        "9223372036854775808",
        "-9223372036854775808",
        "[]",
        "[null]",
        "[1,2,\"x\"]",
        "{}",
        "\"\"",
        "\"red\"",
        "\"blue\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"É%_\\\\\"",
        "\"2026-01-10T12:00:00.0000001Z\"",
        "\"0001-01-01\"",
        "\"AAE=\"",
        "\"1\"",
        "[[[[]]]]",
    ],
    &[
        "\"eq\"",
        "\"neq\"",
        "\"gt\"",
        "\"gte\"",
        "\"lt\"",
        "\"lte\"",
        "\"like\"",
        "\"ilike\"",
        "\"LIKE\"",
        "\"in\"",
        "\"contains\"",
        "\"startswith\"",
        "\"endswith\"",
        "\"between\"",
        "\"between_inclusive\"",
        "\"is_null\"",
        "\"is_not_null\"",
        "\"no\"",
    ],
    &[
        "\"id\"",
        "\"name\"",
        "\"team\"",
        "\"age\"",
        "\"exact\"",
        "\"score\"",
        "\"ok\"",
        "\"at\"",
        "\"raw\"",
        "\"about\"",
        "\"code\"",
        "\"lang\"",
        "\"user_id\"",
        "\"n\"",
        "\"kind\"",
        "\"seq_num\"",
        "\"posts\"",
        "\"user\"",
        "\"user.posts\"",
    ],
    &[
        "\"read\"",
        "\"create\"",
        "\"update\"",
        "\"delete\"",
        "\"meta\"",
        "\"subscribe\"",
        "\"unsubscribe\"",
        "\"request\"",
        "\"subscription\"",
        "\"users\"",
        "\"counts\"",
        "\"replay\"",
        "\"opt\"",
        "\"start\"",
        "\"end\"",
        "\"substr\"",
        "\"inclusive\"",
    ],
];

/// Lines of one input at most.
const LINES_MAX: usize = 24;

/// An input made of lines of the corpus.
pub(crate) fn mutant(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let lines: Vec<&[u8]> =
        corpus.iter().flat_map(|input| input.split(|byte| *byte == b'\n')).collect();
    let mut out = Vec::new();
    for _ in 0..1 + random.below(LINES_MAX) {
        let mut line = random.pick(&lines).to_vec();
        for _ in 0..random.below(4) {
            change(&mut line, random);
        }
        out.extend(line);
        out.push(b'\n');
    }
    out
}

fn change(line: &mut Vec<u8>, random: &mut Random) {
    match random.below(12) {
        0 => {
            let (from, to) = span(line.len(), random);
            line.drain(from..to);
        }
        1 => {
            let (from, to) = span(line.len(), random);
            let again = line[from..to].to_vec();
            line.splice(to..to, again);
        }
        2 if !line.is_empty() => {
            let at = random.below(line.len());
            line[at] ^= 1 << random.below(8);
        }
        3 => {
            let who: &[u8] = b"rfd!~";
            if let Some(first) = line.first_mut() {
                *first = *random.pick(who);
            }
        }
        _ => exchange(line, random),
    }
}

/// A word becomes another of its kind, or any.
fn exchange(line: &mut Vec<u8>, random: &mut Random) {
    let kind = *random.pick(&WORDS);
    let places: Vec<(usize, usize)> = kind.iter().flat_map(|word| found(line, word)).collect();
    if places.is_empty() {
        return;
    }
    let (from, to) = *random.pick(&places);
    let kind = if random.one_in(8) { *random.pick(&WORDS) } else { kind };
    line.splice(from..to, random.pick(kind).bytes());
}

fn found(line: &[u8], word: &str) -> Vec<(usize, usize)> {
    let starts = line.windows(word.len()).enumerate().filter(|(_, at)| *at == word.as_bytes());
    starts.map(|(from, _)| (from, from + word.len())).collect()
}

fn span(length: usize, random: &mut Random) -> (usize, usize) {
    let from = random.below(length + 1);
    (from, from + random.below((length - from).min(24) + 1))
}
