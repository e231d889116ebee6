// A server of the usual make for one table: net/http, gorilla/websocket, database/sql with SQLite (mattn/go-sqlite3, in WAL).
//
// It speaks as much of ResolveSpec as the load generator asks for: read by record_id, create, and subscribe to what is created. Each connection has a goroutine that reads and one that writes, as
// gorilla's examples have; a slow subscriber loses what does not fit its queue, as the origin's does.
package main

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	_ "github.com/mattn/go-sqlite3"
)

type message struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Operation string          `json:"operation"`
	Schema    string          `json:"schema,omitempty"`
	Entity    string          `json:"entity"`
	RecordID  string          `json:"record_id,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type response struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Success   bool           `json:"success"`
	Data      any            `json:"data,omitempty"`
	Error     *fault         `json:"error,omitempty"`
	Metadata  map[string]any `json:"metadata,omitempty"`
	Timestamp time.Time      `json:"timestamp"`
}

type notification struct {
	Type           string    `json:"type"`
	Operation      string    `json:"operation"`
	SubscriptionID string    `json:"subscription_id"`
	Schema         string    `json:"schema"`
	Entity         string    `json:"entity"`
	Data           any       `json:"data"`
	Timestamp      time.Time `json:"timestamp"`
}

type user struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Team  string `json:"team"`
	Score int64  `json:"score"`
}

type connection struct {
	socket *websocket.Conn
	send   chan []byte
}

// say puts an answer into the connection's queue, if there is room.
func (c *connection) say(what any) {
	text, err := json.Marshal(what)
	if err != nil {
		log.Fatal(err)
	}
	select {
	case c.send <- text:
	default:
	}
}

func (c *connection) write() {
	defer c.socket.Close()
	for text := range c.send {
		if c.socket.WriteMessage(websocket.TextMessage, text) != nil {
			return
		}
	}
}

type server struct {
	find, insert *sql.Stmt
	lock         sync.RWMutex
	subscribed   map[*connection]string
}

func (s *server) answer(c *connection, m message) {
	fail := func(code string, err error) {
		c.say(response{ID: m.ID, Type: "response", Error: &fault{code, err.Error()}, Timestamp: time.Now()})
	}
	succeed := func(data any, metadata map[string]any) {
		c.say(response{ID: m.ID, Type: "response", Success: true, Data: data, Metadata: metadata, Timestamp: time.Now()})
	}
	var row user
	switch m.Operation {
	case "read":
		id, err := strconv.ParseInt(m.RecordID, 10, 64)
		if err == nil {
			err = s.find.QueryRow(id).Scan(&row.ID, &row.Name, &row.Team, &row.Score)
		}
		if err != nil {
			fail("read_error", fmt.Errorf("failed to read record: %w", err))
			return
		}
		succeed(row, map[string]any{"total": 1})
	case "create":
		if err := json.Unmarshal(m.Data, &row); err != nil {
			fail("create_error", err)
			return
		}
		done, err := s.insert.Exec(row.Name, row.Team, row.Score)
		if err == nil {
			row.ID, err = done.LastInsertId()
		}
		if err != nil {
			fail("create_error", fmt.Errorf("failed to create record: %w", err))
			return
		}
		succeed(row, nil)
		s.lock.RLock()
		defer s.lock.RUnlock()
		for other, id := range s.subscribed {
			other.say(notification{"notification", "create", id, "public", "users", row, time.Now()})
		}
	case "subscribe":
		id := uuid.NewString()
		s.lock.Lock()
		s.subscribed[c] = id
		s.lock.Unlock()
		succeed(map[string]any{"entity": m.Entity, "schema": m.Schema, "subscription_id": id}, nil)
	default:
		fail("invalid_operation", fmt.Errorf("Unknown operation: %s", m.Operation))
	}
}

func (s *server) serve(c *connection) {
	defer func() {
		s.lock.Lock()
		delete(s.subscribed, c)
		s.lock.Unlock()
		close(c.send)
	}()
	for {
		_, text, err := c.socket.ReadMessage()
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text, &m) != nil {
			return
		}
		s.answer(c, m)
	}
}

func main() {
	port := flag.Int("port", 8080, "where it listens, on loopback")
	file := flag.String("file", "tables.sqlite", "the database")
	flag.Parse()
	db, err := sql.Open("sqlite3", "file:"+*file+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&cache=private")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, team TEXT, score INTEGER)`); err != nil {
		log.Fatal(err)
	}
	find, err := db.Prepare("SELECT id, name, team, score FROM users WHERE id = ?")
	if err != nil {
		log.Fatal(err)
	}
	insert, err := db.Prepare("INSERT INTO users (name, team, score) VALUES (?, ?, ?)")
	if err != nil {
		log.Fatal(err)
	}
	s := &server{find: find, insert: insert, subscribed: map[*connection]string{}}
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: func(*http.Request) bool { return true }}
	http.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		socket, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &connection{socket, make(chan []byte, 256)}
		go c.write()
		s.serve(c)
	})
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
}
