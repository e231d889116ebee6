//! What holds of every filter: its one form means what was written, both notations read back as it, and no text makes a parser panic.

use super::*;
use crate::matcher::arbitrary::Arbitrary;

/// Evaluates a tree as it was written, for the one form to be held against. Answers of three values, by Kleene.
fn plainly(predicate: &Predicate, event: &Event) -> Option<bool> {
    let negation = |answer: Option<bool>| answer.map(|answer| !answer);
    match predicate {
        Predicate::Test(_) => {
            let is = |predicate: &Predicate| Filter::new(predicate).unwrap().evaluate(event);
            match (is(predicate), is(&predicate.clone().negated())) {
                (true, false) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
                (true, true) => panic!("a test and its opposite both hold: {predicate:?}"),
            }
        }
        Predicate::Not(inner) => negation(plainly(inner, event)),
        Predicate::And(members) => {
            let answers: Vec<Option<bool>> =
                members.iter().map(|member| plainly(member, event)).collect();
            let is_unknown = answers.contains(&None);
            if answers.contains(&Some(false)) { Some(false) } else { (!is_unknown).then_some(true) }
        }
        Predicate::Or(members) => negation(plainly(
            &Predicate::And(members.iter().map(|member| member.clone().negated()).collect()),
            event,
        )),
    }
}

#[test]
fn the_one_form_means_what_was_written_and_both_notations_read_back_as_it() {
    let seed = 0x5eed_0005_u64;
    let mut arbitrary = Arbitrary::with_seed(seed);
    let mut passed = 0;
    for round in 0..6000 {
        let predicate = arbitrary.predicate(3);
        let Ok(filter) = Filter::new(&predicate) else { continue };
        let context = format!("seed {seed:#x} round {round}: {filter}");
        assert_eq!(Filter::parse_text(&filter.to_string()).as_ref(), Ok(&filter), "{context}");
        assert_eq!(
            Filter::parse_json(&filter.to_json()).as_ref(),
            Ok(&filter),
            "{context} {}",
            filter.to_json()
        );
        assert_eq!(Filter::new(&filter.to_predicate()).as_ref(), Ok(&filter), "{context}");
        for _ in 0..4 {
            let event = arbitrary.event("a/b");
            let expected = plainly(&predicate, &event) == Some(true);
            let shown = String::from_utf8_lossy(&event.payload);
            assert_eq!(filter.evaluate(&event), expected, "{context}\n{predicate:?}\n{shown}");
            passed += usize::from(expected);
        }
    }
    assert!(passed > 3000, "{passed} of the events passed");
}

/// A look at the bytes refuses nothing that a parse would pass: with the fields found beforehand nothing is looked at.
#[test]
fn what_is_refused_at_a_glance_is_refused_by_a_parse() {
    let seed = 0x5eed_0007_u64;
    let mut arbitrary = Arbitrary::with_seed(seed);
    let (mut glanced, mut passed) = (0, 0);
    for round in 0..6000 {
        let Ok(filter) = Filter::new(&arbitrary.predicate(2)) else { continue };
        let Some(glance) = Glance::of(&filter.0.expr) else { continue };
        for _ in 0..8 {
            let mut event = arbitrary.event("a/b");
            event.payload = oddly_written(&event.payload, &mut arbitrary).into();
            let shown = String::from_utf8_lossy(&event.payload).into_owned();
            let context = format!("seed {seed:#x} round {round}: {filter}\n{shown}");
            let is_refused = glance.refuses(&event.payload, &Work::default());
            let unread = filter.evaluate(&event);
            let interest = Interest::of(filter.paths());
            event.fields =
                fields::extract(&event.payload, &mut Scratch::default(), &interest).unwrap();
            let passes = filter.evaluate(&event);
            assert_eq!(unread, passes, "{context}");
            assert!(!(is_refused && passes), "{context}");
            glanced += usize::from(is_refused);
            passed += usize::from(passes);
        }
    }
    assert!(glanced > 5000 && passed > 200, "{glanced} refused at a glance, {passed} passed");
}

/// The same object with space between its tokens, with names written by escapes, with another member in front, or again at its end.
fn oddly_written(payload: &[u8], arbitrary: &mut Arbitrary) -> String {
    let text = String::from_utf8(payload.to_vec()).unwrap();
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap();
    let comma = if inner.trim().is_empty() { "" } else { "," };
    match arbitrary.0.usize(0..7) {
        0 => text.replace(':', " \n:\t "),
        1 => text.replace("\"a\"", "\"\\u0061\""),
        2 => format!("{{\"z\":{{\"a\":1,\"kind\":\"ab\"}}{comma}{inner}}}"),
        3 => format!("{{{inner}{comma}\"a\":[1,{{\"b\":2}}]}}"),
        4 => format!("{{{inner}{comma}\"z\":\"a\",\"y\":[\"kind\",\"b\"]}}"),
        5 => format!("{{ \"a\" : 1 {comma}{inner}}}"),
        _ => text,
    }
}

/// No text makes a parser panic, and what it takes it prints so that it reads back.
#[test]
fn damaged_filters_are_taken_or_refused() {
    let seed = 0x5eed_0006_u64;
    let mut arbitrary = Arbitrary::with_seed(seed);
    for round in 0..6000 {
        let Ok(filter) = Filter::new(&arbitrary.predicate(2)) else { continue };
        let is_json = arbitrary.0.bool();
        let mut written: Vec<char> =
            if is_json { filter.to_json() } else { filter.to_string() }.chars().collect();
        for _ in 0..arbitrary.0.usize(1..4) {
            let at = arbitrary.0.usize(..written.len());
            let new = arbitrary.one_of(&[
                '(', ')', '"', '\'', '`', '\\', ' ', '.', '1', '-', 'n', '{', ']', ',', '$', 'é',
                '\0',
            ]);
            if arbitrary.0.bool() { written[at] = new } else { written.insert(at, new) }
        }
        let written: String = written.into_iter().collect();
        let read =
            if is_json { Filter::parse_json(&written) } else { Filter::parse_text(&written) };
        match read {
            Ok(filter) => {
                assert_eq!(
                    Filter::parse_text(&filter.to_string()),
                    Ok(filter),
                    "seed {seed:#x} round {round}: {written}"
                );
            }
            Err(error) => assert!(
                error.at <= written.len(),
                "seed {seed:#x} round {round}: {error}: {written}"
            ),
        }
    }
}
