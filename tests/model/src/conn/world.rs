//! Of `src/conn/world.rs` what `take_in` asks for.

use crate::clock::Now;

pub trait World {
    type Message;

    fn wants_inbox(&self) -> bool;

    fn inbox(&mut self, message: Self::Message, now: Now);
}
