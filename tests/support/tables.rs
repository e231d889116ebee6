//! Whoever has the tables, in virtual time: at once, or as moody as it may be.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use fanwire::config::Config;
use fanwire::server::Server;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::shard::Tables;
use fanwire::tables::ErrorCode;
use fanwire::tables::Schema;
use fanwire::tables::TableError;
use fanwire::tables::asks::Answer;
use fanwire::tables::asks::Ask;
use fanwire::tables::keeper::Keeper;
use fanwire::tables::keeper::Outcome;

use super::random::Random;
use super::world::World;
use super::world::party::Manner;
use super::world::party::Party;

/// The tables that a configuration declares.
pub fn schema(text: &str) -> Schema {
    let config = Config::parse(text, Path::new("rtbdp.toml")).unwrap();
    Server::shard_settings(&config, 1).unwrap().tables.schema
}

/// Whoever has the tables, in memory.
pub fn keeper(
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
pub fn with_tables(settings: Settings, schema: &Schema, shard_count: u16) -> Settings {
    let tables = Tables { schema: schema.clone(), party: Some(PartyId(shard_count)) };
    Settings { tables, ..settings }
}

/// Has them join a world whose settings know of them.
pub fn join(world: &mut World, settings: &Settings) {
    let shard_count = u16::try_from(world.shards.len()).unwrap();
    let party = keeper(&settings.tables.schema, settings, shard_count, Manner::default(), |_| 0);
    assert_eq!(world.join(party), PartyId(shard_count));
}

/// Answers of queries wait for as long as it likes and come in any order; rows are told in theirs. `luck` off: all is answered at once.
pub fn moody_keeper(
    world_settings: &Settings,
    shards: u16,
    luck: &Rc<RefCell<Option<Random>>>,
) -> Party {
    let homes = world_settings.homes(shards);
    let mut keeper = Keeper::new(world_settings.tables.schema.clone(), 1 << 24);
    let luck = Rc::clone(luck);
    let mut held: Vec<Outcome> = Vec::new();
    Party::new(
        Manner::default(),
        |_| 0,
        move |message| {
            let Mesh::Tables(ask) = message else { panic!("{message:?} is said to somebody else") };
            let mut luck = luck.borrow_mut();
            let fails = luck.as_mut().is_some_and(|luck| luck.one_in(9));
            let mut said = Vec::new();
            match ask {
                Ask::Query { asker, .. } if fails => {
                    let error = TableError::new(ErrorCode::TooSlow, "it takes too long");
                    said.push(Outcome::Answer(asker, Answer::Failed(error)));
                }
                ask => keeper.hear(ask, &mut said),
            }
            let (answers, told): (Vec<_>, Vec<_>) =
                said.into_iter().partition(|outcome| matches!(outcome, Outcome::Answer(..)));
            held.extend(answers);
            let mut out = told;
            match luck.as_mut() {
                None => out.append(&mut held),
                Some(luck) => {
                    while !held.is_empty() && luck.one_in(2) {
                        let next = luck.below(held.len());
                        out.push(held.swap_remove(next));
                    }
                }
            }
            out.into_iter().map(|outcome| fanwire::backend::addressed(outcome, &homes)).collect()
        },
    )
}
