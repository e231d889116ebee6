//! A filter in its one form, written in either notation so that it reads back as an equal one.

use std::fmt::Write;

use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::json;
use crate::matcher::filter::Area;
use crate::matcher::filter::Edge;
use crate::matcher::filter::Expr;
use crate::matcher::filter::GeoPoint;
use crate::matcher::filter::Literal;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Shape;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::matcher::filter::lexer;
use crate::matcher::filter::notation_text::rule_word;

/// In the short text notation.
pub(super) fn to_text(expr: &Expr) -> String {
    let mut out = String::new();
    push_expr(expr, false, &mut out);
    out
}

fn push_expr(expr: &Expr, is_inner: bool, out: &mut String) {
    let (members, word) = match expr {
        Expr::Constant(value) => return out.push_str(if *value { "true" } else { "false" }),
        Expr::Literal(literal) => return push_literal(literal, out),
        Expr::And(members) => (members, " and "),
        Expr::Or(members) => (members, " or "),
    };
    if is_inner {
        out.push('(');
    }
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.push_str(word);
        }
        push_expr(member, true, out);
    }
    if is_inner {
        out.push(')');
    }
}

fn push_literal(literal: &Literal, out: &mut String) {
    let Term { source, rule, test } = &*literal.term;
    if literal.negated {
        out.push_str("not (");
    }
    if *rule != Rule::Native {
        out.push_str(rule_word(*rule));
        out.push('(');
    }
    if let Test::Within { longitude, area } = test {
        out.push_str("within(");
        push_source(source, out);
        out.push_str(", ");
        push_source(longitude, out);
        out.push_str(", ");
        push_area(area, out);
        out.push(')');
    } else {
        push_source(source, out);
        push_test(test, out);
    }
    if *rule != Rule::Native {
        out.push(')');
    }
    if literal.negated {
        out.push(')');
    }
}

fn push_test(test: &Test, out: &mut String) {
    match test {
        Test::In(list) => match list.as_slice() {
            [one] => push_compared(" = ", one, out),
            list => push_list(" in ", list, out),
        },
        Test::NotIn(list) => match list.as_slice() {
            [] => out.push_str(" is not null"),
            [one] => push_compared(" != ", one, out),
            list => push_list(" not in ", list, out),
        },
        Test::Range(Range { low: Some(low), high: Some(high) }) => {
            push_compared(if low.inclusive { " between " } else { " between > " }, &low.value, out);
            push_compared(if high.inclusive { " and " } else { " and < " }, &high.value, out);
        }
        Test::Range(Range { low, high }) => {
            if let Some(Edge { value, inclusive }) = low {
                push_compared(if *inclusive { " >= " } else { " > " }, value, out);
            }
            if let Some(Edge { value, inclusive }) = high {
                push_compared(if *inclusive { " <= " } else { " < " }, value, out);
            }
        }
        Test::Like(pattern) => {
            out.push_str(if pattern.is_folded() { " ilike " } else { " like " });
            json::push_string(&pattern.to_sql(), out);
        }
        Test::Regex(regex) => {
            out.push_str(" =~ ");
            json::push_string(regex.as_str(), out);
        }
        Test::Exists => out.push_str(" exists"),
        Test::Null => out.push_str(" is null"),
        Test::Within { .. } => unreachable!("written as a call"),
    }
}

fn push_compared(operator: &str, value: &Scalar, out: &mut String) {
    out.push_str(operator);
    push_scalar(value, out);
}

fn push_list(operator: &str, list: &[Scalar], out: &mut String) {
    out.push_str(operator);
    for (place, value) in list.iter().enumerate() {
        out.push_str(if place == 0 { "(" } else { ", " });
        push_scalar(value, out);
    }
    out.push(')');
}

fn push_scalar(value: &Scalar, out: &mut String) {
    match value {
        Scalar::Null => out.push_str("null"),
        Scalar::Bool(value) => push(out, value),
        Scalar::Number(number) => push(out, number),
        Scalar::Text(text) => json::push_string(text, out),
        Scalar::Json(text) => {
            out.push_str("json ");
            json::push_string(text, out);
        }
    }
}

fn push_source(source: &Source, out: &mut String) {
    match source {
        Source::Topic => out.push_str("$topic"),
        Source::Name(_) => out.push_str("$name"),
        Source::Key => out.push_str("$key"),
        Source::Op => out.push_str("$op"),
        Source::Field(path) => push_path(path, out),
        Source::First(paths) => {
            for (place, path) in paths.iter().enumerate() {
                out.push_str(if place == 0 { "first(" } else { ", " });
                push_path(path, out);
            }
            out.push(')');
        }
    }
}

fn push_path(path: &FieldPath, out: &mut String) {
    if path.arrays() == Arrays::Whole {
        out.push_str("whole(");
    }
    for (place, step) in path.steps().iter().enumerate() {
        if place > 0 {
            out.push('.');
        }
        let is_word =
            step.starts_with(lexer::is_word_start) && step.chars().all(lexer::is_word_part);
        let is_keyword =
            ["not", "true", "false"].iter().any(|word| step.eq_ignore_ascii_case(word));
        if is_word && !is_keyword {
            out.push_str(step);
        } else {
            out.push('`');
            out.push_str(&step.replace('`', "``"));
            out.push('`');
        }
    }
    if path.arrays() == Arrays::Whole {
        out.push(')');
    }
}

fn push_area(area: &Area, out: &mut String) {
    match area.shape() {
        Shape::Box { southwest: sw, northeast: ne } => {
            push(
                out,
                &format_args!(
                    "box({}, {}, {}, {})",
                    sw.latitude, sw.longitude, ne.latitude, ne.longitude
                ),
            );
        }
        Shape::Circle { centre, metres } => {
            push(
                out,
                &format_args!("circle({}, {}, {metres}m)", centre.latitude, centre.longitude),
            );
        }
        Shape::Polygon(points) => {
            for (place, GeoPoint { latitude, longitude }) in points.iter().enumerate() {
                push(
                    out,
                    &format_args!(
                        "{}{latitude} {longitude}",
                        if place == 0 { "polygon(" } else { ", " }
                    ),
                );
            }
            out.push(')');
        }
    }
}

/// In the JSON notation.
pub(super) fn to_json(expr: &Expr) -> String {
    let mut out = String::new();
    push_json(expr, &mut out);
    out
}

fn push_json(expr: &Expr, out: &mut String) {
    let (members, word) = match expr {
        Expr::Constant(value) => {
            return out.push_str(if *value { "{\"and\":[]}" } else { "{\"or\":[]}" });
        }
        Expr::Literal(literal) => return push_json_literal(literal, out),
        Expr::And(members) => (members, "and"),
        Expr::Or(members) => (members, "or"),
    };
    push(out, &format_args!("{{\"{word}\":["));
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        push_json(member, out);
    }
    out.push_str("]}");
}

fn push_json_literal(literal: &Literal, out: &mut String) {
    let Term { source, rule, test } = &*literal.term;
    if literal.negated {
        out.push_str("{\"not\":");
    }
    if *rule != Rule::Native {
        push(out, &format_args!("{{\"{}\":", rule_word(*rule)));
    }
    let mut operands = String::new();
    let mut name = String::new();
    push_source(source, &mut name);
    json::push_string(&name, &mut operands);
    let (operator, is_alone) = match test {
        Test::Exists => ("exists", true),
        Test::Null => ("null", true),
        Test::NotIn(list) if list.is_empty() => ("known", true),
        test => (push_json_operands(test, &mut operands), false),
    };
    if is_alone {
        push(out, &format_args!("{{\"{operator}\":{operands}}}"));
    } else {
        push(out, &format_args!("{{\"{operator}\":[{operands}]}}"));
    }
    if *rule != Rule::Native {
        out.push('}');
    }
    if literal.negated {
        out.push('}');
    }
}

/// Writes what follows the source; answers the operator.
fn push_json_operands(test: &Test, out: &mut String) -> &'static str {
    match test {
        Test::In(list) => push_json_values("eq", "in", list, out),
        Test::NotIn(list) => push_json_values("ne", "not_in", list, out),
        Test::Range(Range { low: Some(low), high: Some(high) }) => {
            out.push_str(if low.inclusive { ",\">=\"," } else { ",\">\"," });
            push_json_scalar(&low.value, out);
            out.push_str(if high.inclusive { ",\"<=\"," } else { ",\"<\"," });
            push_json_scalar(&high.value, out);
            "range"
        }
        Test::Range(Range { low: Some(edge), .. }) => {
            out.push(',');
            push_json_scalar(&edge.value, out);
            if edge.inclusive { "ge" } else { "gt" }
        }
        Test::Range(Range { high, .. }) => {
            let edge = high.as_ref().expect("a range has an edge");
            out.push(',');
            push_json_scalar(&edge.value, out);
            if edge.inclusive { "le" } else { "lt" }
        }
        Test::Like(pattern) => {
            out.push(',');
            json::push_string(&pattern.to_sql(), out);
            if pattern.is_folded() { "ilike" } else { "like" }
        }
        Test::Regex(regex) => {
            out.push(',');
            json::push_string(regex.as_str(), out);
            "regex"
        }
        Test::Within { longitude, area } => {
            let mut name = String::new();
            push_source(longitude, &mut name);
            out.push(',');
            json::push_string(&name, out);
            out.push(',');
            push_json_area(area, out);
            "within"
        }
        Test::Exists | Test::Null => unreachable!("written without operands"),
    }
}

fn push_json_values(
    one: &'static str,
    many: &'static str,
    list: &[Scalar],
    out: &mut String,
) -> &'static str {
    out.push(',');
    if let [value] = list {
        push_json_scalar(value, out);
        return one;
    }
    for (place, value) in list.iter().enumerate() {
        out.push(if place == 0 { '[' } else { ',' });
        push_json_scalar(value, out);
    }
    out.push(']');
    many
}

fn push_json_scalar(value: &Scalar, out: &mut String) {
    if let Scalar::Json(text) = value { out.push_str(text) } else { push_scalar(value, out) }
}

fn push_json_area(area: &Area, out: &mut String) {
    match area.shape() {
        Shape::Box { southwest: sw, northeast: ne } => {
            let (south, west, north, east) = (sw.latitude, sw.longitude, ne.latitude, ne.longitude);
            push(out, &format_args!("{{\"box\":[{south},{west},{north},{east}]}}"));
        }
        Shape::Circle { centre, metres } => {
            push(
                out,
                &format_args!("{{\"circle\":[{},{},{metres}]}}", centre.latitude, centre.longitude),
            );
        }
        Shape::Polygon(points) => {
            out.push_str("{\"polygon\":");
            for (place, GeoPoint { latitude, longitude }) in points.iter().enumerate() {
                push(
                    out,
                    &format_args!("{}[{latitude},{longitude}]", if place == 0 { "[" } else { "," }),
                );
            }
            out.push_str("]}");
        }
    }
}

fn push(out: &mut String, what: &impl std::fmt::Display) {
    write!(out, "{what}").expect("a String takes every write");
}
