//! The dashboard's tables as the example declares them.

use std::sync::Arc;

use fanwire::dialect::Secret;
use fanwire::shard::Settings;

pub(crate) use crate::support::tables::join;
pub(crate) use crate::support::tables::schema;
pub(crate) use crate::support::tables::with_tables;

/// The file that strangers start with.
pub(crate) const EXAMPLE: &str = include_str!("../../docs/examples/rtbdp.toml");

/// Has the tables of a configuration, with `% secret x` and `% tables text` besides.
pub(crate) fn set(settings: &mut Settings, key: &str, value: &str) {
    match key {
        "secret" => {
            let views = Arc::make_mut(&mut settings.views);
            let view = views.view_mut("rtbdp").expect("it is a protocol");
            let secret = Secret { password: value.into(), token: "t0ken-of-88".into() };
            view.secret = Some(Arc::new(secret));
        }
        "deflate" => settings.deflate = value == "on",
        "outbox_bytes_max" => settings.outbox_bytes_max = value.parse().expect("bytes"),
        _ => panic!("no setting {key} {value}"),
    }
}
