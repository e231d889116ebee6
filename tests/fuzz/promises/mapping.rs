//! A mapping is refused with the member that is wrong, or makes of any message events that a home takes, and faults with a place.
//!
//! The input is a mapping and a message, with lines of `member: text` before an empty line, and the payload behind it.

use fanwire::event::Fields;
use fanwire::event::TopicName;
use fanwire::limits::KEY_BYTES_MAX;
use fanwire::source::Mapped;
use fanwire::source::Mapping;
use fanwire::source::MappingText;
use fanwire::source::Message;
use fanwire::source::PayloadText;

/// Holds the mapping to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let split = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let (lines, payload) = input.split_at(split);
    let payload = payload.get(2..).unwrap_or_default();
    let mut text = MappingText::default();
    let mut message = Message { payload: payload.to_vec().into(), ..Message::default() };
    for line in String::from_utf8_lossy(lines).lines() {
        let Some((member, said)) = line.split_once(": ") else { continue };
        let said = said.to_owned();
        match member {
            "topic" => text.topic = said,
            "key" => text.key = said,
            "op" => text.op = said,
            "ops" => text.ops.push(said),
            "time" => text.time = said,
            "split" => text.split = said,
            "filter" => text.filter = said,
            "payload" => text.payload = PayloadText::One(said),
            "subject" => message.subject = Some(said.into()),
            "message_key" => message.key = Some(said.into_bytes().into()),
            name => match &mut text.payload {
                PayloadText::Object(members) => members.push((name.to_owned(), said)),
                PayloadText::One(_) => {
                    text.payload = PayloadText::Object(vec![(name.to_owned(), said)]);
                }
            },
        }
    }
    let mut mapping = match Mapping::new("s", &text) {
        Ok(mapping) => mapping,
        Err(error) => {
            assert!(!error.member.is_empty() && !error.why.is_empty());
            return;
        }
    };
    let mut out = Mapped::default();
    mapping.map(&message, 1_758_880_800_000_000, &mut out);
    for (_, draft) in &out.drafts {
        Fields::check(&draft.payload).expect("it is one JSON object");
        TopicName::new(draft.topic.as_str()).expect("it is a topic");
        assert!(draft.key.len() <= KEY_BYTES_MAX);
    }
    for fault in &out.faults {
        assert!(!fault.member.is_empty() && !fault.why.is_empty(), "{fault}");
    }
}
