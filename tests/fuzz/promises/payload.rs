//! A payload is refused with a place inside it, or the strict reader takes it too; what is found in it is alike whatever else is looked for.

use fanwire::event::Arrays;
use fanwire::event::FieldPath;
use fanwire::event::Interest;
use fanwire::event::fields;
use fanwire::event::fields::Scratch;
use fanwire::event::json::Reader;

/// Holds the checks to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let mut scratch = Scratch::default();
    let checked = fields::check_payload(input, &mut scratch);
    let path = |steps: &[&str], arrays| FieldPath::new(steps, arrays).expect("short");
    let one = [path(&["a"], Arrays::Through)];
    let three = [
        path(&["a"], Arrays::Through),
        path(&["a"], Arrays::Whole),
        path(&["a", "b"], Arrays::Through),
    ];
    let found = fields::extract(input, &mut scratch, &Interest::of(&one));
    let interest = Interest::of(&three);
    let among = fields::extract(input, &mut scratch, &interest);
    match checked {
        Err(error) => {
            assert!(error.at <= input.len(), "{error}");
            assert_eq!((found.err(), among.err()), (Some(error), Some(error)));
        }
        Ok(()) => {
            let mut reader =
                Reader::new(std::str::from_utf8(input).expect("what is JSON is UTF-8"));
            while reader.next_token().expect("both parsers take it").is_some() {}
            let (found, among) = (found.expect("checked"), among.expect("checked"));
            let place = interest.paths().binary_search(&one[0]).expect("looked for");
            assert!(found.of(0).eq(among.of(place)));
        }
    }
}
