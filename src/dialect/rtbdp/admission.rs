//! Which replays are answered: those that cannot ask for too many rows, as far as the declared cardinalities tell.

use super::filters::Branches;
use super::message::Branch;
use super::message::Entry;
use super::message::Scalar;
use super::message::ValueFilter;
use crate::tables::Column;
use crate::tables::Table;

//= rtbdp#4.6
//# Reject (silently) when `maxLimit` is set and (`limit` absent or > maxLimit) and the estimate is unknown or > maxLimit.
/// Whether a replay is answered.
pub(super) fn admits(table: &Table, entry: &Entry) -> bool {
    let Some(most) = table.replay_rows_max else { return true };
    let is_within = |rows: u64| rows <= most;
    entry.limit.is_some_and(|limit| u64::try_from(limit).is_ok_and(is_within))
        || estimate(table, entry.filters.as_deref()).is_some_and(is_within)
}

//= rtbdp#4.6
//# Estimate = Σ over OR-branches of min over fields of: `len(opt)·card`, and if both `start,end` are ints
//# `max(0,end−start)·card`; unknown if a branch has no estimable field; `filters` absent → unknown; `[]` → 0.
/// How many rows a filter passes at most, about; `None`: nobody knows.
fn estimate(table: &Table, branches: Option<&Branches>) -> Option<u64> {
    let of_branch = |branch: &Branch| {
        let fields = branch.iter().filter_map(|(name, filter)| {
            let column = table.column(table.find_column(name)?);
            of_field(column, filter)
        });
        fields.min()
    };
    let mut sum = 0_u64;
    for branch in branches? {
        sum = sum.saturating_add(of_branch(branch)?);
    }
    Some(sum)
}

fn of_field(column: &Column, filter: &ValueFilter) -> Option<u64> {
    let cardinality = column.cardinality?;
    let listed = filter.opt.as_ref().map(|opt| opt.len() as u64);
    let ranged = match (&filter.start, &filter.end) {
        (Some(Scalar::Int(start)), Some(Scalar::Int(end))) => {
            Some(u64::try_from(i128::from(*end) - i128::from(*start)).unwrap_or(0))
        }
        _ => None,
    };
    let values = listed.into_iter().chain(ranged).min()?;
    Some(values.saturating_mul(cardinality))
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;
    use crate::tables::Type;

    fn table() -> Table {
        let with = |column: Column, cardinality| Column { cardinality, ..column };
        let columns = vec![
            with(Column::key("window_size", Type::Text), Some(16)),
            with(Column::key("repo_id", Type::Int), Some(4)),
            Column::new("num_events", Type::Int),
        ];
        Table { replay_rows_max: Some(100), ..Table::new("repos_live", columns).unwrap() }
    }

    fn entry(text: &str) -> Entry {
        Message::read(&format!(r#"{{"replay":[{text}]}}"#)).unwrap().replay.remove(0)
    }

    #[test]
    fn rows_are_estimated_by_cardinality() {
        for (filters, rows) in [
            ("null", None),
            ("[]", Some(0)),
            ("[{}]", None),
            (r#"[{"window_size":{"opt":["5m","1h"]}}]"#, Some(32)),
            (r#"[{"window_size":{"opt":["5m"]},"repo_id":{"opt":[1]}}]"#, Some(4)),
            (r#"[{"repo_id":{"start":3,"end":10}}]"#, Some(28)),
            (r#"[{"repo_id":{"start":10,"end":3}}]"#, Some(0)),
            (
                r#"[{"repo_id":{"start":-9223372036854775808,"end":9223372036854775807}}]"#,
                Some(u64::MAX),
            ),
            (r#"[{"repo_id":{"start":3}}]"#, None),
            (r#"[{"num_events":{"opt":[1]}}]"#, None),
            (r#"[{"num_events":{"opt":[1]},"repo_id":{"opt":[1,2,3]}}]"#, Some(12)),
            (r#"[{"repo_id":{"opt":[1]}},{"repo_id":{"opt":[1,2]}}]"#, Some(12)),
            (r#"[{"repo_id":{"opt":[1]}},{}]"#, None),
            (r#"[{"window_size":{"opt":[]}}]"#, Some(0)),
            (r#"[{"repo_id":{"opt":[1,2,3],"start":1,"end":2}}]"#, Some(4)),
        ] {
            let entry = entry(&format!(r#"{{"filters":{filters}}}"#));
            assert_eq!(estimate(&table(), entry.filters.as_deref()), rows, "{filters}");
        }
    }

    #[test]
    fn a_replay_is_answered_if_it_is_small_by_limit_or_by_estimate() {
        for (text, is_answered) in [
            (r#"{"limit":100}"#, true),
            (r#"{"limit":101}"#, false),
            (r#"{"limit":0}"#, true),
            ("{}", false),
            (r#"{"filters":[{"repo_id":{"start":0,"end":25}}]}"#, true),
            (r#"{"filters":[{"repo_id":{"start":0,"end":26}}]}"#, false),
            (r#"{"filters":[{"repo_id":{"start":0,"end":26}}],"limit":100}"#, true),
            (r#"{"filters":[],"limit":101}"#, true),
        ] {
            assert_eq!(admits(&table(), &entry(text)), is_answered, "{text}");
        }
        let unbounded = Table { replay_rows_max: None, ..table() };
        assert!(admits(&unbounded, &entry("{}")));
    }
}
