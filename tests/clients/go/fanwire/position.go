package fanwire

import (
	"encoding/json"
	"strings"
)

const topicsMax = 65_536

// Position is a place in any number of topics, as `since` has it.
type Position struct {
	Epoch         string            `json:"epoch"`
	Offsets       map[string]uint64 `json:"offsets"`
	TimeUs        *uint64           `json:"time_us,omitempty"`
	FilterChanged bool              `json:"filter_changed,omitempty"`
}

func newPosition(epoch string) *Position {
	return &Position{Epoch: epoch, Offsets: map[string]uint64{}}
}

func (p *Position) advance(topic string, offset uint64) {
	known, is := p.Offsets[topic]
	if (is && offset > known) || (!is && len(p.Offsets) < topicsMax) {
		p.Offsets[topic] = offset
	}
}

// progress says what a subscription asks for when it begins anew.
type progress struct {
	// What was asked for first; nil once there is a position.
	since json.RawMessage
	// Where it stands.
	place *Position
	// What was told of a replay that cannot be gone on with by itself.
	seen *Position
}

func newProgress(since json.RawMessage) *progress {
	var place Position
	if json.Unmarshal(since, &place) == nil && place.Epoch != "" {
		if place.Offsets == nil {
			place.Offsets = map[string]uint64{}
		}
		return &progress{place: &place}
	}
	return &progress{since: since}
}

// begin answers what to ask a server of this epoch for; nil: for what happens from now on.
func (p *progress) begin(epoch string) json.RawMessage {
	seen := p.seen
	p.seen = nil
	if seen != nil && seen.Epoch != epoch {
		seen = nil
	}
	switch moment, isMoment := p.moment(); {
	case p.place != nil && p.place.Epoch == epoch:
	case p.place == nil && seen != nil && isMoment:
		seen.TimeUs, p.place = &moment, seen
	case seen != nil:
		p.seen = seen
	default:
		p.seen = newPosition(epoch)
	}
	if p.place == nil {
		return p.since
	}
	said, _ := json.Marshal(p.place)
	return said
}

// moment is that behind which everything is asked for, if that is what is asked for.
func (p *progress) moment() (uint64, bool) {
	var word string
	if json.Unmarshal(p.since, &word) == nil {
		return 0, word == "earliest"
	}
	var since struct {
		TimeUs *uint64 `json:"time_us"`
	}
	if json.Unmarshal(p.since, &since) != nil || since.TimeUs == nil {
		return 0, false
	}
	return max(*since.TimeUs, 1) - 1, true
}

func (p *progress) hasSeen(topic string, offset uint64) bool {
	if p.seen == nil {
		return false
	}
	known, is := p.seen.Offsets[topic]
	return is && known >= offset
}

func (p *progress) advance(topic string, offset uint64) {
	// A pattern is no place to come back to.
	if strings.Contains(topic, "*") {
		return
	}
	if p.seen != nil {
		p.seen.advance(topic, offset)
	} else if p.place != nil {
		p.place.advance(topic, offset)
	}
}

func (p *progress) live(epoch string, offsets map[string]uint64, timeUs *uint64) {
	place := p.seen
	if place == nil {
		place = p.place
	}
	if place == nil || place.Epoch != epoch {
		place = newPosition(epoch)
	}
	for topic, offset := range offsets {
		place.advance(topic, offset)
	}
	if timeUs != nil {
		place.TimeUs = timeUs
	}
	p.place, p.seen = place, nil
}

func (p *progress) filterChanged() {
	for _, place := range []*Position{p.place, p.seen} {
		if place != nil {
			place.FilterChanged = true
		}
	}
}

// position is nil while a replay is under way that has none.
func (p *progress) position() *Position {
	if p.seen != nil {
		return nil
	}
	return p.place
}
