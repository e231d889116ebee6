//! A client as the real dashboard has it: the newest row of each key, and a ranking by its updates. It notices whatever would make the real one repair itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;

pub(crate) const ASKS: &str = r#"{"subscribe":[{"id":0,"table":"counts_live"},{"id":1,"table":"counts_ranking","filters":[{"window_size":{"opt":["5m"]}}]}],
    "replay":[{"id":0,"table":"counts_live"},{"id":1,"table":"counts_ranking","filters":[{"window_size":{"opt":["5m"]}}]}]}"#;

/// One update of a ranking, or one of its rows.
#[derive(Clone, Debug)]
struct Move {
    kind: String,
    seq_num: i64,
    row_number: Option<usize>,
    old_row_number: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Dashboard {
    pub(crate) wire: Wire,
    reader: Reader,
    /// The newest count of each kind, with its number.
    pub(crate) live: BTreeMap<String, (i64, i64)>,
    pub(crate) ranking: Vec<String>,
    snapshot: Vec<Move>,
    waiting: Vec<Move>,
    pub(crate) is_replayed: bool,
    /// What a replay holds already.
    cut_off: i64,
    last: i64,
}

impl Dashboard {
    pub(crate) fn open(world: &mut World, shard: usize, capacity: usize) -> Self {
        let wire = world.open(shard, capacity);
        let head = "GET /api HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        world.say(wire, &[head.as_bytes(), &masked(1, ASKS.as_bytes())].concat());
        Self {
            wire,
            reader: Reader::new(false),
            live: BTreeMap::new(),
            ranking: Vec::new(),
            snapshot: Vec::new(),
            waiting: Vec::new(),
            is_replayed: false,
            cut_off: 0,
            last: 0,
        }
    }

    /// Whether the server has let go of it; that it says good-bye in a frame, it never does.
    pub(crate) fn hear(&mut self, world: &mut World) -> bool {
        let mut bytes = world.read(self.wire, usize::MAX);
        if bytes.starts_with(b"HTTP/1.1 101") {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
            bytes.drain(..end + 4);
        }
        self.reader.push(&bytes);
        while let Some(frame) = self.reader.next() {
            match frame {
                Frame::Text(text) => self.message(&serde_json::from_str(&text).expect("JSON")),
                Frame::Close(..) => panic!("a close frame"),
                _ => {}
            }
        }
        world.is_open(self.wire)
    }

    fn message(&mut self, message: &Value) {
        if let Some(id) = message.get("replayed") {
            return if id == 1 { self.begin() } else { assert_eq!(id, 0) };
        }
        let is_ranking = message["table"] == "counts_ranking";
        for row in rows_of(message) {
            if is_ranking { self.ranked(&row) } else { self.counted(&row) }
        }
    }

    fn counted(&mut self, row: &Value) {
        let key = row["kind"].as_str().unwrap().to_owned();
        let (seq_num, count) =
            (row["seq_num"].as_i64().unwrap(), row["num_events"].as_i64().unwrap());
        let known = self.live.entry(key).or_insert((i64::MIN, 0));
        if seq_num > known.0 {
            *known = (seq_num, count);
        }
    }

    fn ranked(&mut self, row: &Value) {
        let number = |name: &str| row[name].as_u64().map(|number| usize::try_from(number).unwrap());
        let step = Move {
            kind: row["kind"].as_str().unwrap().to_owned(),
            seq_num: row["seq_num"].as_i64().unwrap(),
            row_number: number("row_number"),
            old_row_number: number("old_row_number"),
        };
        if row.get("old_row_number").is_none() {
            self.snapshot.push(step);
        } else if self.is_replayed {
            self.apply(&step);
        } else {
            self.waiting.push(step);
        }
    }

    fn begin(&mut self) {
        self.cut_off = self.snapshot.iter().map(|row| row.seq_num).max().unwrap_or(0);
        self.last = self.cut_off;
        for (index, row) in self.snapshot.iter().enumerate() {
            assert_eq!(row.row_number, Some(index), "places of a replay have no holes");
        }
        self.ranking = self.snapshot.drain(..).map(|row| row.kind).collect();
        self.is_replayed = true;
        for step in std::mem::take(&mut self.waiting) {
            self.apply(&step);
        }
    }

    /// Each update once, and in order.
    fn apply(&mut self, step: &Move) {
        if step.seq_num <= self.cut_off {
            // It may be told later than the replay that holds it.
            return;
        }
        assert!(step.seq_num > self.last, "{} comes again, or late: {step:?}", step.seq_num);
        self.last = step.seq_num;
        let at = self.ranking.iter().position(|kind| *kind == step.kind);
        assert_eq!(at, step.old_row_number, "found inconsistent row numbers: {step:?}");
        if let Some(at) = at {
            self.ranking.remove(at);
        }
        if let Some(at) = step.row_number {
            self.ranking.insert(at, step.kind.clone());
        }
    }
}

/// The rows of a message, whichever form it has.
fn rows_of(message: &Value) -> Vec<Value> {
    if let Some(row) = message.get("row") {
        return vec![row.clone()];
    }
    let columns = message["rows"].as_object().expect("rows");
    let count = columns["seq_num"].as_array().unwrap().len();
    assert!(count > 1, "one row is told as one");
    let row = |index: usize| {
        let cell = |(name, column): (&String, &Value)| {
            let column = column.as_array().unwrap();
            assert_eq!(column.len(), count, "columns are of one length");
            (name.clone(), column[index].clone())
        };
        Value::Object(columns.iter().map(cell).collect())
    };
    (0..count).map(row).collect()
}

/// What a source publishes: counts that change, and where that puts them.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) ranking: Vec<(i64, String)>,
    pub(crate) live: BTreeMap<String, i64>,
    seq_num: i64,
}

impl Source {
    /// Sets a count; 0: the row leaves the ranking. Returns the rows of both tables.
    pub(crate) fn set(&mut self, kind: &str, count: i64) -> [String; 2] {
        self.seq_num += 1;
        self.live.insert(kind.to_owned(), count);
        let old = self.ranking.iter().position(|(_, of)| of == kind);
        if let Some(old) = old {
            self.ranking.remove(old);
        }
        let new = (count > 0).then(|| {
            let row = (-count, kind.to_owned());
            let at = self.ranking.partition_point(|other| *other < row);
            self.ranking.insert(at, row);
            at
        });
        let said = |place: Option<usize>| {
            place.map_or_else(|| "null".to_owned(), |place| place.to_string())
        };
        let seq_num = self.seq_num;
        let counted = format!(
            r#"{{"window_size":"5m","kind":"{kind}","num_events":{count},"seq_num":{seq_num}"#
        );
        let (old, new) = (said(old), said(new));
        [
            format!("{counted}}}"),
            format!(
                r#"{counted},"row_number":{new},"rank":{new},"max_rank":{new},"old_row_number":{old},"old_rank":{old},"old_max_rank":{old}}}"#
            ),
        ]
    }
}
