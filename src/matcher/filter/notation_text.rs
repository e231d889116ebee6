//! The short text notation, read by descent. `docs/FILTERS.md` has its grammar.
//!
//! Invariant: it recurses at most `FILTER_DEPTH_MAX` levels. Every fault is told with its place. Never evaluates.

use std::sync::Arc;

use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Number;
use crate::event::fields::Scratch;
use crate::event::fields::canonical_json;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::FILTER_DEPTH_MAX;
use crate::limits::FILTER_FIRST_MAX;
use crate::matcher::filter::Area;
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
use crate::matcher::filter::canonical;
use crate::matcher::filter::cost::Cost;
use crate::matcher::filter::lexer::Lexer;
use crate::matcher::filter::lexer::Token;

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Predicate, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        return Err(FilterError {
            at: FILTER_BYTES_MAX,
            problem: FilterProblem::TooLong { bytes: text.len() },
        });
    }
    let mut parser = Parser::new(text)?;
    let predicate = parser.any_of()?;
    parser.end(predicate)
}

/// Reads a source alone, as the JSON notation has it in a string.
pub(super) fn parse_source(text: &str) -> Result<Source, FilterError> {
    let mut parser = Parser::new(text)?;
    let source = parser.source()?;
    parser.end(source)
}

/// The word for a rule.
pub(super) const fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::Native => "native",
        Rule::JsonStrict => "strict",
        Rule::JsonOrder => "order",
        Rule::Typed => "typed",
        Rule::Sql => "sql",
        Rule::Loose => "loose",
        Rule::Instant => "instant",
    }
}

/// The rule that a word means.
pub(super) fn rule_of(word: &str) -> Option<Rule> {
    let rules = [
        Rule::Native,
        Rule::JsonStrict,
        Rule::JsonOrder,
        Rule::Typed,
        Rule::Sql,
        Rule::Loose,
        Rule::Instant,
    ];
    rules.into_iter().find(|rule| word.eq_ignore_ascii_case(rule_word(*rule)))
}

/// Whether a term makes sense by itself; else what is wrong with it, at `at`.
pub(super) fn checked(term: Term, at: usize) -> Result<Predicate, FilterError> {
    match canonical::literal(&term, false) {
        Ok(_) => Ok(Predicate::Test(term)),
        Err(problem) => Err(FilterError { at, problem }),
    }
}

/// Whether a value may be an end of a range whose other end, if it has one, is `other`.
pub(super) const fn is_end_of_range(value: &Scalar, other: Option<&Scalar>) -> bool {
    matches!(
        (value, other),
        (Scalar::Number(_), None | Some(Scalar::Number(_)))
            | (Scalar::Text(_), None | Some(Scalar::Text(_)))
    )
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word that has been cut but not used, and where it starts.
    token: Token<'a>,
    at: usize,
    rule: Rule,
    depth: usize,
    cost: Cost,
}

type Parsed<T> = Result<T, FilterError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parsed<Self> {
        let mut lexer = Lexer::new(text);
        let (at, token) = lexer.next_token()?;
        Ok(Self { lexer, token, at, rule: Rule::Native, depth: 0, cost: Cost::default() })
    }

    fn any_of(&mut self) -> Parsed<Predicate> {
        let mut members = vec![self.all_of()?];
        while self.skip_word("or")? {
            members.push(self.all_of()?);
        }
        Ok(if members.len() == 1 { members.swap_remove(0) } else { Predicate::Or(members) })
    }

    fn all_of(&mut self) -> Parsed<Predicate> {
        let mut members = vec![self.one()?];
        while self.skip_word("and")? {
            members.push(self.one()?);
        }
        Ok(if members.len() == 1 { members.swap_remove(0) } else { Predicate::And(members) })
    }

    fn one(&mut self) -> Parsed<Predicate> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return self.fail(FilterProblem::TooDeep);
        }
        let predicate = if self.skip_word("not")? {
            self.one()?.negated()
        } else if self.skip_word("true")? {
            Predicate::all()
        } else if self.skip_word("false")? {
            Predicate::none()
        } else if self.skip("(")? {
            let inner = self.any_of()?;
            self.expect(")", "a closing parenthesis")?;
            inner
        } else if let Some(rule) = self.call().and_then(rule_of) {
            self.by_rule(rule)?
        } else {
            let at = self.at;
            let term = if self.calls("within") { self.within()? } else { self.comparison()? };
            let predicate = checked(term, at)?;
            self.cost.add_all(&predicate).map_err(|problem| FilterError { at, problem })?;
            predicate
        };
        self.depth -= 1;
        Ok(predicate)
    }

    fn by_rule(&mut self, rule: Rule) -> Parsed<Predicate> {
        self.advance()?;
        self.expect("(", "an opening parenthesis")?;
        let outer = std::mem::replace(&mut self.rule, rule);
        let inner = self.any_of()?;
        self.rule = outer;
        self.expect(")", "a closing parenthesis")?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Parsed<Term> {
        let source = self.source()?;
        let (at, operator) = (self.at, self.advance()?);
        let test = match operator {
            Token::Symbol("=" | "==") => Test::equals(self.value()?),
            Token::Symbol("!=" | "<>") => Test::differs(self.value()?),
            Token::Symbol("<") => Test::Range(Range::below(self.end_of_range(None)?, false)),
            Token::Symbol("<=") => Test::Range(Range::below(self.end_of_range(None)?, true)),
            Token::Symbol(">") => Test::Range(Range::above(self.end_of_range(None)?, false)),
            Token::Symbol(">=") => Test::Range(Range::above(self.end_of_range(None)?, true)),
            Token::Symbol("~") => self.pattern(|text| Wildcard::parse(text, Style::Glob, false))?,
            Token::Symbol("=~") => {
                let at = self.at;
                let text = self.text()?;
                let regex = self.cost.regex(&text);
                Test::Regex(regex.map_err(|problem| FilterError { at, problem })?)
            }
            Token::Word(word) => return self.word_comparison(source, word, at),
            _ => return Err(FilterError { at, problem: FilterProblem::Expected("an operator") }),
        };
        Ok(Term { source, rule: self.rule, test })
    }

    fn word_comparison(&mut self, source: Source, word: &str, at: usize) -> Parsed<Term> {
        let test = match word.to_ascii_lowercase().as_str() {
            "in" => Test::In(self.values()?),
            "not" if self.skip_word("in")? => Test::NotIn(self.values()?),
            "not" => return self.fail(FilterProblem::Expected("`in`")),
            "between" => self.between()?,
            "exists" => Test::Exists,
            "is" => {
                let is_there = self.skip_word("not")?;
                if !self.skip_word("null")? {
                    return self.fail(FilterProblem::Expected("`null`"));
                }
                if is_there { Test::NotIn(Vec::new()) } else { Test::Null }
            }
            "like" => self.pattern(|text| Wildcard::parse(text, Style::Sql, false))?,
            "ilike" => self.pattern(|text| Wildcard::parse(text, Style::Sql, true))?,
            "contains" => self.pattern(|text| Wildcard::contains(text, false))?,
            "icontains" => self.pattern(|text| Wildcard::contains(text, true))?,
            "prefix" => self.pattern(Wildcard::prefix)?,
            "suffix" => self.pattern(Wildcard::suffix)?,
            _ => return Err(FilterError { at, problem: FilterProblem::UnknownOperator }),
        };
        Ok(Term { source, rule: self.rule, test })
    }

    fn pattern(
        &mut self,
        make: impl Fn(&str) -> Result<Wildcard, super::PatternTooLong>,
    ) -> Parsed<Test> {
        let at = self.at;
        let text = self.text()?;
        make(&text).map(Test::Like).map_err(|error| FilterError { at, problem: error.into() })
    }

    fn between(&mut self) -> Parsed<Test> {
        let low_open = self.skip(">")?;
        if !low_open {
            self.skip(">=")?;
        }
        let low = self.end_of_range(None)?;
        if !self.skip_word("and")? {
            return self.fail(FilterProblem::Expected("`and`"));
        }
        let high_open = self.skip("<")?;
        if !high_open {
            self.skip("<=")?;
        }
        let high = self.end_of_range(Some(&low))?;
        let low = Edge { value: low, inclusive: !low_open };
        let high = Edge { value: high, inclusive: !high_open };
        Ok(Test::Range(Range { low: Some(low), high: Some(high) }))
    }

    /// A number or a text; if the range has another end, of the same type.
    fn end_of_range(&mut self, other: Option<&Scalar>) -> Parsed<Scalar> {
        let at = self.at;
        let value = self.value()?;
        if is_end_of_range(&value, other) {
            Ok(value)
        } else {
            Err(FilterError { at, problem: FilterProblem::Edge })
        }
    }

    fn source(&mut self) -> Parsed<Source> {
        if let Token::Dollar(name) = self.token {
            let source = match name {
                "topic" => Source::Topic,
                "key" => Source::Key,
                "op" => Source::Op,
                _ => return self.fail(FilterProblem::UnknownSource),
            };
            self.advance()?;
            return Ok(source);
        }
        if !self.calls("first") {
            return self.path().map(Source::Field);
        }
        self.advance()?;
        self.advance()?;
        let mut paths = vec![self.path()?];
        while self.skip(",")? {
            if paths.len() == FILTER_FIRST_MAX {
                return self.fail(FilterProblem::FirstTooLong);
            }
            paths.push(self.path()?);
        }
        self.expect(")", "a closing parenthesis")?;
        Ok(Source::First(paths.into()))
    }

    fn path(&mut self) -> Parsed<FieldPath> {
        let is_whole = self.calls("whole");
        if is_whole {
            self.advance()?;
            self.advance()?;
        }
        let at = self.at;
        let mut steps = vec![self.step()?];
        while self.skip(".")? {
            steps.push(self.step()?);
        }
        if is_whole {
            self.expect(")", "a closing parenthesis")?;
        }
        let arrays = if is_whole { Arrays::Whole } else { Arrays::Through };
        FieldPath::new(&steps, arrays).map_err(|error| FilterError { at, problem: error.into() })
    }

    fn step(&mut self) -> Parsed<String> {
        match &self.token {
            Token::Word(_) | Token::Name(_) => {}
            _ => return self.fail(FilterProblem::Expected("the name of a field")),
        }
        match self.advance()? {
            Token::Word(word) => Ok(word.to_owned()),
            Token::Name(name) => Ok(name),
            _ => unreachable!("looked at above"),
        }
    }

    fn values(&mut self) -> Parsed<Vec<Scalar>> {
        self.expect("(", "an opening parenthesis")?;
        let mut values = Vec::new();
        while !self.skip(")")? {
            if !values.is_empty() {
                self.expect(",", "a comma or a closing parenthesis")?;
            }
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn value(&mut self) -> Parsed<Scalar> {
        let at = self.at;
        Ok(match self.advance()? {
            Token::Number(text) => {
                Scalar::Number(Number::parse(text).unwrap_or_else(|| Number::from_i64(0)))
            }
            Token::Text(text) => Scalar::Text(Arc::from(text)),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Scalar::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Scalar::Bool(false),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => {
                if !self.rule.knows_null() {
                    return Err(FilterError { at, problem: FilterProblem::Null });
                }
                Scalar::Null
            }
            Token::Word(word) if word.eq_ignore_ascii_case("json") => {
                let at = self.at;
                let text = self.text()?;
                let fault = |error: crate::event::json::JsonError| FilterError {
                    at,
                    problem: FilterProblem::Json(error.problem),
                };
                Scalar::Json(Arc::from(
                    canonical_json(&text, &mut Scratch::default()).map_err(fault)?,
                ))
            }
            Token::Word(word) => {
                return Err(FilterError { at, problem: FilterProblem::Unquoted(Box::from(word)) });
            }
            _ => return Err(FilterError { at, problem: FilterProblem::Expected("a value") }),
        })
    }

    fn text(&mut self) -> Parsed<String> {
        if !matches!(self.token, Token::Text(_)) {
            return self.fail(FilterProblem::Expected("a text in quotes"));
        }
        match self.advance()? {
            Token::Text(text) => Ok(text),
            _ => unreachable!("looked at above"),
        }
    }

    fn within(&mut self) -> Parsed<Term> {
        self.advance()?;
        self.advance()?;
        let source = self.source()?;
        self.expect(",", "a comma")?;
        let longitude = self.source()?;
        self.expect(",", "a comma")?;
        let at = self.at;
        let shapes = ["box", "circle", "polygon"];
        let shape = shapes.into_iter().find(|shape| self.calls(shape));
        if shape.is_some() {
            self.advance()?;
            self.advance()?;
        }
        let area = match shape {
            Some("box") => {
                let southwest = self.place(",")?;
                self.expect(",", "a comma")?;
                let northeast = self.place(",")?;
                Area::rectangle(southwest, northeast)
            }
            Some("circle") => {
                let centre = self.place(",")?;
                self.expect(",", "a comma")?;
                Area::circle(centre, self.length()?)
            }
            Some("polygon") => {
                let mut points = vec![self.place("")?];
                while self.skip(",")? {
                    points.push(self.place("")?);
                }
                Area::polygon(&points)
            }
            _ => return self.fail(FilterProblem::Expected("`box(`, `circle(` or `polygon(`")),
        };
        self.expect(")", "a closing parenthesis")?;
        self.expect(")", "a closing parenthesis")?;
        let area = area.map_err(|error| FilterError { at, problem: error.into() })?;
        Ok(Term { source, rule: self.rule, test: Test::Within { longitude, area: Arc::new(area) } })
    }

    /// A latitude and a longitude, with `separator` (which may be nothing) between.
    fn place(&mut self, separator: &'static str) -> Parsed<GeoPoint> {
        let at = self.at;
        let latitude = self.number()?;
        if !separator.is_empty() {
            self.expect(separator, "a comma")?;
        }
        let longitude = self.number()?;
        GeoPoint::new(latitude, longitude)
            .map_err(|error| FilterError { at, problem: error.into() })
    }

    /// A length in metres; without a unit it is that.
    fn length(&mut self) -> Parsed<f64> {
        let number = self.number()?;
        let Token::Word(unit) = self.token else { return Ok(number) };
        let metres = match unit.to_ascii_lowercase().as_str() {
            "m" => 1.0,
            "km" => 1000.0,
            //= nist-sp-811#B.8
            //# mile ... 1.609 344 E+03; mile, nautical ... 1.852 E+03
            "mi" => 1609.344,
            "nm" | "nmi" => 1852.0,
            _ => return self.fail(FilterProblem::UnknownUnit),
        };
        self.advance()?;
        Ok(number * metres)
    }

    fn number(&mut self) -> Parsed<f64> {
        let Token::Number(text) = self.token else {
            return self.fail(FilterProblem::Expected("a number"));
        };
        self.advance()?;
        Ok(Number::parse(text).map(Number::to_f64).unwrap_or_default())
    }

    /// The word that stands here, if a parenthesis follows it.
    fn call(&self) -> Option<&'a str> {
        match self.token {
            Token::Word(word) if self.lexer.rest().trim_start().starts_with('(') => Some(word),
            _ => None,
        }
    }

    /// Whether this word stands here, and a parenthesis follows it.
    fn calls(&self, word: &str) -> bool {
        self.call().is_some_and(|called| called.eq_ignore_ascii_case(word))
    }

    fn advance(&mut self) -> Parsed<Token<'a>> {
        let (at, token) = self.lexer.next_token()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn skip(&mut self, symbol: &'static str) -> Parsed<bool> {
        let fits = self.token == Token::Symbol(symbol);
        if fits {
            self.advance()?;
        }
        Ok(fits)
    }

    fn skip_word(&mut self, word: &str) -> Parsed<bool> {
        let fits = matches!(self.token, Token::Word(token) if token.eq_ignore_ascii_case(word));
        if fits {
            self.advance()?;
        }
        Ok(fits)
    }

    fn expect(&mut self, symbol: &'static str, what: &'static str) -> Parsed<()> {
        if self.skip(symbol)? { Ok(()) } else { self.fail(FilterProblem::Expected(what)) }
    }

    fn end<T>(&self, value: T) -> Parsed<T> {
        if self.token == Token::End {
            Ok(value)
        } else {
            self.fail(FilterProblem::Expected("`and`, `or` or the end"))
        }
    }

    const fn fail<T>(&self, problem: FilterProblem) -> Parsed<T> {
        Err(FilterError { at: self.at, problem })
    }
}
