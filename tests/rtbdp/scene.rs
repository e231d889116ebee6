//! The dashboard's tables as the example declares them, and whoever has them, in virtual time.

use std::path::Path;
use std::sync::Arc;

use fanwire::config::Config;
use fanwire::dialect::Secret;
use fanwire::server::Server;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::shard::Tables;
use fanwire::tables::Schema;
use fanwire::tables::keeper::Keeper;

use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::party::Party;

/// The file that strangers start with.
pub(crate) const EXAMPLE: &str = include_str!("../../docs/examples/rtbdp.toml");

pub(crate) fn schema(text: &str) -> Schema {
    let config = Config::parse(text, Path::new("rtbdp.toml")).unwrap();
    Server::shard_settings(&config, 1).unwrap().tables.schema
}

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

/// Whoever has the tables, in memory.
pub(crate) fn keeper(
    schema: &Schema,
    settings: &Settings,
    shard_count: u16,
    manner: Manner,
    chance: impl FnMut(usize) -> usize + 'static,
) -> Party {
    let homes = settings.homes(shard_count);
    let mut keeper = Keeper::new(schema.clone(), 1 << 26);
    Party::new(manner, chance, move |message| {
        let Mesh::Tables(ask) = message else { panic!("{message:?} is said to somebody else") };
        let mut out = Vec::new();
        keeper.hear(ask, &mut out);
        out.into_iter().map(|outcome| fanwire::backend::addressed(outcome, &homes)).collect()
    })
}

/// These tables, kept behind so many shards.
pub(crate) fn with_tables(settings: Settings, schema: &Schema, shard_count: u16) -> Settings {
    let tables = Tables { schema: schema.clone(), party: Some(PartyId(shard_count)) };
    Settings { tables, ..settings }
}

/// Has them join a world whose settings know of them.
pub(crate) fn join(world: &mut World, settings: &Settings) {
    let shard_count = u16::try_from(world.shards.len()).unwrap();
    let party = keeper(&settings.tables.schema, settings, shard_count, Manner::default(), |_| 0);
    assert_eq!(world.join(party), PartyId(shard_count));
}
