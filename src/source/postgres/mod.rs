//! PostgreSQL: a table to which rows are added in the same transaction as what they tell of (an *outbox*), followed in the order in which transactions began.
//!
//! Rows are numbered before they are committed, so a reader that goes by numbers alone passes over those that are committed late. So each row says of which transaction it is (`pg_current_xact_id()`), and only those
//! are read that no transaction still underway can come before; [decisions/0071](../../../docs/decisions/0071-an-outbox-is-read-by-transactions.md). Invariant: nothing is written there, and no row is passed over.

mod outbox;
mod place;

use outbox::Outbox;
use outbox::Table;

use super::Connector;
use super::Kind;
use super::Setting;
use super::Takes;
use super::Unfit;
use super::Values;
use super::broker::address_setting;
use super::broker::secret_setting;
use crate::backend::postgres::Address;
use crate::clock::Clock;
use crate::limits::OUTBOX_POLL_MS_DEFAULT;
use crate::limits::OUTBOX_POLL_MS_MAX;
use crate::tables::sql::quoted;

/// An outbox.
pub(super) static POSTGRES: Kind = Kind {
    name: "postgres",
    doc: "Follows a table of PostgreSQL (13 or later) to which rows are added, an outbox, and goes on where it was, exactly once. The payload of a message is its row, as an object; the subject is the table.",
    settings: &[
        address_setting(
            "Where the database is, written as `tables.url` is: `postgres://ada@db.example.org:5432/shop`. To anywhere but this machine it is encrypted, and the server's certificate is checked; `?sslrootcert=ca.pem` names the authority, and `?sslmode=disable` does without.",
        ),
        secret_setting("The file with the password, unless it stands in the address."),
        Setting {
            name: "table",
            takes: Takes::Required,
            doc: "The table, in quotes where SQL would need them: `outbox`, `shop.outbox`.",
        },
        Setting {
            name: "id",
            takes: Takes::Text { default: "id" },
            doc: "The column with a number that rises within a transaction (`bigint GENERATED ALWAYS AS IDENTITY`).",
        },
        Setting {
            name: "transaction",
            takes: Takes::Text { default: "tx" },
            doc: "The column with the transaction that has added the row (`xid8 NOT NULL DEFAULT pg_current_xact_id()`).",
        },
        Setting {
            name: "channel",
            takes: Takes::Text { default: "" },
            doc: "The channel on which `NOTIFY` says that rows were added; none by itself: then it is only looked every so often.",
        },
        Setting {
            name: "poll_ms",
            takes: Takes::Number {
                min: 10,
                max: OUTBOX_POLL_MS_MAX,
                default: OUTBOX_POLL_MS_DEFAULT,
                unit: "ms",
            },
            doc: "How often it is looked for rows of which nobody has said anything.",
        },
        Setting {
            name: "begin",
            takes: Takes::Word { of: &["new", "first"] },
            doc: "Where it begins the first time: with what is `new`, or with the `first` row that the table has.",
        },
    ],
    open,
};

fn open(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let mut address = Address::parse(values.text("address"));
    if let (Ok(address), Some(secret)) = (&mut address, values.secret("secret_file")?) {
        address.password = secret;
    }
    let mut address = address.map_err(|error| Unfit::new("address", error))?;
    if address.application == "fanwire" {
        address.application = format!("fanwire/{}", values.source);
    }
    let column = |setting: &'static str| match values.text(setting) {
        "" => Err(Unfit::new(setting, "it must name a column")),
        name if name.contains('\0') => Err(Unfit::new(setting, "it is no name")),
        name => Ok(quoted(name)),
    };
    let name = values.text("table");
    let table = Table {
        name: name.to_owned(),
        quoted: table(name).ok_or_else(|| Unfit::new("table", format!("`{name}` is no table")))?,
        id: column("id")?,
        transaction: column("transaction")?,
        channel: values.text("channel").to_owned(),
        poll_ms: values.number("poll_ms"),
        begins_first: values.text("begin") == "first",
    };
    Ok(Box::new(Outbox::new(address, table, Clock::start())))
}

/// A table's name as it stands in SQL: of one part or two, each as it is or in quotes.
fn table(text: &str) -> Option<String> {
    let (mut parts, mut part, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '\0' => return None,
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(std::mem::take(&mut part)),
            // As SQL does with names that have no quotes.
            letter if !is_quoted => part.extend(letter.to_lowercase()),
            letter => part.push(letter),
        }
    }
    parts.push(part);
    let is_name = !is_quoted && parts.len() <= 2 && parts.iter().all(|part| !part.is_empty());
    let all: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    is_name.then(|| all.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_as_in_sql() {
        for (text, quoted) in [
            ("outbox", Some("\"outbox\"")),
            ("Shop.OutBox", Some("\"shop\".\"outbox\"")),
            ("\"Shop\".\"a.b\"", Some("\"Shop\".\"a.b\"")),
            ("outbox; DROP TABLE x", Some("\"outbox; drop table x\"")),
            ("a.b.c", None),
            ("a.", None),
            ("", None),
            ("\"a", None),
        ] {
            assert_eq!(table(text).as_deref(), quoted, "{text}");
        }
    }
}
