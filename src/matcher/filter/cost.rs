//! What a filter costs, known when it is made: the steps that it takes for an event in which every field that it reads is a text of 1 KiB.
//!
//! Invariant: a filter that is made costs at most `FILTER_COST_MAX`. What an event really takes is counted when it is matched: less,
//! where a test is decided early, or more, where texts are longer or fields are arrays.

use crate::limits::FILTER_COST_MAX;
use crate::limits::FILTER_REGEXES_MAX;
use crate::limits::FILTER_TERMS_MAX;
use crate::limits::REGEX_SIZE_MAX;
use crate::matcher::filter::FilterProblem;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Regex;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// Bytes of the text that costs are told for.
const TEXT_BYTES: usize = 1024;

/// Steps that reading and ordering a test takes.
const MAKING_STEPS_PER_TERM: u64 = 1000;
/// Steps that compiling takes for each unit of an expression's size.
const MAKING_STEPS_PER_SIZE: u64 = 250;

/// What the tests of a filter come to, summed up one by one, so that the one that is too much is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    terms: usize,
    regexes: usize,
    regexes_size: u64,
    steps: u64,
}

impl Cost {
    /// Adds a test.
    ///
    /// # Errors
    /// If it is one test too many, or costs too much with those before it.
    pub(super) fn add(&mut self, term: &Term) -> Result<(), FilterProblem> {
        self.terms += 1;
        if self.terms > FILTER_TERMS_MAX {
            return Err(FilterProblem::TooManyTerms { count: self.terms });
        }
        if let Test::Regex(regex) = &term.test {
            self.add_regex()?;
            self.regexes_size = self.regexes_size.saturating_add(regex.size());
            if self.regexes_size > REGEX_SIZE_MAX {
                return Err(FilterProblem::RegexTooLarge { size: Some(self.regexes_size) });
            }
        }
        self.steps += of_term(term);
        if self.steps > FILTER_COST_MAX {
            return Err(FilterProblem::TooCostly { cost: self.steps });
        }
        Ok(())
    }

    /// Counts a regular expression.
    fn add_regex(&mut self) -> Result<(), FilterProblem> {
        self.regexes += 1;
        if self.regexes > FILTER_REGEXES_MAX {
            return Err(FilterProblem::TooManyRegexes { count: self.regexes });
        }
        Ok(())
    }

    /// Compiles one regular expression more, if it is allowed.
    pub(super) fn regex(mut self, text: &str) -> Result<Regex, FilterProblem> {
        self.add_regex()?;
        Regex::beside(text, self.regexes_size)
    }

    /// Adds all tests of a predicate.
    pub(super) fn add_all(&mut self, predicate: &Predicate) -> Result<(), FilterProblem> {
        match predicate {
            Predicate::Test(term) => self.add(term),
            Predicate::And(members) | Predicate::Or(members) => {
                members.iter().try_for_each(|member| self.add_all(member))
            }
            Predicate::Not(inner) => self.add_all(inner),
        }
    }

    /// Steps that making the filter took: compiling, above all.
    pub(super) const fn making_steps(&self) -> u64 {
        self.terms as u64 * MAKING_STEPS_PER_TERM + self.regexes_size * MAKING_STEPS_PER_SIZE
    }

    /// The steps so far.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

/// The steps of one test of one text.
fn of_term(term: &Term) -> u64 {
    let steps = match (&term.test, term.rule) {
        (Test::Like(pattern), Rule::Typed) => 2 * pattern.steps(TEXT_BYTES) + TEXT_BYTES as u64,
        (Test::Like(pattern), _) => pattern.steps(TEXT_BYTES),
        (Test::Regex(regex), _) => regex.steps(TEXT_BYTES),
        (Test::In(list) | Test::NotIn(list), rule) => {
            (list_steps(rule, list) + text_steps(rule, list, TEXT_BYTES)) as u64
        }
        (Test::Range(range), rule) => {
            (range_steps(rule, range) + text_steps(rule, ends(range), TEXT_BYTES)) as u64
        }
        (Test::Within { area, .. }, _) => area.steps() as u64,
        (Test::Exists | Test::Null, _) => 0,
    };
    1 + steps
}

/// The steps of comparing one value with each of a list. By our own rule it is looked up; other rules look at each, and may read the number
/// that its text writes.
pub(super) fn list_steps(rule: Rule, list: &[Scalar]) -> usize {
    match rule {
        Rule::Native | Rule::JsonStrict => 1 + list.len().max(1).ilog2() as usize,
        _ => list.iter().map(scalar_steps).sum(),
    }
}

/// The steps of comparing one value with the ends of a range.
pub(super) fn range_steps(rule: Rule, range: &Range) -> usize {
    match rule {
        Rule::Native | Rule::JsonStrict => 1,
        _ => ends(range).map(scalar_steps).sum(),
    }
}

/// The values that a range ends with.
pub(super) fn ends(range: &Range) -> impl Iterator<Item = &Scalar> {
    range.low.iter().chain(&range.high).map(|edge| &edge.value)
}

/// The steps of reading a text of so many bytes before it is compared: the number or the moment that it writes, where one of the values is a number.
pub(super) fn text_steps<'a>(
    rule: Rule,
    values: impl IntoIterator<Item = &'a Scalar>,
    text_bytes: usize,
) -> usize {
    let reads = matches!(rule, Rule::Loose | Rule::Instant)
        && values.into_iter().any(|value| matches!(value, Scalar::Number(_)));
    if reads { text_bytes } else { 0 }
}

fn scalar_steps(scalar: &Scalar) -> usize {
    1 + if let Scalar::Text(text) = scalar { text.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Op;
    use crate::event::fields::Scratch;
    use crate::matcher::arbitrary::event;
    use crate::matcher::filter::Filter;

    fn text(filter: &str) -> Filter {
        Filter::parse_text(filter).unwrap_or_else(|error| panic!("{filter}: {error}"))
    }

    /// What a filter costs is known when it is made, and too much is refused where it stands.
    #[test]
    fn a_filter_has_a_cost_and_a_limit() {
        for (filter, cost) in [
            ("a = 1", 2),
            ("a exists", 1),
            ("a in (1, 2, 3, 4)", 4),
            ("a prefix 'x'", 3),
            ("a icontains 'xy'", 1 + 3 + 256),
            ("a like '%x_y%'", 1 + 5 + 1024),
            ("a = 1 and (b = 2 or not a = 1)", 6),
            ("within(a, b, polygon(0 0, 0 1, 1 1))", 10),
        ] {
            assert_eq!(text(filter).cost(), cost, "{filter}");
        }
        let dear = format!("a ilike '%{}%'", "_a".repeat(100));
        let filter = |count| vec![dear.as_str(); count].join(" or ");
        let cost = 1 + 202 + 4 * 1024;
        assert_eq!(text(&filter(14)).cost(), 14 * cost);
        let error = Filter::parse_text(&filter(60)).unwrap_err();
        assert_eq!(error.problem, FilterProblem::TooCostly { cost: 16 * cost });
        assert_eq!(error.at, 15 * (dear.len() + 4), "the sixteenth of them");
        let predicate = text(&filter(14)).to_predicate();
        let all = Predicate::And(vec![Predicate::Or(vec![predicate.clone()]), predicate.negated()]);
        assert!(Filter::new(&all).is_ok(), "equal tests are one");
    }

    /// Before it is compiled.
    #[test]
    fn the_ninth_expression_is_refused_where_it_stands() {
        let nine = ["a =~ 'x'"; 9].join(" or ");
        let error = Filter::parse_text(&nine).unwrap_err();
        assert_eq!(
            (error.at, error.problem),
            (8 * 12 + 5, FilterProblem::TooManyRegexes { count: 9 })
        );
        let nine = format!(r#"{{"or":[{}]}}"#, [r#"{"regex":["a","("]}"#; 9].join(","));
        assert!(matches!(
            Filter::parse_json(&nine).unwrap_err().problem,
            FilterProblem::Regex { .. }
        ));
    }

    /// Each kind of test that could take long takes what it may and no more, and then passes neither way.
    #[test]
    fn a_filter_stops_when_it_has_taken_what_it_may() {
        let long = format!(r#"{{"a":"{}"}}"#, "1".repeat(1_000_000));
        let mut random = fastrand::Rng::with_seed(0x5eed_0008);
        let digits: String = (0..300_000).map(|_| random.char('1'..='2')).collect();
        let without_order = format!(r#"{{"a":"{digits}"}}"#);
        let many = format!(r#"{{"a":[{}]}}"#, vec!["1"; 30_000].join(","));
        let places = format!(
            r#"{{"y":[{}],"x":[{}]}}"#,
            vec!["1.5"; 20_000].join(","),
            vec!["7"; 20_000].join(",")
        );
        let tests: Vec<String> = (2..200).map(|n| format!("a > {n}")).collect();
        let corners: Vec<String> =
            (0..200).map(|n| format!("{} {}", n % 2, f64::from(n) / 100.0)).collect();
        for (filter, payload) in [
            ("a like '%2_2%' or a like '%3_3%' or a like '%4_4%' or a like '%5_5%' or a like '%6_6%'".to_owned(), &long),
            (format!("a ilike '%{}b%'", "_1".repeat(100)) + " or a like '%2_2%'", &long),
            ("a =~ '[12]*2[12]{300}3'".to_owned(), &without_order),
            (tests.join(" or "), &many),
            (format!("sql(a = '{}')", "2".repeat(15_000)), &many),
            (format!("loose(a in ({}))", (2..900).map(|n| n.to_string()).collect::<Vec<_>>().join(",")), &many),
            (format!("within(y, x, polygon({}))", corners.join(", ")), &places),
        ] {
            for filter in [text(&filter), text(&format!("not ({filter})"))] {
                let event = event("t", "", Op::Upsert, payload);
                let evaluated = filter.ask(&event, &mut Scratch::default());
                let shown: String = filter.to_string().chars().take(60).collect();
                assert!(evaluated.is_spent && !evaluated.passes, "{shown}: {evaluated:?}");
            }
        }
    }
}
