// MQTT as paho.mqtt.golang speaks it: over TCP, TLS and WebSocket, in the clear and encrypted. FANWIRE_BIN names the server, which each test starts and ends.
package clients

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const patience = 60 * time.Second

var listens = regexp.MustCompile(`address=(\S+).*own=\[.*?:(\d+)\)`)

// binary is the server's program.
func binary(t *testing.T) string {
	t.Helper()
	named := os.Getenv("FANWIRE_BIN")
	if named == "" {
		named = "../../../target/debug/fanwire"
	}
	found, err := filepath.Abs(named)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// serve starts a server, and returns the addresses of its shared port and of MQTT's own.
func serve(t *testing.T, settings string) (shared, own string) {
	t.Helper()
	folder := t.TempDir()
	config := filepath.Join(folder, "fanwire.toml")
	text := "shards = 2\npin = false\nconnections_max = 200\nlisten = \"127.0.0.1:0\"\nmqtt.listen = \"127.0.0.1:0\"\n" + settings
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary(t), "serve", "--config", config)
	server.Dir = folder
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if found := listens.FindStringSubmatch(lines.Text()); found != nil {
			go func() {
				for lines.Scan() {
				}
			}()
			return found[1], "127.0.0.1:" + found[2]
		}
	}
	t.Fatal("the server has ended")
	return "", ""
}

func done(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("it is not answered")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// connect has a client connect, and hand on what it hears.
func connect(t *testing.T, url, name string, version uint) (mqtt.Client, chan mqtt.Message) {
	t.Helper()
	heard := make(chan mqtt.Message, 1000)
	options := mqtt.NewClientOptions().AddBroker(url).SetClientID(name).SetProtocolVersion(version)
	options.SetTLSConfig(&tls.Config{InsecureSkipVerify: true}) // The server signed its certificate itself.
	options.SetAutoReconnect(false).SetOrderMatters(true)
	options.SetDefaultPublishHandler(func(_ mqtt.Client, message mqtt.Message) { heard <- message })
	client := mqtt.NewClient(options)
	done(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(100) })
	return client, heard
}

func hear(t *testing.T, heard chan mqtt.Message) mqtt.Message {
	t.Helper()
	select {
	case message := <-heard:
		return message
	case <-time.After(patience):
		t.Fatal("nothing is heard")
		return nil
	}
}

// round has two clients tell each other messages of each quality of service, in order, and what is retained and filtered.
func round(t *testing.T, url string) {
	name := strings.NewReplacer("/", "-", ":", "-").Replace(url)
	hears, heard := connect(t, url, "h"+name, 4)
	says, _ := connect(t, url, "s"+name, 4)
	done(t, says.Publish(name+"/state", 1, true, "on"))
	done(t, hears.Subscribe(name+"/live/#", 2, nil))
	for number := 0; number < 300; number++ {
		qos := byte(number % 3)
		done(t, says.Publish(fmt.Sprintf("%s/live/%d", name, qos), qos, false, fmt.Sprintf(`{"n":%d}`, number)))
	}
	next := map[byte]int{0: 0, 1: 1, 2: 2}
	for count := 0; count < 300; count++ {
		message := hear(t, heard)
		var said struct{ N int }
		if err := json.Unmarshal(message.Payload(), &said); err != nil {
			t.Fatal(err)
		}
		if said.N != next[message.Qos()] {
			t.Fatalf("%d of quality %d, and not %d", said.N, message.Qos(), next[message.Qos()])
		}
		next[message.Qos()] += 3
	}
	large := strings.Repeat("\x00\xff", 100_000)
	done(t, says.Publish(name+"/live/large", 1, false, large))
	if message := hear(t, heard); string(message.Payload()) != large {
		t.Fatalf("%d bytes come back", len(message.Payload()))
	}
	done(t, hears.Subscribe(name+"/state", 1, nil))
	if message := hear(t, heard); !message.Retained() || string(message.Payload()) != "on" {
		t.Fatalf("%v %q", message.Retained(), message.Payload())
	}
	done(t, hears.Subscribe("$filter/altitude < 10000/"+name+"/sky/#", 0, nil))
	for _, altitude := range []int{38_000, 9_000} {
		done(t, says.Publish(name+"/sky/a", 1, false, fmt.Sprintf(`{"altitude":%d}`, altitude)))
	}
	if message := hear(t, heard); string(message.Payload()) != `{"altitude":9000}` {
		t.Fatalf("%q", message.Payload())
	}
	done(t, hears.Unsubscribe(name+"/live/#"))
}

func TestPahoOverTCPAndWebSocket(t *testing.T) {
	shared, own := serve(t, "")
	for _, url := range []string{"tcp://" + own, "ws://" + own + "/mqtt", "ws://" + shared + "/mqtt"} {
		t.Run(url[:strings.Index(url, ":")], func(t *testing.T) { round(t, url) })
	}
}

func TestPahoOverTLS(t *testing.T) {
	shared, own := serve(t, "tls.self_signed = [\"127.0.0.1\"]\n")
	for _, url := range []string{"ssl://" + own, "wss://" + own + "/mqtt", "wss://" + shared + "/mqtt"} {
		t.Run(url[:strings.Index(url, ":")], func(t *testing.T) { round(t, url) })
	}
}

func TestPahoIsNotLetInWithAPasswordThatIsNoToken(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, own := serve(t, fmt.Sprintf("[[auth.keys]]\nfile = %q\nalgorithm = \"HS256\"\n", secret))
	options := mqtt.NewClientOptions().AddBroker("tcp://" + own).SetUsername("x").SetPassword("nonsense").SetProtocolVersion(4)
	token := mqtt.NewClient(options).Connect()
	if !token.WaitTimeout(patience) || token.Error() == nil {
		t.Fatal("it is let in")
	}
}
