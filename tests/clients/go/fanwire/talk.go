package fanwire

import (
	"encoding/json"
	"time"
)

// talk is what one connection hears.
type talk struct {
	client  *Client
	token   string
	tries   int
	epoch   string
	isOpen  bool
	verdict *lost
}

func (t *talk) hear(said *message) {
	c := t.client
	c.lock.Lock()
	defer c.lock.Unlock()
	switch said.Type {
	case "welcome":
		t.epoch = said.Epoch
		if c.options.Token == nil {
			t.open()
		} else {
			t.show(t.token)
		}
	case "event":
		t.event(said)
	case "batch":
		for at := range said.Events {
			t.event(&said.Events[at])
		}
	case "gap":
		for _, s := range t.subscriptions(said) {
			s.gap(Gap{said.Event.Topic, said.From, said.To, said.Reason})
		}
	case "skipped":
		for _, s := range t.subscriptions(said) {
			s.handlers.Skipped(said.Count)
		}
	case "subscribed", "live", "updated", "unsubscribed":
		t.answered(said)
	case "published", "pong", "authenticated":
		t.settle(said, nil)
	case "error":
		t.object(said)
	case "reconnect":
		c.advice, c.isAdvised = time.Duration(said.AfterMs)*time.Millisecond, true
	case "token_expiring":
		if c.options.Token != nil {
			go t.fetchAndShow()
		}
	}
}

func (t *talk) event(said *message) {
	event := said.Event
	if said.TimeUs != nil {
		event.TimeUs = *said.TimeUs
	}
	for _, s := range t.subscriptions(said) {
		s.event(event)
	}
}

func (t *talk) subscriptions(said *message) []*Subscription {
	var found []*Subscription
	for _, id := range said.Subs {
		if s, is := t.client.subscriptions[id]; is {
			found = append(found, s)
		}
	}
	return found
}

func (t *talk) answered(said *message) {
	var id string
	if json.Unmarshal(said.ID, &id) != nil {
		return
	}
	s, is := t.client.subscriptions[id]
	if !is || !s.isAsked {
		return
	}
	switch said.Type {
	case "subscribed":
		s.agreed()
	case "live":
		s.live(said)
	case "updated":
		s.updated()
	case "unsubscribed":
		// What was said of another one with this id comes before anything is agreed to.
		if s.isAgreed {
			code := said.Reason
			if code == "" {
				code = "unsubscribed"
			}
			s.end(Error{Code: code})
		}
	}
}

func (t *talk) settle(said *message, err error) bool {
	var id uint64
	if json.Unmarshal(said.ID, &id) != nil {
		return false
	}
	answered, is := t.client.requests[id]
	if is {
		delete(t.client.requests, id)
		answered <- answer{said, err}
	}
	return is
}

func (t *talk) object(said *message) {
	if t.settle(said, said.Error) {
		return
	}
	var id string
	if json.Unmarshal(said.ID, &id) == nil {
		if s, is := t.client.subscriptions[id]; is {
			s.refused(said.Error)
			return
		}
	}
	if t.client.options.OnError != nil {
		t.client.options.OnError(said.Error)
	}
}

// open says that the client is here. The lock is held.
func (t *talk) open() {
	c := t.client
	t.isOpen, c.isOpen, c.epoch = true, true, t.epoch
	c.become(State{State: "open", Epoch: t.epoch})
	socket := c.socket
	if c.options.Steady == 0 {
		c.failures = 0
	}
	time.AfterFunc(c.options.Steady, func() {
		c.lock.Lock()
		defer c.lock.Unlock()
		if c.socket == socket {
			c.failures = 0
		}
	})
	for _, s := range c.inOrder() {
		s.begin(c.epoch)
	}
	for _, said := range c.unsent {
		c.say(said)
	}
	c.unsent = nil
}

// show shows a token, and looks at the answer beside. The lock is held.
func (t *talk) show(token string) {
	t.tries++
	said := map[string]any{"type": "auth", "token": token}
	answered := t.client.ask(said)
	t.client.say(said)
	go func() {
		got := <-answered
		t.client.lock.Lock()
		defer t.client.lock.Unlock()
		refused, isRefused := got.err.(Error)
		switch {
		case isRefused && refused.Code != "forbidden":
		case isRefused && t.tries < tokenTries:
			go t.fetchAndShow()
		case isRefused && !t.isOpen:
			t.verdict = &lost{cause: "refused", reason: refused.Message, isFinal: true}
			t.client.socket.Close()
		case isRefused:
			if t.client.options.OnError != nil {
				t.client.options.OnError(refused)
			}
		default:
			t.tries = 0
			if !t.isOpen {
				t.open()
			}
		}
	}()
}

// fetchAndShow asks the application for a token, and shows it if the connection is still the one that it was asked for.
func (t *talk) fetchAndShow() {
	socket := t.client.socketNow()
	token, err := t.client.options.Token()
	t.client.lock.Lock()
	defer t.client.lock.Unlock()
	switch {
	case t.client.socket != socket || socket == nil:
	case err == nil:
		t.show(token)
	case !t.isOpen:
		t.verdict = &lost{cause: "no_token", reason: err.Error()}
		socket.Close()
	case t.client.options.OnError != nil:
		t.client.options.OnError(Error{Code: "no_token", Message: err.Error()})
	}
}
