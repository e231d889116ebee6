//! Filters: which events a subscriber wants, by what is in them.
//!
//! A filter is made from a text, from JSON or from a dialect's own tree of tests, is put in its one form, and from then on is never
//! changed and cheap to clone. Equal filters, however written, are equal and hash alike. Invariant: it reads at most
//! `FILTER_TERMS_MAX` tests and cannot fail on any event. `docs/FILTERS.md` says what each test means.

mod canonical;
mod cost;
mod error;
mod explain;
mod fold;
mod geo;
mod glance;
mod lexer;
mod notation_json;
mod notation_text;
mod polygon;
mod predicate;
mod print;
mod regex;
mod regex_size;
mod rules;
mod search;
mod weight;
mod wildcard;
mod work;

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::event::Event;
use crate::event::FieldPath;
use crate::event::Interest;
use crate::event::TopicName;
use crate::event::fields;
use crate::event::fields::Scratch;
use crate::event::fields::Value;
use crate::event::json;
use crate::event::json::Reader;
use crate::event::json::Token;
use crate::event::opaque;
use crate::limits::FILTER_DEPTH_MAX;
use crate::limits::FILTER_PATHS_MAX;

pub(super) use canonical::Expr;
pub(super) use canonical::Literal;
use cost::Cost;
pub use error::FilterError;
pub use error::FilterProblem;
pub use explain::Explained;
pub use geo::Area;
pub use geo::AreaError;
pub use geo::Bounds;
pub use geo::GeoPoint;
pub use geo::Shape;
pub(super) use geo::chord_squared;
pub(super) use geo::is_place;
pub(super) use geo::on_unit_sphere;
use glance::Glance;
pub use predicate::Edge;
pub use predicate::Predicate;
pub use predicate::Range;
pub use predicate::Rule;
pub use predicate::Scalar;
pub use predicate::Source;
pub use predicate::Term;
pub use predicate::Test;
pub use regex::Regex;
pub(super) use rules::Values;
pub(super) use rules::text_form;
pub use wildcard::PatternTooLong;
pub use wildcard::Piece;
pub use wildcard::Style;
pub use wildcard::Wildcard;
pub(super) use work::Work;

/// A condition on events, in its one form. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    expr: Expr,
    /// What the tests read, sorted, each once.
    sources: Box<[Source]>,
    hash: u64,
    cost: u64,
    making_steps: u64,
    /// The fields that the tests read, made when first looked for: most filters only ever live in an index.
    interest: OnceLock<Interest>,
    /// What tells of most payloads that they do not pass, made likewise, if there is something.
    glance: OnceLock<Option<Glance>>,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.expr == other.0.expr)
    }
}

impl Eq for Filter {}

impl Hash for Filter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl Filter {
    /// The filter that a predicate describes.
    ///
    /// # Errors
    /// If it is larger or dearer than the limits allow, or holds a test that makes no sense.
    pub fn new(predicate: &Predicate) -> Result<Self, FilterProblem> {
        let mut cost = Cost::default();
        cost.add_all(predicate)?;
        let filter = Self::of_expr(canonical::canonical(predicate, FILTER_DEPTH_MAX)?, &cost);
        let count = filter.paths().count();
        if count > FILTER_PATHS_MAX {
            Err(FilterProblem::TooManyPaths { count })
        } else {
            Ok(filter)
        }
    }

    /// The steps that it takes for an event in which every field that it reads is a text of 1 KiB, as it was written.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.0.cost
    }

    /// The steps that making it took: compiling its expressions, above all.
    #[must_use]
    pub fn making_steps(&self) -> u64 {
        self.0.making_steps
    }

    /// Reads the short text notation: `altitude < 10000 and callsign ~ "SWR*"`.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn parse_text(text: &str) -> Result<Self, FilterError> {
        let predicate = notation_text::parse(text)?;
        Self::new(&predicate).map_err(|problem| FilterError { at: 0, problem })
    }

    /// Reads the JSON notation: `{"and":[{"lt":["altitude",10000]},{"glob":["callsign","SWR*"]}]}`.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn parse_json(text: &str) -> Result<Self, FilterError> {
        let predicate = notation_json::parse(text)?;
        Self::new(&predicate).map_err(|problem| FilterError { at: 0, problem })
    }

    /// Reads either notation as a person writes it: JSON if it begins like an object.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.trim_start().starts_with('{') {
            Self::parse_json(text)
        } else {
            Self::parse_text(text)
        }
    }

    /// Reads either notation as it stands in JSON: a string is the text notation, an object the other.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte: of the text that the string stands for, or of the object.
    pub fn parse_value(value: &str) -> Result<Self, FilterError> {
        if value.trim_start().starts_with('"') {
            match Reader::new(value).next_token()? {
                Some((_, Token::Text(text))) => Self::parse_text(&json::unescaped(text)),
                _ => Self::parse_json(value),
            }
        } else {
            Self::parse_json(value)
        }
    }

    /// The predicate in its one form.
    #[must_use]
    pub fn to_predicate(&self) -> Predicate {
        predicate_of(&self.0.expr)
    }

    /// In the JSON notation. The text notation is what `Display` writes.
    #[must_use]
    pub fn to_json(&self) -> String {
        print::to_json(&self.0.expr)
    }

    /// Whether `event` passes. For an event now and then: for many filters at once there is the matcher.
    #[must_use]
    pub fn evaluate(&self, event: &Event) -> bool {
        self.evaluate_with(event, &mut Scratch::default())
    }

    /// As [`Filter::evaluate`], with memory that is kept from one event to the next.
    #[must_use]
    pub fn evaluate_with(&self, event: &Event, scratch: &mut Scratch) -> bool {
        self.ask(event, scratch).passes
    }

    /// As [`Filter::evaluate_with`], with what it took.
    #[must_use]
    pub fn ask(&self, event: &Event, scratch: &mut Scratch) -> Evaluated {
        let work = Work::default();
        let passes = self.evaluate_working(event, scratch, &work);
        Evaluated { passes, steps: work.steps(), is_spent: work.is_spent() }
    }

    fn evaluate_working(&self, event: &Event, scratch: &mut Scratch, work: &Work) -> bool {
        if self.reads_payload() && opaque::is_opaque(&event.payload) {
            return false;
        }
        if let Some(known) = event.fields.sought().interest()
            && self.paths().all(|path| known.paths().binary_search(path).is_ok())
        {
            return self.evaluate_fields(event, known.paths(), &event.fields, work);
        }
        work.take(event.payload.len());
        let glance = self.0.glance.get_or_init(|| Glance::of(&self.0.expr)).as_ref();
        if glance.is_some_and(|glance| glance.refuses(&event.payload, work)) {
            return false;
        }
        let interest = self.0.interest.get_or_init(|| Interest::of(self.paths()));
        // A payload was checked before it became an event; one that was not passes for an empty one.
        let found = fields::extract(&event.payload, scratch, interest).unwrap_or_default();
        self.evaluate_fields(event, interest.paths(), &found, work)
    }

    /// `paths` are those that `found` was looked for by.
    fn evaluate_fields(
        &self,
        event: &Event,
        paths: &[FieldPath],
        found: &fields::Fields,
        work: &Work,
    ) -> bool {
        let of_path = |path: &FieldPath| {
            paths.binary_search(path).into_iter().flat_map(|place| found.of(place))
        };
        let names = self.0.sources.iter().filter_map(|source| source.name_of(&event.topic));
        let names: Vec<Cow<'_, str>> = names.collect();
        let mut unread_names = names.iter();
        let mut values: Vec<Value<'_>> = Vec::new();
        let mut spans: Vec<SourceSpan> = Vec::new();
        for source in &self.0.sources {
            let start = values.len();
            match source {
                Source::Topic => values.push(Value::Text(event.topic.as_str())),
                Source::Name(_) => {
                    values.extend(unread_names.next().map(|name| Value::Text(name)));
                }
                Source::Key if event.key.is_empty() => {}
                Source::Key => values.push(Value::Text(&event.key)),
                Source::Op => values.push(Value::Text(event.op.name())),
                Source::Field(path) => values.extend(of_path(path)),
                Source::First(paths) => {
                    let first = paths.iter().find(|path| of_path(path).next().is_some());
                    values.extend(first.into_iter().flat_map(of_path));
                }
            }
            spans.push(SourceSpan { start, end: values.len() });
        }
        let of_source = |source| {
            let span = spans.get(usize::from(source)).copied().unwrap_or_default();
            let list = values.get(span.start..span.end).unwrap_or_default();
            Values { list, first: span.start }
        };
        holds(&self.0.expr, &of_source, work)
    }

    pub(super) fn expr(&self) -> &Expr {
        &self.0.expr
    }

    /// What the tests read, sorted, each once.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.0.sources
    }

    /// The fields that the tests read.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        self.0.sources.iter().flat_map(Source::paths)
    }

    /// Whether the filter looks into payloads: then no payload that is bytes passes, whatever it asks.
    #[must_use]
    pub fn reads_payload(&self) -> bool {
        self.paths().next().is_some()
    }

    fn of_expr(mut expr: Expr, cost: &Cost) -> Self {
        let mut sources = Vec::new();
        collect_sources(&expr, &mut sources);
        sources.sort_unstable();
        sources.dedup();
        place_sources(&mut expr, &sources);
        let hash = foldhash::fast::FixedState::default().hash_one(&expr);
        Self(Arc::new(Inner {
            expr,
            sources: sources.into_boxed_slice(),
            hash,
            cost: cost.steps(),
            making_steps: cost.making_steps(),
            interest: OnceLock::new(),
            glance: OnceLock::new(),
        }))
    }
}

/// What became of asking a filter about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluated {
    pub passes: bool,
    /// The steps that it took.
    pub steps: u64,
    /// The filter took more steps than it may for one event, and so it is not known whether the event passes.
    pub is_spent: bool,
}

/// Where the values of a source stand in a list of all.
#[derive(Clone, Copy, Debug, Default)]
struct SourceSpan {
    start: usize,
    end: usize,
}

impl Source {
    /// The fields that it reads.
    pub fn paths(&self) -> impl Iterator<Item = &FieldPath> {
        match self {
            Self::Field(path) => std::slice::from_ref(path),
            Self::First(paths) => paths,
            Self::Topic | Self::Name(_) | Self::Key | Self::Op => &[],
        }
        .iter()
    }

    /// What the source calls the topic, if that is what it reads.
    pub(in crate::matcher) fn name_of<'t>(&'t self, topic: &'t TopicName) -> Option<Cow<'t, str>> {
        match self {
            Self::Name(naming) => Some(naming.name_of(topic)),
            _ => None,
        }
    }
}

/// Whether an event with these values by source passes. A filter that takes more than it may passes nothing.
pub(super) fn holds<'a>(expr: &Expr, values: &impl Fn(u16) -> Values<'a>, work: &Work) -> bool {
    match expr {
        Expr::Constant(value) => *value,
        Expr::Literal(literal) => {
            let Literal { term, negated, source, other } = literal;
            let wanted = if *negated { rules::Truth::False } else { rules::Truth::True };
            let (values, others) = (values(*source), values(*other));
            rules::answer(term.rule, &term.test, values, others, work) == wanted
        }
        Expr::And(members) => members.iter().all(|member| holds(member, values, work)),
        Expr::Or(members) => members.iter().any(|member| holds(member, values, work)),
    }
}

fn predicate_of(expr: &Expr) -> Predicate {
    match expr {
        Expr::Constant(true) => Predicate::all(),
        Expr::Constant(false) => Predicate::none(),
        Expr::Literal(literal) => {
            let test = Predicate::Test((*literal.term).clone());
            if literal.negated { test.negated() } else { test }
        }
        Expr::And(members) => Predicate::And(members.iter().map(predicate_of).collect()),
        Expr::Or(members) => Predicate::Or(members.iter().map(predicate_of).collect()),
    }
}

fn collect_sources(expr: &Expr, out: &mut Vec<Source>) {
    match expr {
        Expr::Constant(_) => {}
        Expr::Literal(literal) => {
            out.push(literal.term.source.clone());
            if let Test::Within { longitude, .. } = &literal.term.test {
                out.push(longitude.clone());
            }
        }
        Expr::And(members) | Expr::Or(members) => {
            members.iter().for_each(|member| collect_sources(member, out));
        }
    }
}

fn place_sources(expr: &mut Expr, sources: &[Source]) {
    let place = |source: &Source| {
        let place = sources.binary_search(source).expect("every source was collected");
        u16::try_from(place).expect("a filter has few sources")
    };
    match expr {
        Expr::Constant(_) => {}
        Expr::Literal(literal) => {
            literal.source = place(&literal.term.source);
            literal.other = match &literal.term.test {
                Test::Within { longitude, .. } => place(longitude),
                _ => literal.source,
            };
        }
        Expr::And(members) | Expr::Or(members) => {
            members.iter_mut().for_each(|member| place_sources(member, sources));
        }
    }
}

/// The short text notation; it reads back as an equal filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::to_text(&self.0.expr))
    }
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests;
