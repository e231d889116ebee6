// Package fanwire is a small client of the protocol `fanwire.v1`, written from docs/dialects/native.md and docs/CLIENTS.md alone, to see that these are enough.
//
// It keeps what those pages promise: events in order, each once; a gap where something is missing; a connection that is made again and again; a publish that is
// answered or fails. It has no queue between the connection and its handlers, which are called one after the other.
package fanwire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	backoffMin  = 100 * time.Millisecond
	backoffMax  = 10 * time.Second
	adviceMax   = time.Hour
	requestsMax = 10_000
	messageMax  = 16 << 20
	tokenTries  = 3
)

// Error is what the server refused, or why there is no answer.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func (e Error) Error() string { return e.Code + ": " + e.Message }

// State is where the client stands, and why.
type State struct {
	State  string
	Epoch  string
	Cause  string
	Code   int
	Reason string
	Wait   time.Duration
}

// Options of a client. Token, OnState and OnError may be nil.
type Options struct {
	Token           func() (string, error)
	OnState         func(State)
	OnError         func(Error)
	Silence, Steady time.Duration
}

// Client is one server, to which it connects again and again.
type Client struct {
	url     string
	options Options

	lock          sync.Mutex
	subscriptions map[string]*Subscription
	order         []string
	requests      map[uint64]chan answer
	unsent        []map[string]any
	nextID        uint64
	epoch         string
	socket        *websocket.Conn
	said          chan any
	failures      int
	advice        time.Duration
	isAdvised     bool
	isOpen        bool
	closed        chan struct{}
	isClosed      bool
}

type answer struct {
	message *message
	err     error
}

// message is anything that the server says; what it does not say is empty.
type message struct {
	Type string          `json:"type"`
	ID   json.RawMessage `json:"id"`
	Subs []string        `json:"subs"`
	Event
	From     uint64            `json:"from"`
	To       uint64            `json:"to"`
	Reason   string            `json:"reason"`
	Count    uint64            `json:"count"`
	Epoch    string            `json:"epoch"`
	Offsets  map[string]uint64 `json:"offsets"`
	TimeUs   *uint64           `json:"time_us"`
	Replayed uint64            `json:"replayed"`
	AfterMs  int64             `json:"after_ms"`
	Events   []message         `json:"events"`
	Error
}

// lost says why a connection ended.
type lost struct {
	cause   string
	code    int
	reason  string
	isFinal bool
}

// Open begins to connect.
func Open(address string, options Options) (*Client, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if scheme, is := map[string]string{"http": "ws", "https": "wss"}[parsed.Scheme]; is {
		parsed.Scheme = scheme
	}
	if parsed.Path == "" || parsed.Path == "/" {
		parsed.Path = "/v1/ws"
	}
	c := &Client{
		url: parsed.String(), options: options, subscriptions: map[string]*Subscription{}, requests: map[uint64]chan answer{}, closed: make(chan struct{}),
	}
	go c.live()
	return c, nil
}

// Subscribe asks for events. Options are the protocol's.
func (c *Client) Subscribe(id string, options map[string]json.RawMessage, handlers Handlers) *Subscription {
	c.lock.Lock()
	defer c.lock.Unlock()
	s := &Subscription{id: id, client: c, options: options, handlers: handlers, progress: newProgress(options["since"])}
	delete(options, "since")
	c.subscriptions[id] = s
	c.order = append(c.order, id)
	if c.isOpen {
		s.begin(c.epoch)
	}
	return s
}

// Publish says an event; what it returns waits for the event's place.
func (c *Client) Publish(said map[string]any) func() (epoch string, event Event, err error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.isClosed || len(c.requests) >= requestsMax {
		return func() (string, Event, error) {
			return "", Event{}, Error{Code: "queue_full", Message: "the client is closed, or too much waits already"}
		}
	}
	said["type"] = "publish"
	answered := c.ask(said)
	if c.isOpen {
		c.say(said)
	} else {
		c.unsent = append(c.unsent, said)
	}
	return func() (string, Event, error) {
		got := <-answered
		if got.err != nil {
			return "", Event{}, got.err
		}
		event := got.message.Event
		if got.message.TimeUs != nil {
			event.TimeUs = *got.message.TimeUs
		}
		return got.message.Epoch, event, nil
	}
}

// Close is the end.
func (c *Client) Close() {
	c.lock.Lock()
	if c.isClosed {
		c.lock.Unlock()
		return
	}
	c.isClosed = true
	close(c.closed)
	if c.socket != nil {
		goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		c.socket.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
		c.socket.Close()
	}
	c.end(Error{Code: "closed", Message: "the client is closed"})
	c.lock.Unlock()
	c.become(State{State: "closed", Cause: "closed"})
}

func (c *Client) become(state State) {
	if c.options.OnState != nil {
		c.options.OnState(state)
	}
}

// ask makes a request's id. The lock is held.
func (c *Client) ask(said map[string]any) chan answer {
	c.nextID++
	said["id"] = c.nextID
	answered := make(chan answer, 1)
	c.requests[c.nextID] = answered
	return answered
}

// say sends over the connection, if there is one. The lock is held.
func (c *Client) say(said any) {
	if c.said == nil {
		return
	}
	select {
	case c.said <- said:
	default:
		// The server does not read any more.
		c.socket.Close()
	}
}

func (c *Client) end(why Error) {
	for id, answered := range c.requests {
		answered <- answer{err: why}
		delete(c.requests, id)
	}
	c.unsent = nil
	for _, s := range c.inOrder() {
		s.end(why)
	}
}

// inOrder has the subscriptions in the order in which they were made.
func (c *Client) inOrder() []*Subscription {
	var found []*Subscription
	var order []string
	for _, id := range c.order {
		if s, is := c.subscriptions[id]; is && (len(order) == 0 || order[len(order)-1] != id) {
			found, order = append(found, s), append(order, id)
		}
	}
	c.order = order
	return found
}

// live makes one connection after the other.
func (c *Client) live() {
	for {
		c.become(State{State: "connecting"})
		why := c.connection()
		c.lock.Lock()
		if c.isClosed {
			c.lock.Unlock()
			return
		}
		c.lose(why)
		if why.isFinal {
			c.isClosed = true
			c.end(Error{Code: "closed", Message: fmt.Sprintf("%d %s", why.code, why.reason)})
			c.lock.Unlock()
			c.become(State{State: "closed", Cause: why.cause, Code: why.code, Reason: why.reason})
			return
		}
		ceiling := min(backoffMax, backoffMin<<min(c.failures, 10))
		wait := time.Duration(rand.Float64() * float64(ceiling))
		if c.isAdvised {
			wait, why.cause = min(c.advice, adviceMax), "stopping"
		}
		c.isAdvised = false
		c.failures++
		c.lock.Unlock()
		c.become(State{State: "waiting", Cause: why.cause, Code: why.code, Reason: why.reason, Wait: wait})
		select {
		case <-time.After(wait):
		case <-c.closed:
			return
		}
	}
}

func (c *Client) lose(why lost) {
	c.isOpen, c.socket, c.said = false, nil, nil
	unsent := map[any]bool{}
	for _, said := range c.unsent {
		unsent[said["id"]] = true
	}
	for id, answered := range c.requests {
		if !unsent[id] {
			answered <- answer{err: Error{Code: "connection_lost", Message: why.reason}}
			delete(c.requests, id)
		}
	}
	for _, s := range c.inOrder() {
		s.lose()
	}
}

// connection is one connection, from its opening to its end.
func (c *Client) connection() lost {
	token := ""
	if c.options.Token != nil {
		var err error
		if token, err = c.options.Token(); err != nil {
			return lost{cause: "no_token", reason: err.Error()}
		}
	}
	dialer := websocket.Dialer{Subprotocols: []string{"fanwire.v1"}, HandshakeTimeout: 10 * time.Second}
	socket, response, err := dialer.Dial(c.url, nil)
	if err != nil {
		return refused(response, err)
	}
	socket.SetReadLimit(messageMax)
	defer socket.Close()
	said, over := make(chan any, 2*requestsMax), make(chan struct{})
	defer close(over)
	go write(socket, said, over)
	c.lock.Lock()
	c.socket, c.said = socket, said
	isClosed := c.isClosed
	c.lock.Unlock()
	if isClosed {
		return lost{}
	}
	return c.read(socket, token)
}

// write sends what is said, until the connection is over.
func write(socket *websocket.Conn, said <-chan any, over <-chan struct{}) {
	for {
		select {
		case message := <-said:
			if socket.WriteJSON(message) != nil {
				return
			}
		case <-over:
			return
		}
	}
}

func refused(response *http.Response, err error) lost {
	if response == nil {
		return lost{cause: "lost", code: 1006, reason: err.Error()}
	}
	status := response.StatusCode
	passes := status >= 500 || status == 408 || status == 425 || status == 429
	if passes {
		return lost{cause: "lost", code: status, reason: err.Error()}
	}
	return lost{cause: "mistake", code: status, reason: err.Error(), isFinal: true}
}

// read takes messages until there are no more.
func (c *Client) read(socket *websocket.Conn, token string) lost {
	heard := make(chan struct{}, 1)
	over := make(chan struct{})
	defer close(over)
	silent := make(chan struct{})
	go c.watch(socket, heard, over, silent)
	talk := &talk{client: c, token: token}
	for {
		_, text, err := socket.ReadMessage()
		if err != nil {
			select {
			case <-silent:
				return lost{cause: "silent", code: 1006, reason: "nothing was heard from the server"}
			default:
			}
			if talk.verdict != nil {
				return *talk.verdict
			}
			return c.judged(err)
		}
		select {
		case heard <- struct{}{}:
		default:
		}
		var said message
		if err := json.Unmarshal(text, &said); err != nil {
			return lost{cause: "mistake", code: 1002, reason: err.Error(), isFinal: true}
		}
		talk.hear(&said)
	}
}

func (c *Client) judged(err error) lost {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return lost{cause: "lost", code: 1006, reason: err.Error()}
	}
	why := lost{cause: "lost", code: closed.Code, reason: closed.Text}
	causes := map[string]string{"token expired": "expired", "token revoked": "revoked", "authentication required": "required"}
	switch cause, isToken := causes[closed.Text]; {
	case closed.Code == 1002 || closed.Code == 1003 || closed.Code == 1007 || closed.Code == 1009:
		why.cause, why.isFinal = "mistake", true
	case isToken:
		why.cause, why.isFinal = cause, c.options.Token == nil
	}
	return why
}

// watch asks whether the server is there when it is quiet, and gives it up when it stays so.
func (c *Client) watch(socket *websocket.Conn, heard, over <-chan struct{}, silent chan<- struct{}) {
	isAsked := false
	for {
		select {
		case <-heard:
			isAsked = false
		case <-over:
			return
		case <-time.After(c.options.Silence):
			if isAsked {
				close(silent)
				socket.Close()
				return
			}
			isAsked = true
			c.lock.Lock()
			if c.socket == socket {
				c.say(map[string]any{"type": "ping"})
			}
			c.lock.Unlock()
		}
	}
}

func (c *Client) socketNow() *websocket.Conn {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.socket
}
