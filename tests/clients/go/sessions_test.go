// MQTT sessions as both of paho's Go clients have them, over every listener: asleep, back, and taken over.
package clients

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// A way to the server: its scheme, the address, and the path of a WebSocket.
type way struct{ scheme, address string }

func (to way) url() string {
	if strings.HasPrefix(to.scheme, "ws") {
		return to.scheme + "://" + to.address + "/mqtt"
	}
	return to.scheme + "://" + to.address
}

// ways are all listeners of two servers, in the clear and encrypted.
func ways(t *testing.T) []way {
	shared, own := serve(t, "")
	sharedTLS, ownTLS := serve(t, "tls.self_signed = [\"127.0.0.1\"]\n")
	return []way{{"tcp", own}, {"ws", own}, {"ws", shared}, {"ssl", ownTLS}, {"wss", ownTLS}, {"wss", sharedTLS}}
}

// lasting has a client of 3.1.1 connect whose session lasts.
func lasting(t *testing.T, to way, name string) (client mqtt.Client, heard chan mqtt.Message, lost chan error, present bool) {
	t.Helper()
	heard, lost = make(chan mqtt.Message, 1000), make(chan error, 1)
	options := mqtt.NewClientOptions().AddBroker(to.url()).SetClientID(name).SetProtocolVersion(4).SetCleanSession(false)
	options.SetTLSConfig(&tls.Config{InsecureSkipVerify: true}) // The server signed its certificate itself.
	options.SetAutoReconnect(false).SetOrderMatters(true)
	options.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) { heard <- message })
	options.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	client = mqtt.NewClient(options)
	token := client.Connect()
	done(t, token)
	return client, heard, lost, token.(*mqtt.ConnectToken).SessionPresent()
}

func TestPahoSleepsAndComesBack(t *testing.T) {
	for number, to := range ways(t) {
		t.Run(fmt.Sprintf("%s %d", to.scheme, number), func(t *testing.T) {
			name := fmt.Sprintf("sleeper-%d", number)
			sleeper, _, _, present := lasting(t, to, name)
			if present {
				t.Fatal("there was no session before")
			}
			done(t, sleeper.Subscribe(name+"/#", 2, nil))
			sleeper.Disconnect(100)
			says, _ := connect(t, to.url(), "says-"+name, 4)
			for count := 0; count < 60; count++ {
				done(t, says.Publish(fmt.Sprintf("%s/%d", name, count%3), byte(count%3), false, fmt.Sprint(count)))
			}
			back, heard, lost, present := lasting(t, to, name)
			if !present {
				t.Fatal("the session is gone")
			}
			next := map[byte]int{1: 1, 2: 2}
			for count := 0; count < 40; count++ {
				message := hear(t, heard)
				if got := string(message.Payload()); got != fmt.Sprint(next[message.Qos()]) {
					t.Fatalf("%s of quality %d, and not %d", got, message.Qos(), next[message.Qos()])
				}
				next[message.Qos()] += 3
			}
			taker, heard, _, present := lasting(t, to, name)
			defer taker.Disconnect(100)
			select {
			case <-lost:
			case <-time.After(patience):
				t.Fatal("whose place is taken is still there")
			}
			_ = back
			done(t, says.Publish(name+"/1", 1, false, "live"))
			// What it had heard and not acknowledged when its place was taken comes again, and says so.
			message := hear(t, heard)
			for message.Duplicate() {
				message = hear(t, heard)
			}
			if !present || string(message.Payload()) != "live" {
				t.Fatalf("%v %q", present, message.Payload())
			}
		})
	}
}

// lasting5 has a client of 5, of paho.golang, connect whose session lasts, and hand on what it hears.
func lasting5(t *testing.T, to way, name string) (client *paho.Client, heard chan *paho.Publish, gone chan byte, present bool) {
	t.Helper()
	heard, gone = make(chan *paho.Publish, 1000), make(chan byte, 1)
	conn, err := net.Dial("tcp", to.address)
	if err == nil && to.scheme == "ssl" {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // The server signed its certificate itself.
	}
	if err != nil {
		t.Fatal(err)
	}
	client = paho.NewClient(paho.ClientConfig{
		ClientID: name,
		Conn:     conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(received paho.PublishReceived) (bool, error) {
			heard <- received.Packet
			return true, nil
		}},
		OnServerDisconnect: func(packet *paho.Disconnect) { gone <- packet.ReasonCode },
	})
	soon, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	expiry := uint32(600)
	answer, err := client.Connect(soon, &paho.Connect{
		ClientID: name, KeepAlive: 30, CleanStart: false, Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, heard, gone, answer.SessionPresent
}

func hear5(t *testing.T, heard chan *paho.Publish) *paho.Publish {
	t.Helper()
	select {
	case message := <-heard:
		return message
	case <-time.After(patience):
		t.Fatal("nothing is heard")
		return nil
	}
}

func TestPahoOfVersion5SleepsAndComesBack(t *testing.T) {
	for number, to := range ways(t) {
		if strings.HasPrefix(to.scheme, "ws") {
			continue // It is handed a connection, and knows of no WebSocket.
		}
		t.Run(fmt.Sprintf("%s %d", to.scheme, number), func(t *testing.T) {
			soon, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			name := fmt.Sprintf("sleeper5-%d", number)
			sleeper, _, _, present := lasting5(t, to, name)
			if present {
				t.Fatal("there was no session before")
			}
			granted, err := sleeper.Subscribe(soon, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: name + "/+", QoS: 2}}})
			if err != nil || granted.Reasons[0] != 2 {
				t.Fatal(err, granted)
			}
			if err := sleeper.Disconnect(&paho.Disconnect{ReasonCode: 0}); err != nil {
				t.Fatal(err)
			}
			says, _ := connect(t, to.url(), "says-"+name, 4)
			for count := 0; count < 60; count++ {
				done(t, says.Publish(fmt.Sprintf("%s/%d", name, count%3), byte(count%3), false, fmt.Sprint(count)))
			}
			_, heard, gone, present := lasting5(t, to, name)
			if !present {
				t.Fatal("the session is gone")
			}
			next := map[byte]int{1: 1, 2: 2}
			for count := 0; count < 40; count++ {
				message := hear5(t, heard)
				if got := string(message.Payload); got != fmt.Sprint(next[message.QoS]) {
					t.Fatalf("%s of quality %d, and not %d", got, message.QoS, next[message.QoS])
				}
				next[message.QoS] += 3
			}
			taker, heard, _, present := lasting5(t, to, name)
			select {
			case reason := <-gone:
				if reason != 0x8e {
					t.Fatalf("%#x", reason)
				}
			case <-time.After(patience):
				t.Fatal("whose place is taken is still there")
			}
			done(t, says.Publish(name+"/1", 1, false, "live"))
			message := hear5(t, heard)
			for message.Duplicate() {
				message = hear5(t, heard)
			}
			if !present || string(message.Payload) != "live" {
				t.Fatalf("%v %q", present, message.Payload)
			}
			if err := taker.Disconnect(&paho.Disconnect{ReasonCode: 0}); err != nil {
				t.Fatal(err)
			}
		})
	}
}
