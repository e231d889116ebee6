package fanwire

import (
	"encoding/json"
)

// Event is something that happened.
type Event struct {
	Topic   string          `json:"topic"`
	Key     string          `json:"key,omitempty"`
	Op      string          `json:"op"`
	Offset  uint64          `json:"offset"`
	TimeUs  uint64          `json:"time_us"`
	Payload json.RawMessage `json:"payload"`
}

// Gap is events of a topic that are not coming.
type Gap struct {
	Topic  string `json:"topic"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"`
}

// Handlers are told what a subscription is told, in its order, one after the other. None of them may be nil, and none may call the client.
type Handlers struct {
	Subscribed func()
	Event      func(Event)
	Gap        func(Gap)
	Skipped    func(count uint64)
	Live       func(recovered bool, replayed uint64)
	Ended      func(Error)
}

type pending struct {
	// None: the end of the subscription.
	changes map[string]json.RawMessage
	done    chan error
}

// Subscription is a standing wish; it outlives connections.
type Subscription struct {
	id       string
	client   *Client
	options  map[string]json.RawMessage
	handlers Handlers
	progress *progress
	pending  []pending
	// There is a connection on which it was asked for, and the server has agreed there.
	isAsked, isAgreed bool
	// The server has agreed once.
	wasAgreed bool
	isLive    bool
	hasGap    bool
}

// Update changes options from here on; `null` takes one away.
func (s *Subscription) Update(changes map[string]json.RawMessage) <-chan error {
	return s.ask(changes)
}

// Unsubscribe ends it; `Handlers.Ended` is told when nothing further can come.
func (s *Subscription) Unsubscribe() <-chan error {
	return s.ask(nil)
}

func (s *Subscription) ask(changes map[string]json.RawMessage) <-chan error {
	s.client.lock.Lock()
	defer s.client.lock.Unlock()
	asked := pending{changes, make(chan error, 1)}
	switch {
	case s.client.subscriptions[s.id] != s:
		asked.done <- Error{Code: "unsubscribed", Message: "the subscription has ended"}
	case !s.isAsked && changes == nil:
		asked.done <- nil
		s.end(Error{Code: "unsubscribed"})
	default:
		s.pending = append(s.pending, asked)
		if s.isAsked {
			s.sayPending(asked)
		}
	}
	return asked.done
}

func (s *Subscription) sayPending(asked pending) {
	if asked.changes == nil {
		s.client.say(map[string]any{"type": "unsubscribe", "id": s.id})
		return
	}
	said := map[string]any{"type": "update", "id": s.id}
	for name, value := range asked.changes {
		said[name] = value
	}
	s.client.say(said)
}

// Position is where it stands, to be handed in as `since`; nil before the first replay is complete.
func (s *Subscription) Position() *Position {
	s.client.lock.Lock()
	defer s.client.lock.Unlock()
	place := s.progress.position()
	if place == nil {
		return nil
	}
	copied := *place
	copied.Offsets = map[string]uint64{}
	for topic, offset := range place.Offsets {
		copied.Offsets[topic] = offset
	}
	return &copied
}

func (s *Subscription) begin(epoch string) {
	said := map[string]any{"type": "subscribe", "id": s.id}
	for name, value := range s.options {
		said[name] = value
	}
	if since := s.progress.begin(epoch); since != nil {
		said["since"] = since
	}
	s.isAsked, s.isAgreed, s.isLive, s.hasGap = true, false, false, false
	s.client.say(said)
	for _, asked := range s.pending {
		s.sayPending(asked)
	}
}

func (s *Subscription) lose() {
	s.isAsked, s.isAgreed = false, false
	for _, asked := range s.pending {
		if asked.changes == nil {
			s.end(Error{Code: "unsubscribed"})
			return
		}
	}
}

func (s *Subscription) end(why Error) {
	delete(s.client.subscriptions, s.id)
	for _, asked := range s.pending {
		if asked.changes == nil {
			asked.done <- nil
		} else {
			asked.done <- why
		}
	}
	s.pending = nil
	s.handlers.Ended(why)
}

func (s *Subscription) event(event Event) {
	if s.progress.hasSeen(event.Topic, event.Offset) {
		return
	}
	s.progress.advance(event.Topic, event.Offset)
	s.handlers.Event(event)
}

func (s *Subscription) gap(gap Gap) {
	if s.progress.hasSeen(gap.Topic, gap.To) {
		return
	}
	s.hasGap = s.hasGap || !s.isLive
	s.progress.advance(gap.Topic, gap.To)
	s.handlers.Gap(gap)
}

func (s *Subscription) agreed() {
	s.isAgreed = true
	if !s.wasAgreed {
		s.wasAgreed = true
		s.handlers.Subscribed()
	}
}

func (s *Subscription) live(message *message) {
	s.progress.live(message.Epoch, message.Offsets, message.TimeUs)
	s.isLive = true
	s.handlers.Live(!s.hasGap, message.Replayed)
	s.hasGap = false
}

func (s *Subscription) updated() {
	if len(s.pending) == 0 {
		return
	}
	asked := s.pending[0]
	s.pending = s.pending[1:]
	for name, value := range asked.changes {
		switch {
		case name == "since":
			s.progress = newProgress(value)
			s.progress.begin(s.client.epoch)
			s.isLive, s.hasGap = false, false
		case string(value) == "null":
			delete(s.options, name)
		default:
			s.options[name] = value
		}
		if name == "filter" && string(s.options["leave"]) == "true" {
			s.progress.filterChanged()
		}
	}
	asked.done <- nil
}

// refused is told what the server objects to: answers come in the order of the questions, so while there is an update under way it is about that.
func (s *Subscription) refused(why Error) {
	if !s.isAgreed || len(s.pending) == 0 {
		s.end(why)
		return
	}
	asked := s.pending[0]
	s.pending = s.pending[1:]
	asked.done <- why
}
