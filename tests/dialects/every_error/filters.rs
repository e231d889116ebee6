//! Filters that are none: each with the text that says why, and at which byte.

use fanwire::matcher::Filter;

use super::Wrong;

/// Filters, and what is wrong with each.
const FILTERS: &[(&str, &str)] = &[
    ("a = \"\\x\"", "a backslash escape that does not exist at byte 5, counted from 0"),
    ("a = 'x", "a quote is not closed at byte 4, counted from 0"),
    ("within(a, b, box(1, 181, 2, 3))", "a longitude is from -180 to 180"),
    (
        "within(a, b, box(5, 1, 2, 3))",
        "a box is written south, west, north, east: its south lies above its north",
    ),
    ("within(a, b, circle(5, 1, 30000 km))", "a radius is from 0 to 20015 km"),
    ("within(a, b, polygon(80 0, 80 120, 80 240))", "a longitude is from -180 to 180"),
    (
        "within(a, b, polygon(80 0, 80 120, 80 -120))",
        "a polygon cannot wind around a pole: use `circle`, or lead its edge along -180 and 180 to the pole",
    ),
    (
        "within(a, b, polygon(1 1, 2 2, 3 3))",
        "a polygon whose points lie on one line has no inside",
    ),
    (r#"{"eq":["",1]}"#, "is expected"),
    ("a in 5", "an opening parenthesis is expected"),
    ("first a", "no such operator"),
    ("a in (1 2)", "a comma or a closing parenthesis is expected"),
    (r#"{"eq":"a"}"#, "an array of operands is expected"),
    (r#"{"range":["a","=",1,"<",2]}"#, "`\">\"` or `\">=\"` is expected"),
    (r#"{"range":["a",">",1,"=",2]}"#, "`\"<\"` or `\"<=\"` is expected"),
    (r#"{"within":["a","b",5]}"#, "an object with `box`, `circle` or `polygon` is expected"),
    (r#"{"within":["a","b",{"square":[1]}]}"#, "`box`, `circle` or `polygon` is expected"),
    (r#"{"within":["a","b",{"box":[1,2,3,4],"x":1}]}"#, "the end of the area is expected"),
    (r#"{"within":["a","b",{"box":7}]}"#, "an array of numbers is expected"),
    (r#"{"within":["a","b",{"box":[1,2,3,4,5]}]}"#, "the end of the numbers is expected"),
];

fn refused(filter: &str) -> String {
    Filter::parse(filter).map_or_else(|error| error.to_string(), |_| "it is taken".to_owned())
}

#[test]
fn filters_that_are_none() {
    let mut wrong = Wrong::default();
    for (filter, message) in FILTERS {
        let refused = refused(filter);
        wrong.hold(refused.contains(message), &format!("{message} ({filter})"), &refused);
    }
    wrong.none();
}

#[test]
fn filters_that_are_too_much() {
    let mut wrong = Wrong::default();
    let of = |test: &str, between: &str, count: usize| vec![test; count].join(between);
    let numbers = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let firsts: Vec<String> = (0..33)
        .map(|n| {
            format!(
                "first({}) = 1",
                (0..8).map(|m| format!("f{n}_{m}")).collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    for (filter, message) in [
        (firsts.join(" or "), "filter reads 264 fields; at most 256 are allowed"),
        (
            format!("a = '{}'", "x".repeat(16_400)),
            "filter has 16406 bytes; at most 16384 are allowed at byte 16384, counted from 0",
        ),
        (
            format!("{}a = 1{}", "(".repeat(40), ")".repeat(40)),
            "filter is nested deeper than 32 levels at byte",
        ),
        (of("a = 1", " or ", 257), "filter has 257 tests; at most 256 are allowed"),
        (format!("a in ({})", numbers(1025)), "list has 1025 values; at most 1024 are allowed"),
        (of("a =~ 'x'", " or ", 9), "filter has 9 regular expressions; at most 8 are allowed"),
        (format!("`{}` = 1", "x".repeat(256)), "path has 256 bytes; at most 255 are allowed"),
        (format!("{} = 1", of("a", ".", 17)), "path has 17 steps; at most 16 are allowed"),
        (format!("a =~ '{}'", of("(\\w{9})", "", 4)), "regular expression"),
    ] {
        let refused = refused(&filter);
        wrong.hold(refused.contains(message), &format!("{message} ({filter:.60})"), &refused);
    }
    wrong.none();
}
