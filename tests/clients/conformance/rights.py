"""Scenarios of tokens: shown, renewed in time, renewed too late, refused. The client asks its application for each (`token_wanted`), and is answered by us."""

from proxy import Link
from stage import Adapter, Stage, check, hold, numbered, scenario, token_of

ADMIN = "the admin secret of these scenarios, long enough"


async def give(client: Adapter, token: str | None) -> None:
    """Answers the client's next question for a token; none: there is none to be had."""
    await client.next("token_wanted")
    client.do("token", token=token)


def said(link: Link, kind: str) -> list[dict]:
    return [message for message in link.said if message["type"] == kind]


@scenario
async def token(stage: Stage) -> None:
    """A client with a token asks its application for one with each connection, shows it by `auth` behind the welcome, in no URL and no head, and is
    `open` and subscribes once it is authenticated."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    first = token_of("ada", 600)
    await give(client, first)
    await client.state("open")
    await client.next("live")
    link = proxy.links[0]
    check([message["type"] for message in link.said], ["auth", "subscribe"], "what the client says")
    check(said(link, "auth")[0]["token"], first, "the token")
    hold(first not in link.request and "authorization" not in link.request.lower(), "the token is in no head")
    link.cut()
    await server.publish(stage.topic(), {"n": 1})
    second = token_of("ada", 601)
    await give(client, second)
    check(await client.offsets("s", 1), [1], "what follows")
    check((await client.next("live"))["recovered"], True, "recovered")
    check(said(proxy.links[1], "auth")[0]["token"], second, "the second token")


@scenario
async def token_renewed(stage: Stage) -> None:
    """Told that its token ends soon (`token_expiring`), the client asks for another and shows it on the same connection: subscriptions go on, and the
    end of the old token ends nothing."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    await give(client, token_of("ada", 10))
    await client.next("live")
    await give(client, token_of("ada", 600))
    link = proxy.links[0]
    await proxy.until(lambda: sum(message["type"] == "authenticated" for message in link.heard) == 2)
    # With a second to spare the old token is over by now, on the server's own clock.
    first_end_s = next(message["expires_at_s"] for message in link.heard if message["type"] == "token_expiring")
    await until_the_server_says(server, stage, client, first_end_s + 2)
    check((len(proxy.links), len(said(link, "subscribe"))), (1, 1), "connections and subscriptions")
    check(client.untaken("state", state="waiting"), [], "what was lost")


async def until_the_server_says(server, stage: Stage, client: Adapter, at_s: int) -> None:
    """Publishes and hears, until the server's time is past a moment."""
    while True:
        await server.publish(stage.topic(), {"n": 1})
        [event] = await client.events("s", 1)
        if event["time_us"] >= at_s * 1_000_000:
            return


@scenario
async def token_expired(stage: Stage) -> None:
    """A token that is over although the client has been asked for another (4001) is no end: once its application answers it comes back with the new one,
    and resumes without a gap."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    await give(client, token_of("ada", 6))
    await client.next("live")
    await client.next("token_wanted")
    check((waiting := await client.state("waiting"))["code"], 4001, "why it waits")
    check(waiting["cause"], "expired", "why it waits")
    await server.publish(stage.topic(), *numbered(1, 2))
    fresh = token_of("ada", 600)
    # The question that is still open may be taken for the new connection's, or be asked anew.
    client.do("token", token=fresh)
    client.do("token", token=fresh)
    check(await client.offsets("s", 2), [1, 2], "what follows")
    check((await client.next("live"))["recovered"], True, "recovered")
    check(client.untaken("gap"), [], "gaps")


@scenario
async def token_refused(stage: Stage) -> None:
    """A token that the server refuses has the client ask for another on the same connection, three times at most; then it is `closed` with the cause
    `refused`, its subscriptions end, and it does not come back."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    for refused in ("nonsense", token_of("ada", -60), "nonsense"):
        client.do("token", token=refused)
    check((await client.state("closed"))["cause"], "refused", "why it is closed")
    await client.next("ended", id="s", code="closed")
    hold(2 <= len(client.untaken("token_wanted")) <= 3, "it asks two or three times")
    check(len(proxy.attempts), 1, "attempts")


@scenario
async def token_missing(stage: Stage) -> None:
    """A token that the application cannot give just then is an attempt that comes to nothing: the client waits with the cause `no_token`, and asks again."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    for _ in range(2):
        await give(client, None)
        check((await client.state("waiting"))["cause"], "no_token", "why it waits")
    await give(client, token_of("ada", 600))
    await client.next("live")


@scenario
async def token_revoked(stage: Stage) -> None:
    """A token that is revoked while it is used ends the connection (1008): the client comes back with another one, and resumes."""
    secret = stage.folder / "admin-secret"
    secret.write_text(ADMIN)
    server = await stage.serve_with_tokens(admin=str(secret))
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    client.do("subscribe", id="s", options={"topics": [stage.topic()]})
    await give(client, token_of("ada", 600, jti="the first"))
    await client.next("live")
    await server.revoke("the first", ADMIN)
    waiting = await client.state("waiting")
    check((waiting["code"], waiting["cause"]), (1008, "revoked"), "why it waits")
    await server.publish(stage.topic(), {"n": 1})
    await give(client, token_of("ada", 600, jti="the second"))
    check(await client.offsets("s", 1), [1], "what follows")


@scenario
async def token_narrower(stage: Stage) -> None:
    """A subscription that the new token does not cover ends with `token`; others go on, and what is not allowed from the start ends with `forbidden`."""
    server = await stage.serve_with_tokens()
    proxy = await stage.proxy(server)
    client = await stage.client(proxy, token=True)
    for id in ("a", "b"):
        client.do("subscribe", id=id, options={"topics": [stage.topic(id)]})
    await give(client, token_of("ada", 20))
    await client.next("live", id="a")
    await client.next("live", id="b")
    grants = {"subscribe": [stage.topic("a")], "publish": []}
    await give(client, token_of("ada", 600, fanwire=grants))
    await client.next("ended", id="b", code="token")
    client.do("subscribe", id="c", options={"topics": [stage.topic("b")]})
    await client.next("ended", id="c", code="forbidden")
    await server.publish(stage.topic("a"), {"n": 1})
    check(await client.offsets("a", 1), [1], "what is still allowed")
