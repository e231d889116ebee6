// A client of ResolveSpec's WebSocket, in Go over gorilla/websocket, and a round with it: `go run . [ws://host:port/ws]`.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"

	"github.com/gorilla/websocket"
)

// Filter is one condition.
type Filter struct {
	Column        string `json:"column"`
	Operator      string `json:"operator"`
	Value         any    `json:"value"`
	LogicOperator string `json:"logic_operator,omitempty"`
}

// Sort is one column to sort by: "desc" descends.
type Sort struct {
	Column    string `json:"column"`
	Direction string `json:"direction"`
}

// Preload names a relation whose rows come with each row.
type Preload struct {
	Relation string `json:"relation"`
}

// Options say which rows are read, and what of them.
type Options struct {
	Filters []Filter  `json:"filters,omitempty"`
	Columns []string  `json:"columns,omitempty"`
	Sort    []Sort    `json:"sort,omitempty"`
	Limit   *int      `json:"limit,omitempty"`
	Offset  *int      `json:"offset,omitempty"`
	Preload []Preload `json:"preload,omitempty"`
}

// Notification is a change that a subscription hears.
type Notification struct {
	Operation string          `json:"operation"`
	Schema    string          `json:"schema"`
	Entity    string          `json:"entity"`
	Data      json.RawMessage `json:"data"`
}

// Metadata is what is said of rows that were read.
type Metadata struct {
	Total int `json:"total"`
	Count int `json:"count"`
}

// Error is why a request was not carried out.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

type message struct {
	ID             string   `json:"id"`
	Type           string   `json:"type"`
	Operation      string   `json:"operation,omitempty"`
	Entity         string   `json:"entity,omitempty"`
	RecordID       string   `json:"record_id,omitempty"`
	Data           any      `json:"data,omitempty"`
	Options        *Options `json:"options,omitempty"`
	SubscriptionID string   `json:"subscription_id,omitempty"`
}

type told struct {
	ID             string          `json:"id"`
	Type           string          `json:"type"`
	Success        bool            `json:"success"`
	Data           json.RawMessage `json:"data"`
	Metadata       Metadata        `json:"metadata"`
	Error          *Error          `json:"error"`
	SubscriptionID string          `json:"subscription_id"`
	Operation      string          `json:"operation"`
	Schema         string          `json:"schema"`
	Entity         string          `json:"entity"`
}

type waiting struct {
	answer chan told
	// What its subscription hears, if that is what it asks for.
	hear func(Notification)
}

// Client is one connection. Requests wait for their answers; subscriptions are functions that are called with each notification, one after the other.
type Client struct {
	socket     *websocket.Conn
	mutex      sync.Mutex
	last       int
	waiting    map[string]waiting
	subscribed map[string]func(Notification)
	closed     error
}

// Open connects.
func Open(url string) (*Client, error) {
	socket, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	client := &Client{socket: socket, waiting: map[string]waiting{}, subscribed: map[string]func(Notification){}}
	go client.read()
	return client, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.socket.Close() }

// Read reads rows into rows, a pointer to a slice.
func (c *Client) Read(entity string, options Options, rows any) (Metadata, error) {
	answer, err := c.ask(message{Type: "request", Operation: "read", Entity: entity, Options: &options}, nil)
	if err != nil {
		return Metadata{}, err
	}
	return answer.Metadata, json.Unmarshal(answer.Data, rows)
}

// ReadOne reads the row of a key into row.
func (c *Client) ReadOne(entity, recordID string, row any) error {
	return c.request(message{Operation: "read", Entity: entity, RecordID: recordID}, row)
}

// Create makes a row of data; row is as it is then.
func (c *Client) Create(entity string, data, row any) error {
	return c.request(message{Operation: "create", Entity: entity, Data: data}, row)
}

// Update changes the row of a key; row is as it is then.
func (c *Client) Update(entity, recordID string, data, row any) error {
	return c.request(message{Operation: "update", Entity: entity, RecordID: recordID, Data: data}, row)
}

// Delete deletes the row of a key.
func (c *Client) Delete(entity, recordID string) error {
	return c.request(message{Operation: "delete", Entity: entity, RecordID: recordID}, nil)
}

// Subscribe has hear called with each change of rows that pass the filters; it returns the subscription's id. hear must not ask anything itself.
func (c *Client) Subscribe(entity string, hear func(Notification), filters ...Filter) (string, error) {
	asked := message{Type: "subscription", Operation: "subscribe", Entity: entity, Options: &Options{Filters: filters}}
	answer, err := c.ask(asked, hear)
	if err != nil {
		return "", err
	}
	return idOf(answer), nil
}

// Unsubscribe ends a subscription.
func (c *Client) Unsubscribe(id string) error {
	_, err := c.ask(message{Type: "subscription", Operation: "unsubscribe", SubscriptionID: id}, nil)
	c.mutex.Lock()
	delete(c.subscribed, id)
	c.mutex.Unlock()
	return err
}

func (c *Client) request(asked message, row any) error {
	asked.Type = "request"
	answer, err := c.ask(asked, nil)
	if err != nil || row == nil {
		return err
	}
	return json.Unmarshal(answer.Data, row)
}

func (c *Client) ask(asked message, hear func(Notification)) (told, error) {
	answer := make(chan told, 1)
	c.mutex.Lock()
	if c.closed != nil {
		c.mutex.Unlock()
		return told{}, c.closed
	}
	c.last++
	asked.ID = strconv.Itoa(c.last)
	c.waiting[asked.ID] = waiting{answer, hear}
	err := c.socket.WriteJSON(asked)
	c.mutex.Unlock()
	if err != nil {
		return told{}, err
	}
	got, isOpen := <-answer
	switch {
	case !isOpen:
		return told{}, errors.New("the connection was closed")
	case !got.Success && got.Error != nil:
		return told{}, got.Error
	}
	return got, nil
}

func (c *Client) read() {
	for {
		var heard told
		if err := c.socket.ReadJSON(&heard); err != nil {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			c.closed = err
			for _, waits := range c.waiting {
				close(waits.answer)
			}
			return
		}
		c.hear(heard)
	}
}

func (c *Client) hear(heard told) {
	c.mutex.Lock()
	hear := c.subscribed[heard.SubscriptionID]
	waits, isAnswer := c.waiting[heard.ID]
	if heard.Type != "notification" && isAnswer {
		delete(c.waiting, heard.ID)
		if waits.hear != nil && heard.Success {
			// Before the next message is read, which may be its first notification.
			c.subscribed[idOf(heard)] = waits.hear
		}
		waits.answer <- heard
	}
	c.mutex.Unlock()
	if heard.Type == "notification" && hear != nil {
		hear(Notification{heard.Operation, heard.Schema, heard.Entity, heard.Data})
	}
}

func idOf(answer told) string {
	var said struct {
		SubscriptionID string `json:"subscription_id"`
	}
	if json.Unmarshal(answer.Data, &said) != nil {
		return ""
	}
	return said.SubscriptionID
}

type post struct {
	ID     int    `json:"id,omitempty"`
	UserID int    `json:"user_id"`
	Title  string `json:"title"`
}

type user struct {
	ID    int    `json:"id,omitempty"`
	Name  string `json:"name"`
	Team  string `json:"team"`
	Age   int    `json:"age"`
	Posts []post `json:"posts,omitempty"`
}

// round does a round with a client: what is said is printed.
func round(url string) error {
	client, err := Open(url)
	if err != nil {
		return err
	}
	defer client.Close()
	red := Filter{Column: "team", Operator: "eq", Value: "red"}
	id, err := client.Subscribe("users", func(heard Notification) {
		fmt.Printf("heard: %s %s\n", heard.Operation, heard.Data)
	}, red)
	if err != nil {
		return err
	}
	var ada, bob user
	var notes post
	if err := client.Create("users", user{Name: "Ada", Team: "red", Age: 36}, &ada); err != nil {
		return err
	}
	if err := client.Create("users", user{Name: "Bob", Team: "blue", Age: 7}, &bob); err != nil {
		return err
	}
	if err := client.Create("posts", post{UserID: ada.ID, Title: "Notes"}, &notes); err != nil {
		return err
	}
	adults := Options{
		Filters: []Filter{{Column: "age", Operator: "gte", Value: 18}},
		Sort:    []Sort{{Column: "name", Direction: "asc"}},
		Preload: []Preload{{Relation: "posts"}},
	}
	var users []user
	said, err := client.Read("users", adults, &users)
	if err != nil {
		return err
	}
	for _, user := range users {
		fmt.Printf("%d of %d: %s wrote %s\n", said.Count, said.Total, user.Name, user.Posts[0].Title)
	}
	key := strconv.Itoa(ada.ID)
	if err := client.Update("users", key, map[string]int{"age": 37}, &ada); err != nil {
		return err
	}
	if err := client.Delete("users", key); err != nil {
		return err
	}
	fmt.Println(client.ReadOne("users", key, &ada))
	return client.Unsubscribe(id)
}

func main() {
	url := "ws://127.0.0.1:8080/ws"
	if len(os.Args) > 1 {
		url = os.Args[1]
	}
	if err := round(url); err != nil {
		log.Fatal(err)
	}
}
