// The small client in this folder against the conformance script: docs/CLIENTS.md is enough to write one.
package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestAClientFromThePagesAlone(t *testing.T) {
	adapter := filepath.Join(t.TempDir(), "adapter")
	build := exec.Command("go", "build", "-o", adapter, "./adapter")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	script := exec.Command("python3", "../conformance", "--", adapter)
	script.Stdout, script.Stderr = os.Stdout, os.Stderr
	if err := script.Run(); err != nil {
		t.Fatal(err)
	}
}
