// Certificates from an authority: Pebble, Let's Encrypt's own for tests, looks whether names are the server's, over TLS and over HTTP. Both are started and ended here, on loopback; names are answered by
// a resolver of a few lines, which knows this machine only.
package clients

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/pebble"

var (
	pebbleOnce  sync.Once
	pebbleFile  string
	pebbleError error
	listensAt   = regexp.MustCompile(`address=127\.0\.0\.1:(\d+)`)
	redirectsAt = regexp.MustCompile(`redirect_listen", 127\.0\.0\.1:(\d+)`)
)

// pebbleBinary builds the authority, once.
func pebbleBinary(t *testing.T) string {
	t.Helper()
	pebbleOnce.Do(func() {
		folder, err := os.MkdirTemp("", "fanwire-pebble")
		if err != nil {
			pebbleError = err
			return
		}
		pebbleFile = filepath.Join(folder, "pebble")
		if said, err := exec.Command("go", "build", "-o", pebbleFile, pebbleModule).CombinedOutput(); err != nil {
			pebbleError = fmt.Errorf("%w: %s", err, said)
		}
	})
	if pebbleError != nil {
		t.Fatal(pebbleError)
	}
	return pebbleFile
}

func TestMain(m *testing.M) {
	code := m.Run()
	if pebbleFile != "" {
		os.RemoveAll(filepath.Dir(pebbleFile))
	}
	os.Exit(code)
}

// program is something that runs, and what it has logged.
type program struct {
	command *exec.Cmd
	mutex   sync.Mutex
	log     strings.Builder
}

func run(t *testing.T, command *exec.Cmd) *program {
	t.Helper()
	one := &program{command: command}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = command.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			one.mutex.Lock()
			one.log.WriteString(lines.Text() + "\n")
			one.mutex.Unlock()
		}
	}()
	t.Cleanup(func() { one.stop() })
	return one
}

func (one *program) said() string {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	return one.log.String()
}

// stop ends it, and waits until it has.
func (one *program) stop() {
	if one.command.ProcessState == nil {
		one.command.Process.Signal(os.Interrupt)
		one.command.Wait()
	}
}

// until waits for something that is looked at again and again.
func until(t *testing.T, what string, one *program, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within %s\n%s", what, patience, one.said())
}

// resolver answers every question for an address with this machine's.
func resolver(t *testing.T) string {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			length, from, err := socket.ReadFrom(packet)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if message.Unpack(packet[:length]) != nil || len(message.Questions) != 1 {
				continue
			}
			message.Response, message.Additionals = true, nil
			asked := message.Questions[0]
			if asked.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: asked.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if answer, err := message.Pack(); err == nil {
				socket.WriteTo(answer, from)
			}
		}
	}()
	return socket.LocalAddr().String()
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// scene is a folder with an authority's own certificate and a server's configuration in it, and the ports of the authority.
type scene struct {
	folder            string
	port, management  int
	ownCertificate    []byte
	config            string
	authority, server *program
	shared, redirect  string
}

func stage(t *testing.T, names []string, settings string) *scene {
	t.Helper()
	one := &scene{folder: t.TempDir(), port: freePort(t), management: freePort(t)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDer, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	one.ownCertificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	one.write(t, "authority.pem", one.ownCertificate)
	one.write(t, "authority.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDer}))
	quoted, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("shards = 2\npin = false\nconnections_max = 200\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n[tls]\nacme = %s\nacme_terms_agreed = true\n"+
		"acme_directory = \"https://127.0.0.1:%d/dir\"\nacme_ca_file = \"authority.pem\"\nacme_contacts = [\"mailto:ops@example.org\"]\nredirect_listen = \"127.0.0.1:0\"\nredirect_port = 443\n%s",
		quoted, one.port, settings)
	one.write(t, "fanwire.toml", []byte(text))
	one.serve(t)
	return one
}

func (one *scene) write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(one.folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts the server, and waits until it listens.
func (one *scene) serve(t *testing.T) {
	t.Helper()
	command := exec.Command(binary(t), "serve", "--config", "fanwire.toml")
	command.Dir = one.folder
	one.server = run(t, command)
	until(t, "it listens", one.server, func() bool {
		shared, redirect := listensAt.FindStringSubmatch(one.server.said()), redirectsAt.FindStringSubmatch(one.server.said())
		if shared == nil || redirect == nil {
			return false
		}
		one.shared, one.redirect = shared[1], redirect[1]
		return true
	})
}

// found starts the authority, which looks at these ports, and tells the server to try again. `wants` is what it wants besides of those who come.
func (one *scene) found(t *testing.T, tlsPort, httpPort string, wants ...map[string]any) {
	t.Helper()
	config := map[string]any{
		"listenAddress":           fmt.Sprintf("127.0.0.1:%d", one.port),
		"managementListenAddress": fmt.Sprintf("127.0.0.1:%d", one.management),
		"certificate":             filepath.Join(one.folder, "authority.pem"),
		"privateKey":              filepath.Join(one.folder, "authority.key"),
		"httpPort":                json.Number(httpPort),
		"tlsPort":                 json.Number(tlsPort),
		"retryAfter":              map[string]int{"authz": 1, "order": 1},
		"profiles":                map[string]any{"default": map[string]any{"description": "ninety days", "validityPeriod": 7776000}},
	}
	for _, want := range wants {
		maps.Copy(config, want)
	}
	text, err := json.Marshal(map[string]any{"pebble": config})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(pebbleBinary(t), "-strict", "-config", one.write(t, "pebble.json", text), "-dnsserver", resolver(t))
	// Each order is looked at anew, at once; some requests are told that their nonce is old, as the standard has it.
	command.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=10")
	one.authority = run(t, command)
	until(t, "the authority listens", one.authority, func() bool {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", one.port))
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
	one.hangup(t)
}

// hangup has the server read its configuration anew, and try at once what has failed.
func (one *scene) hangup(t *testing.T) {
	t.Helper()
	if err := one.server.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// manage asks the authority's other door.
func (one *scene) manage(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(one.ownCertificate)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: patience}
	request, err := http.NewRequest(method, fmt.Sprintf("https://127.0.0.1:%d%s", one.management, path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", path, answer.StatusCode, err, text)
	}
	return text
}

// shake connects as a client that believes this authority, for that name.
func (one *scene) shake(roots *x509.CertPool, name string) (*tls.Conn, error) {
	dialer := &net.Dialer{Timeout: patience}
	return tls.DialWithDialer(dialer, "tcp", "127.0.0.1:"+one.shared, &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"http/1.1"}})
}

func healthy(t *testing.T, connection net.Conn) {
	t.Helper()
	if _, err := fmt.Fprintf(connection, "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	connection.SetDeadline(time.Now().Add(patience))
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
}

// shown waits until the server shows a certificate of the authority's that is another than this one, for each of these names.
func (one *scene) shown(t *testing.T, names []string, other *big.Int) (*x509.CertPool, *x509.Certificate) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(one.manage(t, "GET", "/roots/0", nil))
	var certificate *x509.Certificate
	for _, name := range names {
		until(t, "there is a certificate for "+name, one.server, func() bool {
			connection, err := one.shake(roots, name)
			if err != nil {
				return false
			}
			defer connection.Close()
			certificate = connection.ConnectionState().PeerCertificates[0]
			return other == nil || certificate.SerialNumber.Cmp(other) != 0
		})
	}
	return roots, certificate
}

func TestACertificateIsOrderedByTLSKeptAndRenewed(t *testing.T) {
	names := []string{"fanwire.example.com", "other.example.com", "127.0.0.1"}
	one := stage(t, names, "")
	// Nobody is there yet: the server says so, and goes on.
	until(t, "it says why there is none", one.server, func() bool { return strings.Contains(one.server.said(), "no certificate was issued") })
	if _, err := one.shake(x509.NewCertPool(), names[0]); err == nil || !strings.Contains(err.Error(), "tls:") {
		t.Fatalf("it shows something: %v", err)
	}
	one.found(t, one.shared, one.redirect)
	roots, first := one.shown(t, names, nil)
	kept := filepath.Join(one.folder, "data", "tls")
	for _, name := range []string{"acme.pem", "acme-account.json"} {
		status, err := os.Stat(filepath.Join(kept, name))
		if err != nil || status.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v %v", name, status, err)
		}
	}
	// Whoever is connected stays so when the certificate is renewed, which is when the authority says: here at once.
	staying, err := one.shake(roots, names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer staying.Close()
	healthy(t, staying)
	window := map[string]any{"suggestedWindow": map[string]any{"start": time.Now().Add(-2 * time.Hour).Format(time.RFC3339), "end": time.Now().Add(-time.Hour).Format(time.RFC3339)}}
	wish, err := json.Marshal(window)
	if err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(map[string]string{"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Raw})), "ariResponse": string(wish)})
	if err != nil {
		t.Fatal(err)
	}
	one.manage(t, "POST", "/set-renewal-info/", order)
	one.hangup(t)
	roots, second := one.shown(t, names[:1], first.SerialNumber)
	healthy(t, staying)
	// A server that is started anew shows what was kept, and orders nothing: there is no authority any more.
	one.authority.stop()
	one.server.stop()
	one.serve(t)
	connection, err := one.shake(roots, names[1])
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if again := connection.ConnectionState().PeerCertificates[0].SerialNumber; again.Cmp(second.SerialNumber) != 0 {
		t.Fatalf("%v, and not %v", again, second.SerialNumber)
	}
	if strings.Contains(one.server.said(), "no certificate was issued") {
		t.Fatal(one.server.said())
	}
}

func TestACertificateIsOrderedByHTTP(t *testing.T) {
	names := []string{"fanwire.example.com", "127.0.0.1"}
	one := stage(t, names, "acme_challenge = \"http-01\"\n")
	nowhere := fmt.Sprint(freePort(t))
	one.found(t, nowhere, one.redirect)
	one.shown(t, names, nil)
	// What is asked there besides is sent elsewhere, as ever.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: patience}
	for path, status := range map[string]int{"/": http.StatusPermanentRedirect, "/.well-known/acme-challenge/": http.StatusNotFound, "/.well-known/acme-challenge/a/b": http.StatusNotFound} {
		answer, err := client.Get("http://127.0.0.1:" + one.redirect + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != status {
			t.Fatalf("%s: %s", path, answer.Status)
		}
	}
}

func TestAnAuthorityThatIssuesToItsCustomersOnlyIsShownWhoseAccountItIs(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	customers := map[string]any{"externalAccountBindingRequired": true, "externalAccountMACKeys": map[string]string{"customer-7": key}}
	for of, isCustomer := range map[string]bool{"customer-7": true, "customer-8": false} {
		file := filepath.Join(t.TempDir(), "eab.key")
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		one := stage(t, []string{"127.0.0.1"}, fmt.Sprintf("acme_eab_key_id = %q\nacme_eab_key_file = %q\n", of, file))
		one.found(t, one.shared, one.redirect, customers)
		if isCustomer {
			one.shown(t, []string{"127.0.0.1"}, nil)
			continue
		}
		until(t, "it says that the authority does not know it", one.server, func() bool {
			return strings.Contains(one.server.said(), "the field 'kid' references a key that is not known")
		})
	}
}

func TestWhatTheAuthorityHasNotSeenIsSaidAndTheFormerCertificateStays(t *testing.T) {
	one := stage(t, []string{"fanwire.example.com"}, "self_signed = [\"localhost\"]\n")
	nobody := fmt.Sprint(freePort(t))
	one.found(t, nobody, nobody)
	until(t, "it says what the authority did not see", one.server, func() bool {
		return strings.Contains(one.server.said(), "the authority has not seen what it looked for: fanwire.example.com: ")
	})
	// The one that was there is shown still.
	connection, err := tls.Dial("tcp", "127.0.0.1:"+one.shared, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	healthy(t, connection)
	if name := connection.ConnectionState().PeerCertificates[0].Subject.CommonName; name != "fanwire, self-signed" {
		t.Fatal(name)
	}
	// An authority is shown what it is to see only while something is ordered; nobody else ever is.
	_, err = tls.Dial("tcp", "127.0.0.1:"+one.shared, &tls.Config{InsecureSkipVerify: true, ServerName: "fanwire.example.com", NextProtos: []string{"acme-tls/1"}})
	if err == nil {
		t.Fatal("it shows something to an authority")
	}
}
