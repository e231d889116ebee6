"""Hooks for ResolveSpec: who a client is, and which tenant's rows it sees. Python's own library is enough: `python3 hooks.py [secret-file] [port]`.

Each client shows a token of TOKENS, as `?token=…` or `Authorization: Bearer …`. It sees and changes rows of its tenant only, new rows are its tenant's, and nobody but admins sees wages.
"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Who is who. A service of yours knows this; here it is a list.
TOKENS = {
    "ada-of-red": {"user": "ada", "tenant": "red", "roles": ["admin"]},
    "bob-of-blue": {"user": "bob", "tenant": "blue", "roles": []},
    "cyd-of-red": {"user": "cyd", "tenant": "red", "roles": []},
}
# Seconds for which a signed call is good.
FRESH_S = 300


def before_connect(call):
    """Lets in whoever shows a token that is known, and says what it sees of every table, for as long as it is connected."""
    shown = call["credentials"]
    bearer = (shown["authorization"] or "").removeprefix("Bearer ")
    known = TOKENS.get(shown["token"] or bearer)
    if known is None:
        return {"abort": True, "message": "authentication required"}
    return {
        "user": known["user"],
        "roles": known["roles"],
        "metadata": {"tenant": known["tenant"]},
        "filters": [{"column": "tenant", "operator": "eq", "value": known["tenant"]}],
        "mask": {} if "admin" in known["roles"] else {"public.users": ["wage"]},
    }


def before_create(call):
    """A new row is its writer's tenant's, whatever the writer says."""
    return {"data": {**(call["data"] or {}), "tenant": call["metadata"]["tenant"]}}


def before_delete(call):
    """Only admins delete users."""
    if call["table"] == "public.users" and "admin" not in call["roles"]:
        return {"abort": True, "message": "delete not allowed for users"}
    return {}


def after_update(call):
    """Writes down who changed what. A row of this log is written before the writer is answered."""
    print(f"{call['user']} changed {call['table']} {call['record_id']}: {json.dumps(call['data'])}", flush=True)
    return {}


HOOKS = {hook.__name__: hook for hook in (before_connect, before_create, before_delete, after_update)}


def is_signed(header, body, secret):
    """Whether the server that has the secret has sent this, and lately."""
    parts = dict(part.split("=", 1) for part in (header or "").split(",") if "=" in part)
    sent, signature = parts.get("t", ""), parts.get("v1", "")
    expected = hmac.new(secret, sent.encode() + b"." + body, hashlib.sha256).hexdigest()
    return sent.isdigit() and abs(time.time() - int(sent)) <= FRESH_S and hmac.compare_digest(signature, expected)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # Connections are kept.
    disable_nagle_algorithm = True
    secret = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.secret is not None and not is_signed(self.headers["fanwire-signature"], body, self.secret):
            return self.answer(401, {})
        hook = HOOKS.get(self.headers["fanwire-hook"])
        if hook is None:
            return self.answer(404, {})
        return self.answer(200, hook(json.loads(body)))

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with open(sys.argv[1], "rb") as file:
            Handler.secret = file.read().rstrip(b"\r\n")
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 9000
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"hooks at http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
