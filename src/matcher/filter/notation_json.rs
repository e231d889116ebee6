//! The JSON notation, read token by token. `docs/FILTERS.md` has its grammar.
//!
//! Every object has one member: its name is the operator, its value the operands. Invariants: it recurses at most
//! `FILTER_DEPTH_MAX` levels, and whatever it refuses it refuses with the place. Never evaluates.

use std::sync::Arc;

use crate::event::Number;
use crate::event::fields::Scratch;
use crate::event::fields::canonical_json;
use crate::event::json;
use crate::event::json::Reader;
use crate::event::json::Token;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::FILTER_DEPTH_MAX;
use crate::matcher::filter::Area;
use crate::matcher::filter::AreaError;
use crate::matcher::filter::Edge;
use crate::matcher::filter::FilterError;
use crate::matcher::filter::FilterProblem;
use crate::matcher::filter::GeoPoint;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Style;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;
use crate::matcher::filter::cost::Cost;
use crate::matcher::filter::notation_text;
use crate::matcher::filter::notation_text::rule_word;

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Predicate, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterError {
            at: FILTER_BYTES_MAX,
            problem: FilterProblem::TooLong { bytes: text.len() },
        });
    }
    let mut parser = Parser {
        text,
        reader: Reader::new(text),
        peeked: None,
        rule: Rule::Native,
        depth: 0,
        cost: Cost::default(),
    };
    let predicate = parser.filter()?;
    match parser.reader.next_token()? {
        None => Ok(predicate),
        Some((at, _)) => Err(FilterError { at, problem: FilterProblem::Expected("the end") }),
    }
}

struct Parser<'a> {
    text: &'a str,
    reader: Reader<'a>,
    peeked: Option<(usize, Token<'a>)>,
    rule: Rule,
    depth: usize,
    cost: Cost,
}

type Parsed<T> = Result<T, FilterError>;

const fn expected<T>(at: usize, what: &'static str) -> Parsed<T> {
    Err(FilterError { at, problem: FilterProblem::Expected(what) })
}

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Parsed<Predicate> {
        self.depth += 1;
        let (at, token) = self.next()?;
        if token != Token::ObjectStart {
            return expected(at, "an object with one member");
        }
        if self.depth > FILTER_DEPTH_MAX {
            return Err(FilterError { at, problem: FilterProblem::TooDeep });
        }
        let (at, token) = self.next()?;
        let Token::Name(name) = token else { return expected(at, "an object with one member") };
        let predicate = match &*json::unescaped(name) {
            "and" => Predicate::And(self.list(Self::filter)?),
            "or" => Predicate::Or(self.list(Self::filter)?),
            "not" => self.filter()?.negated(),
            word => match notation_text::rule_of(word).filter(|rule| rule_word(*rule) == word) {
                Some(rule) => {
                    let outer = std::mem::replace(&mut self.rule, rule);
                    let inner = self.filter()?;
                    self.rule = outer;
                    inner
                }
                None => self.term(word, at)?,
            },
        };
        let (at, token) = self.next()?;
        if token != Token::ObjectEnd {
            return expected(at, "the end of the object: one operator each");
        }
        self.depth -= 1;
        Ok(predicate)
    }

    fn term(&mut self, operator: &str, at: usize) -> Parsed<Predicate> {
        let source_alone = match operator {
            "exists" => Some(Test::Exists),
            "null" => Some(Test::Null),
            "known" => Some(Test::NotIn(Vec::new())),
            _ => None,
        };
        if let Some(test) = source_alone {
            let source = self.source()?;
            return self.checked(Term { source, rule: self.rule, test }, at);
        }
        let is_known = matches!(
            operator,
            "eq" | "ne"
                | "lt"
                | "le"
                | "gt"
                | "ge"
                | "in"
                | "not_in"
                | "between"
                | "range"
                | "within"
                | "prefix"
                | "suffix"
                | "contains"
                | "icontains"
                | "like"
                | "ilike"
                | "glob"
                | "regex"
        );
        if !is_known {
            return Err(FilterError { at, problem: FilterProblem::UnknownOperator });
        }
        self.open("an array of operands")?;
        let source = self.source()?;
        let test = self.test(operator)?;
        self.close("the end of the operands")?;
        self.checked(Term { source, rule: self.rule, test }, at)
    }

    /// A test that makes sense, and is not one too many.
    fn checked(&mut self, term: Term, at: usize) -> Parsed<Predicate> {
        let predicate = notation_text::checked(term, at)?;
        self.cost.add_all(&predicate).map_err(|problem| FilterError { at, problem })?;
        Ok(predicate)
    }

    fn test(&mut self, operator: &str) -> Parsed<Test> {
        Ok(match operator {
            "eq" => Test::equals(self.value()?),
            "ne" => Test::differs(self.value()?),
            "lt" => Test::Range(Range::below(self.end_of_range(None)?, false)),
            "le" => Test::Range(Range::below(self.end_of_range(None)?, true)),
            "gt" => Test::Range(Range::above(self.end_of_range(None)?, false)),
            "ge" => Test::Range(Range::above(self.end_of_range(None)?, true)),
            "in" => Test::In(self.list(Self::value)?),
            "not_in" => Test::NotIn(self.list(Self::value)?),
            "between" => {
                let low = self.end_of_range(None)?;
                let high = self.end_of_range(Some(&low))?;
                Test::Range(Range::between(low, high))
            }
            "range" => self.range()?,
            "within" => {
                let longitude = self.source()?;
                Test::Within { longitude, area: Arc::new(self.area()?) }
            }
            "prefix" => self.pattern(Wildcard::prefix)?,
            "suffix" => self.pattern(Wildcard::suffix)?,
            "contains" => self.pattern(|text| Wildcard::contains(text, false))?,
            "icontains" => self.pattern(|text| Wildcard::contains(text, true))?,
            "like" => self.pattern(|text| Wildcard::parse(text, Style::Sql, false))?,
            "ilike" => self.pattern(|text| Wildcard::parse(text, Style::Sql, true))?,
            "glob" => self.pattern(|text| Wildcard::parse(text, Style::Glob, false))?,
            _ => {
                let (at, text) = self.string()?;
                let regex = self.cost.regex(&text);
                Test::Regex(regex.map_err(|problem| FilterError { at, problem })?)
            }
        })
    }

    fn pattern(
        &mut self,
        make: impl Fn(&str) -> Result<Wildcard, super::PatternTooLong>,
    ) -> Parsed<Test> {
        let (at, text) = self.string()?;
        make(&text).map(Test::Like).map_err(|error| FilterError { at, problem: error.into() })
    }

    /// `">=",low,"<",high`.
    fn range(&mut self) -> Parsed<Test> {
        let low = self.edge([">=", ">"], "`\">\"` or `\">=\"`", None)?;
        let high = self.edge(["<=", "<"], "`\"<\"` or `\"<=\"`", Some(&low.value))?;
        Ok(Test::Range(Range { low: Some(low), high: Some(high) }))
    }

    /// A sign, the one that includes the end or the one that does not, and the end.
    fn edge(
        &mut self,
        [inclusive, exclusive]: [&str; 2],
        what: &'static str,
        other: Option<&Scalar>,
    ) -> Parsed<Edge> {
        let (at, sign) = self.string()?;
        if sign != inclusive && sign != exclusive {
            return expected(at, what);
        }
        Ok(Edge { inclusive: sign == inclusive, value: self.end_of_range(other)? })
    }

    /// A number or a text; if the range has another end, of the same type.
    fn end_of_range(&mut self, other: Option<&Scalar>) -> Parsed<Scalar> {
        let at = self.peek()?.0;
        let value = self.value()?;
        if notation_text::is_end_of_range(&value, other) {
            Ok(value)
        } else {
            Err(FilterError { at, problem: FilterProblem::Edge })
        }
    }

    fn area(&mut self) -> Parsed<Area> {
        let (at, token) = self.next()?;
        if token != Token::ObjectStart {
            return expected(at, "an object with `box`, `circle` or `polygon`");
        }
        let (at, token) = self.next()?;
        let fault = |error: AreaError| FilterError { at, problem: error.into() };
        let area = match token {
            Token::Name("box") => {
                let [south, west, north, east] = self.numbers()?;
                let southwest = GeoPoint::new(south, west).map_err(fault)?;
                Area::rectangle(southwest, GeoPoint::new(north, east).map_err(fault)?)
            }
            Token::Name("circle") => {
                let [latitude, longitude, metres] = self.numbers()?;
                Area::circle(GeoPoint::new(latitude, longitude).map_err(fault)?, metres)
            }
            Token::Name("polygon") => {
                let points = self.list(|parser| {
                    let [latitude, longitude] = parser.numbers()?;
                    GeoPoint::new(latitude, longitude).map_err(fault)
                })?;
                Area::polygon(&points)
            }
            _ => return expected(at, "`box`, `circle` or `polygon`"),
        };
        let area = area.map_err(fault)?;
        let (at, token) = self.next()?;
        if token == Token::ObjectEnd { Ok(area) } else { expected(at, "the end of the area") }
    }

    fn numbers<const COUNT: usize>(&mut self) -> Parsed<[f64; COUNT]> {
        self.open("an array of numbers")?;
        let mut numbers = [0.0; COUNT];
        for number in &mut numbers {
            let (at, token) = self.next()?;
            let Token::Number(text) = token else { return expected(at, "a number") };
            *number = Number::parse(text).map(Number::to_f64).unwrap_or_default();
        }
        self.close("the end of the numbers")?;
        Ok(numbers)
    }

    fn list<T>(&mut self, mut member: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.open("an array")?;
        let mut members = Vec::new();
        while self.peek()?.1 != Token::ArrayEnd {
            members.push(member(self)?);
        }
        self.next()?;
        Ok(members)
    }

    fn source(&mut self) -> Parsed<Source> {
        let (at, text) = self.string()?;
        // The place within the string, as far as it has no escapes before it.
        notation_text::parse_source(&text)
            .map_err(|error| FilterError { at: at + 1 + error.at, ..error })
    }

    fn string(&mut self) -> Parsed<(usize, String)> {
        match self.next()? {
            (at, Token::Text(text)) => Ok((at, json::unescaped(text).into_owned())),
            (at, _) => expected(at, "a string"),
        }
    }

    fn value(&mut self) -> Parsed<Scalar> {
        let (at, token) = self.next()?;
        Ok(match token {
            Token::Null if !self.rule.knows_null() => {
                return Err(FilterError { at, problem: FilterProblem::NullInJson });
            }
            Token::Null => Scalar::Null,
            Token::Bool(value) => Scalar::Bool(value),
            Token::Number(text) => {
                Scalar::Number(Number::parse(text).unwrap_or_else(|| Number::from_i64(0)))
            }
            Token::Text(text) => Scalar::Text(Arc::from(&*json::unescaped(text))),
            Token::ObjectStart | Token::ArrayStart if self.rule == Rule::JsonStrict => {
                self.composite(at)?
            }
            _ => return expected(at, "a string, a number, true or false"),
        })
    }

    /// The array or object that began at `at`, as one value.
    fn composite(&mut self, at: usize) -> Parsed<Scalar> {
        let mut open = 1_usize;
        let mut end = at;
        while open > 0 {
            let (token_at, token) = self.next()?;
            match token {
                Token::ObjectStart | Token::ArrayStart => open += 1,
                Token::ObjectEnd | Token::ArrayEnd => open -= 1,
                _ => {}
            }
            end = token_at + 1;
        }
        let text = self.text.get(at..end).unwrap_or_default();
        let canonical = canonical_json(text, &mut Scratch::default())
            .map_err(|error| FilterError { at, ..error.into() })?;
        Ok(Scalar::Json(Arc::from(canonical)))
    }

    fn open(&mut self, what: &'static str) -> Parsed<()> {
        let (at, token) = self.next()?;
        if token == Token::ArrayStart { Ok(()) } else { expected(at, what) }
    }

    fn close(&mut self, what: &'static str) -> Parsed<()> {
        let (at, token) = self.next()?;
        if token == Token::ArrayEnd { Ok(()) } else { expected(at, what) }
    }

    fn next(&mut self) -> Parsed<(usize, Token<'a>)> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(peeked);
        }
        match self.reader.next_token()? {
            Some(token) => Ok(token),
            None => expected(self.text.len(), "more"),
        }
    }

    fn peek(&mut self) -> Parsed<(usize, Token<'a>)> {
        let token = self.next()?;
        self.peeked = Some(token);
        Ok(token)
    }
}
