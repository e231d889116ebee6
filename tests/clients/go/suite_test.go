// A public suite, github.com/bromq-dev/testmqtt, against MQTT's own listener in both versions: every case, and what of it we do otherwise and why.
package clients

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Cases that fail, and why they may: what they ask for is not the standard's.
var otherwise = map[string]map[string]string{
	"3": {},
	"5": {},
}

// What the suite says of one case: whether it passed, and its name up to the reference and the time.
var verdict = regexp.MustCompile(`(PASS|FAIL) (.*?)(?: \[[^\]]*\])? \([^)]*\)$`)

func TestThePublicSuite(t *testing.T) {
	for version, least := range map[string]int{"3": 77, "5": 139} {
		t.Run(version, func(t *testing.T) {
			_, own := serve(t, "")
			// It ends with an error if a case fails, which is looked at below.
			said, err := exec.Command("go", "tool", "testmqtt", "conformance", "--version", version, "--broker", "tcp://"+own, "--verbose").CombinedOutput()
			passed, failed := 0, map[string]bool{}
			for _, line := range strings.Split(string(said), "\n") {
				found := verdict.FindStringSubmatch(strings.TrimSpace(line))
				switch {
				case found == nil:
				case found[1] == "PASS":
					passed++
				default:
					failed[found[2]] = true
				}
			}
			for name := range failed {
				if _, known := otherwise[version][name]; !known {
					t.Errorf("%s fails", name)
				}
			}
			for name, why := range otherwise[version] {
				if !failed[name] {
					t.Errorf("%s passes, and is said not to: %s", name, why)
				}
			}
			if passed+len(failed) < least {
				t.Errorf("%d cases of %d were run: %v", passed+len(failed), least, err)
			}
			if t.Failed() {
				t.Log(string(said))
			}
		})
	}
}
