"""A client of ResolveSpec over MQTT, in Python, and a round with it: `python3 mqtt_client.py [host:port]`. It needs the package `paho-mqtt`."""

import itertools
import json
import queue
import sys
import threading
import uuid

import paho.mqtt.client as mqtt

PATIENCE_S = 30


class ResolveSpecError(Exception):
    """Why a request was not carried out."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]


class ResolveSpec:
    """One connection. Requests wait for their answers; subscriptions are functions that hear notifications."""

    def __init__(self, host, port, client_id=None, token=None, prefix="spec"):
        self.client_id = client_id or uuid.uuid4().hex
        self._base = f"{prefix}/{self.client_id}"
        self._ids = itertools.count(1)
        self._waiting, self._subscribed, self._ready = {}, {}, threading.Event()
        self._mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.client_id, protocol=mqtt.MQTTv5)
        if token:
            self._mqtt.username_pw_set("", token)
        # Also after a connection that was lost; subscriptions to rows end with it.
        self._mqtt.on_connect = lambda client, *_: client.subscribe([(f"{self._base}/response", 1), (f"{self._base}/notify/+", 1)])
        self._mqtt.on_subscribe = lambda *_: self._ready.set()
        self._mqtt.on_message = lambda _client, _data, message: self._hear(json.loads(message.payload))
        self._mqtt.connect(host, port)
        self._mqtt.loop_start()
        if not self._ready.wait(PATIENCE_S):
            raise TimeoutError("the server does not answer")

    def close(self):
        self._mqtt.disconnect()
        self._mqtt.loop_stop()

    def read(self, entity, options=None, record_id=""):
        """Rows and what is said of them; with `record_id` one row."""
        answer = self._request("read", entity, options=options or {}, record_id=record_id)
        return answer["data"], answer["metadata"]

    def create(self, entity, data):
        return self._request("create", entity, data=data)["data"]

    def update(self, entity, record_id, data):
        return self._request("update", entity, record_id=record_id, data=data)["data"]

    def delete(self, entity, record_id):
        return self._request("delete", entity, record_id=record_id)["data"]

    def subscribe(self, entity, heard, filters=()):
        """Has `heard` called with each notification, by the thread that hears; returns the subscription's id."""

        def answered(answer):
            self._subscribed[answer["data"]["subscription_id"]] = heard

        message = {"type": "subscription", "operation": "subscribe", "entity": entity, "options": {"filters": list(filters)}}
        return self._ask(message, answered)["data"]["subscription_id"]

    def unsubscribe(self, subscription_id):
        self._ask({"type": "subscription", "operation": "unsubscribe", "subscription_id": subscription_id})
        self._subscribed.pop(subscription_id, None)

    def _request(self, operation, entity, **members):
        return self._ask({"type": "request", "operation": operation, "entity": entity, **members})

    def _ask(self, message, answered=lambda _: None):
        request_id = str(next(self._ids))
        answers = queue.Queue()
        self._waiting[request_id] = (answers, answered)
        self._mqtt.publish(f"{self._base}/request", json.dumps({"id": request_id, **message}), qos=1)
        answer = answers.get(timeout=PATIENCE_S)
        if answer.get("success") is False:
            raise ResolveSpecError(answer["error"])
        return answer

    def _hear(self, message):
        if message["type"] == "notification":
            heard = self._subscribed.get(message["subscription_id"])
            if heard:
                heard(message)
            return
        answers, answered = self._waiting.pop(message["id"], (None, None))
        if answers is None:
            return
        if message.get("success") is not False:
            answered(message)
        answers.put(message)


def main(where):
    host, port = where.rsplit(":", 1)
    client = ResolveSpec(host, int(port))
    heard = queue.Queue()
    red = [{"column": "team", "operator": "eq", "value": "red"}]
    subscription = client.subscribe("users", heard.put, red)

    def say_heard():
        told = heard.get(timeout=PATIENCE_S)
        print("heard:", told["operation"], json.dumps(told["data"]))

    ada = client.create("users", {"name": "Ada", "team": "red", "age": 36})
    say_heard()
    client.create("users", {"name": "Bob", "team": "blue", "age": 7})
    client.create("posts", {"user_id": ada["id"], "title": "Notes"})
    options = {"filters": [{"column": "age", "operator": "gte", "value": 18}], "preload": [{"relation": "posts"}]}
    rows, said = client.read("users", options)
    titles = [(row["name"], [post["title"] for post in row["posts"]]) for row in rows]
    print(f"{said['count']} of {said['total']}: {titles}")
    client.update("users", str(ada["id"]), {"age": 37})
    say_heard()
    client.delete("users", str(ada["id"]))
    say_heard()
    try:
        client.read("users", record_id=str(ada["id"]))
    except ResolveSpecError as error:
        print(error)
    client.unsubscribe(subscription)
    client.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:1883")
