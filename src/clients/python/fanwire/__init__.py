"""The Fanwire client: subscribe to topics, be told what happens, publish, and never mind the connection.

    async with fanwire.Client("http://127.0.0.1:8080") as client:
        async for told in client.subscribe("adsb/**", filter=field("altitude") < 10_000, since="last"):
            match told:
                case Event(key=key, payload=payload): ...
                case Gap(topic=topic, first=first, last=last): ...

What it promises: each subscription's events come in order, each once, and where something is missing a gap says so, also across lost connections and
restarted servers. A publish is answered or it fails; it is never repeated behind your back. Speaks `fanwire.v1`.
"""

from .client import Client, Token
from .errors import FanwireError
from .filters import Area, Field, Filter, any_of, box, circle, every, field, first, polygon, within
from .messages import Event, Gap, Live, Position, Published, Since, Skipped, Told
from .state import Cause, Change, State
from .subscription import Subscription, SubscriptionState

__all__ = [
    "Area",
    "Cause",
    "Change",
    "Client",
    "Event",
    "FanwireError",
    "Field",
    "Filter",
    "Gap",
    "Live",
    "Position",
    "Published",
    "Since",
    "Skipped",
    "State",
    "Subscription",
    "SubscriptionState",
    "Token",
    "Told",
    "any_of",
    "box",
    "circle",
    "every",
    "field",
    "first",
    "polygon",
    "within",
]
