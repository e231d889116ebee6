// The Go client as the conformance script drives it: lines of JSON in, lines of JSON out. docs/CLIENTS.md has what each means.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"fanwire.test/clients/fanwire"
)

type order struct {
	Do        string                     `json:"do"`
	URL       string                     `json:"url"`
	Token     json.RawMessage            `json:"token"`
	SilenceMs *int64                     `json:"silence_ms"`
	SteadyMs  *int64                     `json:"steady_ms"`
	ID        string                     `json:"id"`
	Options   map[string]json.RawMessage `json:"options"`
	Changes   map[string]json.RawMessage `json:"changes"`
	Ref       string                     `json:"ref"`
	Topic     string                     `json:"topic"`
	Key       *string                    `json:"key"`
	Op        *string                    `json:"op"`
	Payload   json.RawMessage            `json:"payload"`
}

type line map[string]any

var out sync.Mutex

func say(said line) {
	text, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Printf("%s\n", text)
}

func sayError(heard, name, of string, err error) {
	var told fanwire.Error
	if !errors.As(err, &told) {
		told = fanwire.Error{Code: "unknown", Message: err.Error()}
	}
	said := line{"heard": heard, "code": told.Code, "message": told.Message}
	if name != "" {
		said[name] = of
	}
	if told.Field != "" {
		said["field"] = told.Field
	}
	say(said)
}

var (
	client        *fanwire.Client
	subscriptions = map[string]*fanwire.Subscription{}
	tokens        = make(chan *string, 64)
)

func fetch() (string, error) {
	say(line{"heard": "token_wanted"})
	token := <-tokens
	if token == nil {
		return "", errors.New("there is none to be had")
	}
	return *token, nil
}

func sayState(state fanwire.State) {
	said := line{"heard": "state", "state": state.State}
	switch state.State {
	case "open":
		said["epoch"] = state.Epoch
	case "waiting":
		said["wait_ms"] = float64(state.Wait) / float64(time.Millisecond)
		fallthrough
	case "closed":
		said["cause"], said["code"], said["reason"] = state.Cause, state.Code, state.Reason
	}
	say(said)
}

func milliseconds(given *int64, usual time.Duration) time.Duration {
	if given == nil {
		return usual
	}
	return time.Duration(*given) * time.Millisecond
}

func open(o order) {
	options := fanwire.Options{
		OnState: sayState,
		OnError: func(err fanwire.Error) { sayError("error", "", "", err) },
		Silence: milliseconds(o.SilenceMs, 20*time.Second),
		Steady:  milliseconds(o.SteadyMs, 5*time.Second),
	}
	if string(o.Token) == "true" {
		options.Token = fetch
	}
	opened, err := fanwire.Open(o.URL, options)
	if err != nil {
		panic(err)
	}
	client = opened
}

func handlers(id string) fanwire.Handlers {
	return fanwire.Handlers{
		Subscribed: func() { say(line{"heard": "subscribed", "id": id}) },
		Event:      func(event fanwire.Event) { say(line{"heard": "event", "id": id, "event": event}) },
		Gap:        func(gap fanwire.Gap) { say(line{"heard": "gap", "id": id, "gap": gap}) },
		Skipped:    func(count uint64) { say(line{"heard": "skipped", "id": id, "count": count}) },
		Live: func(recovered bool, replayed uint64) {
			say(line{"heard": "live", "id": id, "recovered": recovered, "replayed": replayed})
		},
		Ended: func(why fanwire.Error) { sayError("ended", "id", id, why) },
	}
}

func publish(o order) {
	said := map[string]any{"topic": o.Topic}
	if o.Key != nil {
		said["key"] = *o.Key
	}
	if o.Op != nil {
		said["op"] = *o.Op
	}
	if o.Payload != nil {
		said["payload"] = o.Payload
	}
	answer := client.Publish(said)
	go func() {
		epoch, event, err := answer()
		if err != nil {
			sayError("failed", "ref", o.Ref, err)
			return
		}
		said := line{"topic": event.Topic, "epoch": epoch, "offset": event.Offset, "time_us": event.TimeUs}
		say(line{"heard": "published", "ref": o.Ref, "answer": said})
	}()
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		switch o.Do {
		case "open":
			open(o)
		case "subscribe":
			subscriptions[o.ID] = client.Subscribe(o.ID, o.Options, handlers(o.ID))
		case "update":
			done := subscriptions[o.ID].Update(o.Changes)
			go func() {
				if err := <-done; err != nil {
					sayError("failed", "id", o.ID, err)
				} else {
					say(line{"heard": "updated", "id": o.ID})
				}
			}()
		case "unsubscribe":
			subscriptions[o.ID].Unsubscribe()
		case "publish":
			publish(o)
		case "position":
			say(line{"heard": "position", "id": o.ID, "position": subscriptions[o.ID].Position()})
		case "token":
			var token *string
			if err := json.Unmarshal(o.Token, &token); err != nil {
				panic(err)
			}
			tokens <- token
		case "close":
			client.Close()
			return
		}
	}
}
