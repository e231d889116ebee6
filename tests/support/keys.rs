//! A party that hands out a second key when a shard asks for keys, and tokens that are signed with it.

use std::sync::Arc;

use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;

use super::fits::SECRET;
use super::world::World;
use super::world::party::Manner;
use super::world::party::Party;

const SECOND: &[u8] = b"fedcba9876543210fedcba9876543210";

/// What tokens are checked with: the key of all transcripts, and these.
pub fn verifier(secrets: &[(&str, &[u8])]) -> Verifier {
    let key = |(name, secret): &(&str, &[u8])| {
        Key::from_secret(Some(name), Algorithm::Hs256, secret).unwrap()
    };
    let first = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = std::iter::once(first).chain(secrets.iter().map(key)).collect();
    Verifier::new(KeySet::new(keys).unwrap(), TokenRules::default(), Mapping::default()).unwrap()
}

/// Tells so many shards of the second key when one of them asks.
pub fn keeper(shard_count: u16) -> Party {
    let answer = move |message| match message {
        Mesh::KeysWanted => {
            let keys = Arc::new(verifier(&[("second", SECOND)]));
            (0..shard_count).map(|shard| (PartyId(shard), Mesh::Keys(Arc::clone(&keys)))).collect()
        }
        other => panic!("a keeper is asked for keys: {other:?}"),
    };
    Party::new(Manner::default(), |_| 0, answer)
}

/// A token that only the second key opens, and that may publish anything.
pub fn token_of_second(world: &World) -> String {
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    header.kid = Some("second".to_owned());
    let exp = world.now.wall_us / 1_000_000 + 3_000;
    let claims = serde_json::json!({"sub": "ada", "exp": exp, "fanwire": {"publish": ["**"]}});
    let key = jsonwebtoken::EncodingKey::from_secret(SECOND);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
