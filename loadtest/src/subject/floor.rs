//! The yardstick: `crate::floor`, in a process of its own.

use crate::clock;
use crate::clock::MILLI;
use crate::crew::Crew;
use crate::crew::CrewError;
use crate::limits::SUBSCRIBERS_PER_WORKER_MAX;
use crate::message::FloorPlan;
use crate::message::Plan;
use crate::message::Word;
use crate::scenario::Kind;
use crate::scenario::Rate;
use crate::scenario::Scenario;
use crate::session::FLOOR;
use crate::speech::Joined;
use crate::speech::Listen;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::subject::Process;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;
use crate::subject::local;

const TOPIC: &str = "bench/{n}";

/// How often it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// One `send` an event: the yardstick.
    OneByOne,
    /// One `send` a burst: what coalescing could bring at best.
    Coalesced,
}

impl Subject for Floor {
    fn name(&self) -> &'static str {
        match self {
            Self::OneByOne => FLOOR,
            Self::Coalesced => "floor-coalesced",
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::OneByOne => {
                "one thread that only sends the same bytes to the same sockets, one send an event"
            }
            Self::Coalesced => "the same, one send a burst",
        }
    }

    fn can(&self, scenario: &Scenario) -> bool {
        // One table of descriptors, no filters, no history: what it would not do costs nothing, and is no yardstick.
        scenario.subscribers <= SUBSCRIBERS_PER_WORKER_MAX
            && scenario.kind != Kind::Replay
            && scenario.slow == 0
            && !scenario.circles
            && (*self == Self::OneByOne
                || (scenario.burst > 1 && matches!(scenario.rate, Rate::Window(_))))
    }

    fn start(&self, setting: &Setting<'_>, crew: &mut Crew) -> Result<Started, SubjectError> {
        let began = clock::now_ns();
        let frames_per_send = if *self == Self::Coalesced { setting.scenario.burst } else { 1 };
        let plan = FloorPlan { topics: setting.scenario.topics, frames_per_send };
        let hand = crew.start("the floor", &Plan::Floor(plan), &setting.cores)?;
        let (subscribers, publishers) = listening(crew)?;
        // As long as the native protocol's, and answered as that is.
        let listen = Listen {
            join: "{\"type\":\"subscribe\",\"id\":1,\"topics\":{topics}}".to_owned(),
            joined: Joined::Says("{\"type\":\"live\"".to_owned()),
            ..Listen::websocket(local(subscribers), "/t/{numbers}", TOPIC)
        };
        let say = Say { addr: local(publishers), outlet: Outlet::Floor, topic: TOPIC.to_owned() };
        Ok(Started { process: Process::Hand(hand), listen, say, start_ns: clock::now_ns() - began })
    }
}

fn listening(crew: &mut Crew) -> Result<(u16, u16), SubjectError> {
    let began = clock::now_ns();
    while clock::now_ns() - began < crate::limits::START_NS_MAX {
        for (_, word) in crew.listen(10 * MILLI)? {
            if let Word::Listening { subscribers, publishers } = word {
                return Ok((subscribers, publishers));
            }
        }
    }
    Err(CrewError::Late { wanted: "the floor to listen" }.into())
}
