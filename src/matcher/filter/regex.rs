//! Regular expressions whose cost is known before they are compiled, and counted when they are asked.
//!
//! An expression runs as a deterministic automaton whose states are made when they are first reached, one step a byte; making a state
//! is counted as well. Where the states do not fit their memory, or the automaton cannot decide (a word boundary beside a letter that
//! is not ASCII), all states of the nondeterministic automaton are followed at once, which takes steps for each of them and byte:
//! only if the filter may still take so many. Invariants: nothing that is refused is compiled; compiling takes about a
//! millisecond at most. Syntax and meaning are those of the crate `regex`, which stands on the same automata.

use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use regex_automata::Input;
use regex_automata::hybrid::dfa;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::nfa::thompson::pikevm;
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::util::pool::Pool;
use regex_syntax::hir::Hir;

use crate::limits::REGEX_BYTES_MAX;
use crate::limits::REGEX_CACHE_BYTES_MAX;
use crate::limits::REGEX_DEPTH_MAX;
use crate::limits::REGEX_SIZE_MAX;
use crate::limits::REGEX_TEXT_BYTES_MAX;
use crate::matcher::filter::FilterProblem;
use crate::matcher::filter::regex_size;
use crate::matcher::filter::work::Work;

/// Steps that making a byte of states takes.
const STEPS_PER_CACHE_BYTE: usize = 4;
/// Steps that following one state for one byte takes.
const STEPS_PER_STATE: usize = 8;
/// Bytes of an expression besides its states and texts: its pools of caches, of which each has a place for some threads.
const COMPILED_BYTES: usize = 8 * 1024;
/// Bytes that the two kinds of caches take for each state: the sets of states that are being followed.
const CACHE_BYTES_PER_STATE: usize = 64;

/// A regular expression, compiled. Equal if written the same. Cheap to clone.
#[derive(Clone)]
pub struct Regex(Arc<Compiled>);

struct Compiled {
    text: Box<str>,
    size: u64,
    automaton: DFA,
    caches: Pool<dfa::Cache, Box<dyn Fn() -> dfa::Cache + Send + Sync>>,
    /// For when the automaton gives up.
    fallback: PikeVM,
    fallback_caches: Pool<pikevm::Cache, Box<dyn Fn() -> pikevm::Cache + Send + Sync>>,
}

impl Regex {
    /// Compiles `text`, within the limits.
    ///
    /// # Errors
    /// What is wrong with it, and where in it.
    pub fn new(text: &str) -> Result<Self, FilterProblem> {
        Self::beside(text, 0)
    }

    /// Compiles one of several expressions that come to `others` in size so far: together they may be as large as one.
    ///
    /// # Errors
    /// What is wrong with it, and where in it.
    pub fn beside(text: &str, others: u64) -> Result<Self, FilterProblem> {
        let (hir, size) = checked(text, others)?;
        let too_large = || FilterProblem::RegexTooLarge { size: None };
        let config = thompson::Config::new()
            .nfa_size_limit(Some(REGEX_BYTES_MAX))
            .which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(&hir)
            .map_err(|_| too_large())?;
        let config = DFA::config()
            .cache_capacity(REGEX_CACHE_BYTES_MAX)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(1))
            .unicode_word_boundary(true);
        let automaton = DFA::builder()
            .configure(config)
            .build_from_nfa(nfa.clone())
            .map_err(|_| too_large())?;
        let fallback = PikeVM::new_from_nfa(nfa).map_err(|_| too_large())?;
        let (of_automaton, of_fallback) = (automaton.clone(), fallback.clone());
        Ok(Self(Arc::new(Compiled {
            text: Box::from(text),
            size,
            caches: Pool::new(Box::new(move || of_automaton.create_cache())),
            fallback_caches: Pool::new(Box::new(move || of_fallback.create_cache())),
            automaton,
            fallback,
        })))
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The expression's size before it was compiled, which tells how long compiling took.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Bytes that it takes, with the caches that it fills as it runs on the one thread that runs it.
    pub(in crate::matcher) fn weight_bytes(&self) -> usize {
        let nfa = self.0.fallback.get_nfa();
        // The text is in the filter that is told back, too.
        let text = 4 * self.0.text.len();
        // Lists that grow have room for twice as much.
        let caches = 2 * REGEX_CACHE_BYTES_MAX + CACHE_BYTES_PER_STATE * nfa.states().len();
        COMPILED_BYTES + text + nfa.memory_usage() + caches
    }

    /// What the expression says, for whoever wants to know what its matches must hold.
    pub(in crate::matcher) fn hir(&self) -> Option<Hir> {
        regex_syntax::parse(&self.0.text).ok()
    }

    /// Steps that it takes for a text of so many bytes, if its automaton is ready and decides.
    #[must_use]
    pub fn steps(&self, text_bytes: usize) -> u64 {
        (self.0.fallback.get_nfa().states().len() + text_bytes) as u64
    }

    /// Whether the expression has a match somewhere in `text`; not, if it would take more than the filter may.
    pub(in crate::matcher) fn is_match(&self, text: &str, work: &Work) -> bool {
        let Compiled { automaton, caches, fallback, fallback_caches, .. } = &*self.0;
        let input = Input::new(text).earliest(true);
        let mut cache = caches.get();
        let (bytes, cleared) = (cache.memory_usage(), cache.clear_count());
        let found = automaton.try_search_fwd(&mut cache, &input);
        let made = match cache.clear_count() - cleared {
            0 => cache.memory_usage().saturating_sub(bytes),
            times => times * REGEX_CACHE_BYTES_MAX,
        };
        work.take(1 + text.len() + made * STEPS_PER_CACHE_BYTE);
        if let Ok(found) = found {
            return found.is_some();
        }
        // It gives up for good once it has begun anew, so it begins like a new one.
        cache.reset(automaton);
        let states = fallback.get_nfa().states().len();
        work.affords(text.len() * states * STEPS_PER_STATE)
            && fallback.is_match(&mut fallback_caches.get(), input)
    }
}

/// What `text` says, if it is an expression and a small one.
fn checked(text: &str, others: u64) -> Result<(Hir, u64), FilterProblem> {
    if text.len() > REGEX_TEXT_BYTES_MAX {
        return Err(FilterProblem::RegexTooLong { bytes: text.len() });
    }
    let tree = regex_syntax::ast::parse::ParserBuilder::new()
        .nest_limit(REGEX_DEPTH_MAX)
        .build()
        .parse(text)
        .map_err(|error| problem(error.span().start.offset, error.kind()))?;
    let size = regex_size::of(&tree);
    if others.saturating_add(size) > REGEX_SIZE_MAX {
        return Err(FilterProblem::RegexTooLarge { size: Some(others.saturating_add(size)) });
    }
    let hir = regex_syntax::hir::translate::Translator::new()
        .translate(text, &tree)
        .map_err(|error| problem(error.span().start.offset, error.kind()))?;
    Ok((hir, size))
}

fn problem(within: usize, reason: &impl fmt::Display) -> FilterProblem {
    FilterProblem::Regex { within, reason: reason.to_string().into_boxed_str() }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.0.text).finish()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Regex {}

impl PartialOrd for Regex {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Regex {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FILTER_EVENT_STEPS_MAX;

    fn steps_taken(regex: &Regex, text: &str) -> (bool, u64) {
        let work = Work::default();
        let is_match = regex.is_match(text, &work);
        (is_match, work.steps())
    }

    #[test]
    fn it_finds_what_the_crate_regex_finds() {
        let seed = 0x5eed_0007_u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let parts = [
            "a", "b", "é", "ab", ".", "[ab]", "[^a]", "\\d", "\\w", "\\s", "\\b", "\\B", "^", "$",
            "(?i)A", "(a|bé)", "a?", "b*", "(ab)+", "a{2,3}", "x",
        ];
        let letters = ["a", "b", "A", "é", "É", " ", "1", "x", "ß"];
        let mut matched = 0;
        for _ in 0..3000 {
            let text: String =
                (0..random.usize(1..5)).map(|_| parts[random.usize(..parts.len())]).collect();
            let (Ok(ours), Ok(theirs)) = (Regex::new(&text), regex::Regex::new(&text)) else {
                continue;
            };
            for _ in 0..8 {
                let subject: String = (0..random.usize(..9))
                    .map(|_| letters[random.usize(..letters.len())])
                    .collect();
                let expected = theirs.is_match(&subject);
                assert_eq!(
                    steps_taken(&ours, &subject).0,
                    expected,
                    "seed {seed:#x} {text} on {subject}"
                );
                matched += usize::from(expected);
            }
        }
        assert!(matched > 5000, "{matched}");
    }

    #[test]
    fn states_without_end_are_refused_or_stopped() {
        let mut random = fastrand::Rng::with_seed(0x5eed_0009);
        let text: String = (0..300_000).map(|_| random.char('a'..='b')).collect();
        let regex = Regex::new("[ab]*a[ab]{500}c").unwrap();
        let (is_match, steps) = steps_taken(&regex, &text);
        assert!(!is_match && steps > FILTER_EVENT_STEPS_MAX, "{steps}: it is stopped");
        assert_eq!(
            Regex::new("[ab]*a[ab]{5000}c"),
            Err(FilterProblem::RegexTooLarge { size: Some(5004) })
        );
    }

    #[test]
    fn usual_expressions_take_a_step_a_byte() {
        let text = "the quick brown fox jumps over the lazy dog, ".repeat(1000);
        for expression in
            ["^[A-Z]{3}[0-9]+$", "(?i)PUSH$", "\\d+-\\d+", "lazy cat|quick dog", "\\w+@\\w+"]
        {
            let regex = Regex::new(expression).unwrap();
            steps_taken(&regex, &text);
            let (_, steps) = steps_taken(&regex, &text);
            assert!(steps <= regex.steps(text.len()), "{expression}: {steps} steps");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_compiled() {
        for (text, expected) in [
            ("a?".repeat(8000), "regular expression has 16000 bytes; at most 2048 are allowed"),
            (
                "(a{100}){100}".to_owned(),
                "regular expression comes to a size of 10000; at most 4096 is allowed: count fewer repetitions, or use smaller classes",
            ),
            (
                "(((((a{9}){9}){9}){9}){9})".to_owned(),
                "regular expression comes to a size of 59049; at most 4096 is allowed: count fewer repetitions, or use smaller classes",
            ),
            (
                "a{4000000000}".repeat(3),
                "regular expression comes to a size of 12000000000; at most 4096 is allowed: count fewer repetitions, or use smaller classes",
            ),
            (
                format!("{}a{}", "(".repeat(40), ")".repeat(40)),
                "regular expression: exceed the maximum number of nested parentheses/brackets (32) (at its byte 32)",
            ),
            (
                "(?i)[\u{80}-\u{10ffff}]".to_owned(),
                "regular expression comes to a size of 17408; at most 4096 is allowed: count fewer repetitions, or use smaller classes",
            ),
            ("a(".to_owned(), "regular expression: unclosed group (at its byte 1)"),
        ] {
            assert_eq!(Regex::new(&text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
