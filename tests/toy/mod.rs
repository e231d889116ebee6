//! A dialect that is nobody's, as small as one can be: a WebSocket, an event stream and a call.
//!
//! `want TOPIC` subscribes, `say TOPIC JSON` publishes, `say NAME` publishes nothing, and every binary message is answered with its length. Invariant: this folder and one
//! line in a list are all there is of it.

mod talk;

use fanwire::dialect::Body;
use fanwire::dialect::Call;
use fanwire::dialect::Calling;
use fanwire::dialect::Dialect;
use fanwire::dialect::DialectId;
use fanwire::dialect::Door;
use fanwire::dialect::Ending;
use fanwire::dialect::FLOOD;
use fanwire::dialect::First;
use fanwire::dialect::Guard;
use fanwire::dialect::Guest;
use fanwire::dialect::JSON;
use fanwire::dialect::Kind;
use fanwire::dialect::Manners;
use fanwire::dialect::MediaType;
use fanwire::dialect::NotOpened;
use fanwire::dialect::Opening;
use fanwire::dialect::Path;
use fanwire::dialect::Protocol;
use fanwire::dialect::Setting;
use fanwire::dialect::SettingTakes;
use fanwire::dialect::Setup;
use fanwire::dialect::Silence;
use fanwire::dialect::Socket;
use fanwire::dialect::Takes;
use fanwire::dialect::Wanted;
use fanwire::position::Since;
use fanwire::wire::deflate::DeflateTerms;
use fanwire::wire::http::Head;
use fanwire::wire::http::Method;

use talk::Saying;
use talk::Toy;
use talk::put_outcome;
use talk::wish;

/// What is declared of it.
pub(crate) static PROTOCOL: Protocol = Protocol {
    key: "toy",
    name: "Toy",
    doors: DOORS,
    guest: Some(Guest {
        called: "the toy",
        origin: "`127.0.0.1:7` is where nobody listens",
        deletes_as: None,
        secret: None,
        published_under: None,
    }),
    packets: None,
    settings: &[
        Setting {
            name: "idle_s",
            takes: SettingTakes::Number { min: 1, max: 60, unit: "seconds" },
            default: 7,
            doc: "How long a client may be silent.",
        },
        Setting {
            name: "polite",
            takes: SettingTakes::Switch,
            default: 1,
            doc: "Whether a client is greeted.",
        },
    ],
};

static DIALECT: Dialect = Dialect {
    name: "toy",
    protocol: &PROTOCOL,
    encode: |event, payload, view, out| {
        out.bytes.extend_from_slice(view.name_of(&event.topic).as_bytes());
        out.bytes.push(b' ');
        payload.put_into(out);
    },
    head: None,
    apart: None,
    run: None,
    columns: None,
    outcome: Some(put_outcome),
    envelopes: None,
    farewell: None,
    manners: Manners {
        silence: Silence::Closed { after_s: "idle_s" },
        slow: None,
        ending: Ending::Close,
        deflate_bytes_min: 0,
        flood: FLOOD,
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

const TOY: DialectId = DialectId::of(&DIALECT);

const DOORS: &[Door] = &[
    door("/toy/ws", Method::Get, Kind::WebSocket(Socket::Talk(open))),
    door("/toy/sse", Method::Get, Kind::Stream(stream)),
    door("/toy/say", Method::Post, Kind::Call(SAY, Takes::OneOf(&[&JSON]))),
];

const SAY: Call = Call::Respond { body: Body::Bytes(1000), opens: say, lasts: false };

const fn door(path: &'static str, method: Method, kind: Kind) -> Door {
    let (guard, told_by, purpose) = (Guard::Token, &[], "a test");
    Door { path: Path::Exactly(path), method, kind, guard, told_by, purpose }
}

fn open(_head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let is_polite = setup.views.is_on(&PROTOCOL, "polite");
    let (talk, first) = (Box::new(Toy { is_polite }), Vec::new());
    Ok(Opening { dialect: TOY, talk, protocols: &["toy"], deflate: DeflateTerms::Any, first })
}

fn topic_of(head: &Head) -> Result<String, NotOpened> {
    let topic = head.query_value("topic");
    topic.map(Into::into).ok_or_else(|| NotOpened::BadField("which topic?".to_owned()))
}

fn stream(head: &Head, setup: &Setup<'_>) -> Result<Wanted, NotOpened> {
    let view = setup.views.of(TOY);
    Ok(Wanted {
        dialect: TOY,
        first: First::Want { wish: wish(&topic_of(head)?, view), since_lost: Since::Earliest },
        refused: |refusal| NotOpened::Refused(refusal.clone()),
    })
}

fn say(
    head: &Head,
    _media: Option<&'static MediaType>,
    _setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    Ok(Calling { dialect: TOY, respond: Box::new(Saying { topic: topic_of(head)? }) })
}
