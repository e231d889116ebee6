// docs/examples/kubernetes, as the types of Kubernetes itself read it: no member that is none, no value that cannot be, and the same numbers on both sides.
package clients

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestTheExampleForKubernetesIsOne(t *testing.T) {
	text, err := os.ReadFile("../../../docs/examples/kubernetes/fanwire.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var set appsv1.StatefulSet
	var config corev1.ConfigMap
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	into := map[string]any{"apps/v1 StatefulSet": &set, "v1 ConfigMap": &config, "v1 Service": &service, "policy/v1 PodDisruptionBudget": &budget}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		name := kind.APIVersion + " " + kind.Kind
		if into[name] == nil {
			t.Fatalf("there is a second %s, or it is not known", name)
		}
		if err := yaml.UnmarshalStrict(document, into[name]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		delete(into, name)
	}
	if len(into) > 0 {
		t.Fatalf("these are missing: %v", into)
	}
	pod := set.Spec.Template
	for name, value := range set.Spec.Selector.MatchLabels {
		if pod.Labels[name] != value || service.Spec.Selector[name] != value || budget.Spec.Selector.MatchLabels[name] != value {
			t.Fatalf("%s is not the same everywhere", name)
		}
	}
	container := pod.Spec.Containers[0]
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		if probe.HTTPGet.Path != "/readyz" && probe.HTTPGet.Path != "/healthz" {
			t.Fatal(probe.HTTPGet.Path)
		}
		if probe.HTTPGet.Port.StrVal != container.Ports[0].Name {
			t.Fatal(probe.HTTPGet.Port)
		}
	}
	if service.Spec.Ports[0].TargetPort.StrVal != container.Ports[0].Name {
		t.Fatal(service.Spec.Ports[0].TargetPort)
	}
	volumes := map[string]bool{}
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			t.Fatalf("there is no volume %s", mount.Name)
		}
	}
	// What the server is told fits what the pod is given.
	own := config.Data["fanwire.toml"]
	drain, err := strconv.ParseInt(regexp.MustCompile(`drain_timeout_s = (\d+)`).FindStringSubmatch(own)[1], 10, 64)
	if err != nil || *pod.Spec.TerminationGracePeriodSeconds <= drain {
		t.Fatalf("the pod is killed before it has drained: %d s, %d s", *pod.Spec.TerminationGracePeriodSeconds, drain)
	}
	if _, port, _ := strings.Cut(regexp.MustCompile(`listen = "(.*)"`).FindStringSubmatch(own)[1], ":"); port != strconv.Itoa(int(container.Ports[0].ContainerPort)) {
		t.Fatalf("it listens on %s", port)
	}
	folder := t.TempDir()
	for _, name := range []string{"token.secret", "admin.secret"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("a secret of thirty-two bytes or more"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	memory := container.Resources.Limits.Memory().Value()
	own = "memory.bytes_max = " + strconv.FormatInt(memory, 10) + "\n" + strings.ReplaceAll(own, "/secrets/", folder+"/")
	path := filepath.Join(folder, "fanwire.toml")
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(binary(t), "config", "check", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}
