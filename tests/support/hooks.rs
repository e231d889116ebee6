//! Whoever answers hooks, in virtual time.

use std::time::Duration;

use fanwire::dialect::HookTerms;
use fanwire::dialect::hook::Hooks;
use fanwire::shard::Hooks as HookSettings;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::shard::conn_of;

use super::world::party::Manner;
use super::world::party::Party;

/// These settings, where party number `party` is asked what these hooks answer.
pub fn with_hooks(settings: Settings, hooks: &dyn Hooks, party: u16) -> Settings {
    let terms = HookTerms { asked: hooks.asked(), ..settings.hooks.terms };
    Settings { hooks: HookSettings { terms, party: Some(PartyId(party)) }, ..settings }
}

/// Somebody who answers as these hooks do.
pub fn answerer(
    hooks: impl Hooks + 'static,
    manner: Manner,
    chance: impl FnMut(usize) -> usize + 'static,
) -> Party {
    Party::new(manner, chance, move |message| {
        let Mesh::Hook(ask) = message else { panic!("{message:?} is said to somebody else") };
        let answered = Box::new(hooks.answer(&ask.call, Duration::MAX));
        let said = ask.asker.map(|asker| {
            let conn = conn_of(asker);
            (asker.shard.into(), Mesh::HookSays { conn, answered })
        });
        said.into_iter().collect()
    })
}
