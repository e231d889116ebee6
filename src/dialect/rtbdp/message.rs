//! What a client may say: one object with up to three lists.
//!
//! Invariant: a message that is not exactly what it may be is none; what is only meaningless (a table that is not there, a filter of the wrong type) is read, and passed over by whoever knows
//! the tables.

use serde_json::value::RawValue;

use crate::dialect::json;

/// A message, in the order in which it is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subscribe: Vec<Entry>,
    pub(super) unsubscribe: Vec<i64>,
    pub(super) replay: Vec<Entry>,
}

/// A subscription, or a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) table: Option<Box<str>>,
    /// `None`: everything. All members of one of these hold, of at least one of these.
    pub(super) filters: Option<Vec<Branch>>,
    pub(super) limit: Option<i64>,
    /// The entry holds null where something must be: what comes before the entry in the message is carried out, the entry and what comes behind it is not.
    pub(super) is_broken: bool,
}

/// Fields, and what is asked of each; all of it holds.
pub(super) type Branch = Vec<(Box<str>, ValueFilter)>;

/// What is asked of one field; all of it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ValueFilter {
    pub(super) opt: Option<Vec<Scalar>>,
    pub(super) start: Option<Scalar>,
    pub(super) end: Option<Scalar>,
    pub(super) inclusive: bool,
    pub(super) substr: Option<Box<str>>,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Int(i64),
    Text(Box<str>),
    /// What no field can be compared with.
    Other,
}

/// What was said is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoMessage;

//= rtbdp#4.2
//# Malformed JSON, **any unknown property** at message, subscription or filter level, or wrong JSON types: the **whole
//# message is ignored**
impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn read(text: &str) -> Result<Self, NoMessage> {
        let mut message = Self::default();
        for (name, value) in members(text)? {
            match name.as_str() {
                "subscribe" => message.subscribe = entries(value)?,
                "replay" => message.replay = entries(value)?,
                "unsubscribe" => message.unsubscribe = ids(value)?,
                _ => return Err(NoMessage),
            }
        }
        Ok(message)
    }
}

fn members(text: &str) -> Result<json::Members<'_>, NoMessage> {
    json::members(text).map_err(|_| NoMessage)
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn list(value: &RawValue) -> Result<Vec<&RawValue>, NoMessage> {
    serde_json::from_str(value.get()).map_err(|_| NoMessage)
}

/// A list, or null, which is none.
fn list_or_none(value: &RawValue) -> Result<Option<Vec<&RawValue>>, NoMessage> {
    if is_null(value) { Ok(None) } else { list(value).map(Some) }
}

fn entries(value: &RawValue) -> Result<Vec<Entry>, NoMessage> {
    list_or_none(value)?.unwrap_or_default().into_iter().map(entry).collect()
}

fn ids(value: &RawValue) -> Result<Vec<i64>, NoMessage> {
    let all = list_or_none(value)?.unwrap_or_default().into_iter();
    all.filter(|value| !is_null(value)).map(whole).collect()
}

fn whole(value: &RawValue) -> Result<i64, NoMessage> {
    serde_json::from_str(value.get()).map_err(|_| NoMessage)
}

fn entry(value: &RawValue) -> Result<Entry, NoMessage> {
    let mut entry = Entry::default();
    if is_null(value) {
        entry.is_broken = true;
        return Ok(entry);
    }
    for (name, value) in members(value.get())? {
        let is_null = is_null(value);
        match name.as_str() {
            "id" => entry.id = if is_null { 0 } else { whole(value)? },
            "table" if is_null => entry.table = None,
            "table" => entry.table = Some(json::text_of(value).ok_or(NoMessage)?.into()),
            "limit" => entry.limit = if is_null { None } else { Some(whole(value)?) },
            "filters" => {
                let Some(all) = list_or_none(value)? else {
                    entry.filters = None;
                    continue;
                };
                let all = all.into_iter().map(|value| branch(value, &mut entry.is_broken));
                entry.filters = Some(all.collect::<Result<_, _>>()?);
            }
            _ => return Err(NoMessage),
        }
    }
    Ok(entry)
}

/// Fields, and what is asked of each. Of two of one name the last counts.
fn branch(value: &RawValue, is_broken: &mut bool) -> Result<Branch, NoMessage> {
    let mut fields = Branch::new();
    if is_null(value) {
        *is_broken = true;
        return Ok(fields);
    }
    for (name, value) in members(value.get())? {
        //= rtbdp#4.2
        //# A filter value of
        //# `null` (`{"kind":null}`) throws after earlier entries of the message took effect; the rest is skipped.
        *is_broken |= is_null(value);
        let filter = if is_null(value) { ValueFilter::default() } else { value_filter(value)? };
        fields.retain(|(of, _)| **of != *name);
        fields.push((name.into(), filter));
    }
    Ok(fields)
}

fn value_filter(value: &RawValue) -> Result<ValueFilter, NoMessage> {
    let mut filter = ValueFilter::default();
    for (name, value) in members(value.get())? {
        let is_null = is_null(value);
        let scalar_or_none = |value| if is_null { Ok(None) } else { scalar(value).map(Some) };
        match name.as_str() {
            "opt" => {
                let all = list_or_none(value)?;
                let all = all.map(|all| all.into_iter().map(scalar).collect::<Result<_, _>>());
                filter.opt = all.transpose()?;
            }
            "start" => filter.start = scalar_or_none(value)?,
            "end" => filter.end = scalar_or_none(value)?,
            "inclusive" if is_null => filter.inclusive = false,
            "inclusive" => {
                filter.inclusive = serde_json::from_str(value.get()).map_err(|_| NoMessage)?;
            }
            "substr" if is_null => filter.substr = None,
            "substr" => filter.substr = Some(json::text_of(value).ok_or(NoMessage)?.into()),
            _ => return Err(NoMessage),
        }
    }
    Ok(filter)
}

fn scalar(value: &RawValue) -> Result<Scalar, NoMessage> {
    let text = value.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Scalar::Null,
        Some(b'"') => Scalar::Text(json::text_of(value).ok_or(NoMessage)?.into()),
        _ => text.parse().map_or(Scalar::Other, Scalar::Int),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_whole() {
        let text = r#"{"subscribe":[{"id":7,"table":"events","filters":[{"kind":{"opt":["push",null,1.5,3]}},
            {"repo_id":{"start":1,"end":9,"inclusive":true},"descr":{"substr":"ab"}}],"limit":20}],
            "unsubscribe":[1,null,-2],"replay":[{"table":"t"}]}"#;
        let message = Message::read(text).unwrap();
        assert_eq!(message.unsubscribe, [1, -2]);
        assert_eq!(message.replay, [Entry { table: Some("t".into()), ..Entry::default() }]);
        let [entry] = &message.subscribe[..] else { panic!("{message:?}") };
        assert_eq!((entry.id, entry.limit, entry.is_broken), (7, Some(20), false));
        let filters = entry.filters.as_ref().unwrap();
        let opt = [Scalar::Text("push".into()), Scalar::Null, Scalar::Other, Scalar::Int(3)];
        assert_eq!(filters[0][0].1.opt.as_deref(), Some(&opt[..]));
        let range = &filters[1][0].1;
        assert_eq!((&range.start, &range.end), (&Some(Scalar::Int(1)), &Some(Scalar::Int(9))));
        assert!(range.inclusive);
        assert_eq!(filters[1][1].1.substr.as_deref(), Some("ab"));
    }

    #[test]
    fn what_is_no_message_is_none_as_a_whole() {
        for text in [
            "",
            "nonsense",
            "[]",
            "null",
            "1",
            r#"{"subscribe":[{"id":0,"table":"events"}],"more":1}"#,
            r#"{"subscribe":{}}"#,
            r#"{"subscribe":[1]}"#,
            r#"{"subscribe":[{"id":"0"}]}"#,
            r#"{"subscribe":[{"id":1.5}]}"#,
            r#"{"subscribe":[{"id":9223372036854775808}]}"#,
            r#"{"subscribe":[{"table":1}]}"#,
            r#"{"subscribe":[{"name":"x"}]}"#,
            r#"{"subscribe":[{"filters":{}}]}"#,
            r#"{"subscribe":[{"filters":[{"kind":["push"]}]}]}"#,
            r#"{"subscribe":[{"filters":[{"kind":{"opt":"push"}}]}]}"#,
            r#"{"subscribe":[{"filters":[{"kind":{"equals":1}}]}]}"#,
            r#"{"subscribe":[{"filters":[{"kind":{"inclusive":1}}]}]}"#,
            r#"{"subscribe":[{"filters":[{"kind":{"substr":1}}]}]}"#,
            r#"{"replay":[{"limit":"20"}]}"#,
            r#"{"unsubscribe":["0"]}"#,
            r#"{"unsubscribe":0}"#,
            r#"{"subscribe":[{"id":0}]} {}"#,
        ] {
            assert_eq!(Message::read(text), Err(NoMessage), "{text}");
        }
    }

    #[test]
    fn null_is_what_is_left_out_or_breaks_the_entry() {
        let nothing = r#"{"subscribe":null,"unsubscribe":null,"replay":null}"#;
        assert_eq!(Message::read(nothing), Ok(Message::default()));
        let text = r#"{"subscribe":[{"id":null,"table":null,"filters":null,"limit":null}]}"#;
        assert_eq!(Message::read(text).unwrap().subscribe, [Entry::default()]);
        for text in [r#"[{"filters":[{"kind":null}]}]"#, "[null]", r#"[{"id":0,"filters":[null]}]"#]
        {
            let message = Message::read(&format!(r#"{{"replay":{text}}}"#)).unwrap();
            assert!(message.replay[0].is_broken, "{text}");
        }
        let plain = r#"{"replay":[{"filters":[{"kind":{"opt":null,"start":null,"end":null,"inclusive":null,"substr":null}}]}]}"#;
        let message = Message::read(plain).unwrap();
        assert_eq!(message.replay[0].filters.as_ref().unwrap()[0][0].1, ValueFilter::default());
    }
}
