//! What is handed to whoever answers hooks, and in whose name.
//!
//! Invariants: a call says who is on its connection as the server knows it, whatever a conversation has put there; at the bound a call is refused where it comes from, and
//! that a connection has ended is told as far as there is room.

use super::conns::Conn;
use super::conns::Conns;
use super::input::ConnId;
use super::input::Mesh;
use super::input::conn_of;
use super::inquiry::ConnName;
use super::lanes::Lane;
use super::lanes::Outgoing;
use super::settings::Hooks;
use crate::dialect::Hook;
use crate::dialect::hook::Call;
use crate::dialect::hook::Caller;
use crate::dialect::hook::Failure;
use crate::dialect::hook::HookAsk;
use crate::event::ShardId;
use crate::tables::asks::Asker;

impl Hooks {
    /// Hands a call on, if there is room; says what it weighs.
    pub(super) fn ask(
        &self,
        outgoing: &mut Outgoing<Mesh>,
        ask: HookAsk,
    ) -> Result<usize, Failure> {
        let party = self.party.ok_or(Failure::Unreachable)?;
        if !outgoing.has_room(party, Lane::Data) {
            return Err(Failure::Busy);
        }
        let bytes = ask.call.weight_bytes();
        outgoing.to(party).push(Mesh::Hook(Box::new(ask)));
        Ok(bytes)
    }

    /// Tells that a connection has ended.
    pub(super) fn tell_end(&self, outgoing: &mut Outgoing<Mesh>, call: &Call) {
        let hooks = [Hook::BeforeDisconnect, Hook::AfterDisconnect];
        for hook in hooks.into_iter().filter(|hook| self.terms.asked.contains(*hook)) {
            let call = Call { hook, ..call.clone() };
            if let Err(failure) = self.ask(outgoing, HookAsk { asker: None, call }) {
                tracing::debug!(hook = hook.name(), %failure, "the end of a connection was not told");
            }
        }
    }
}

impl Conn {
    /// What whoever answers hooks is told of who is here.
    fn caller(&self, name: ConnName) -> Caller {
        let principal = self.who.as_ref().map(|who| &who.principal);
        Caller {
            connection: name.to_string(),
            address: Some(self.caller.peer),
            user: principal.and_then(|who| who.user.clone()),
            roles: principal.map(|who| who.roles.clone()).unwrap_or_default(),
        }
    }

    /// What whoever answers hooks is told when the connection ends, once.
    pub(super) fn take_end(&mut self, (shard, id): (ShardId, ConnId)) -> Option<Call> {
        let call = self.caller.origin.as_deref_mut()?.at_end.take()?;
        let conn = super::input::ConnRef { id, generation: self.generation };
        Some(Call { caller: self.caller(ConnName { shard, conn }), ..*call })
    }
}

/// A call with who is on the connection that asks.
pub(super) fn signed(conns: &Conns, asker: Asker, call: Call) -> Call {
    let conn = conn_of(asker);
    let Some(found) = conns.see(conn) else { return call };
    Call { caller: found.caller(ConnName { shard: asker.shard, conn }), ..call }
}
