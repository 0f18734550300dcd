package nemogym

import (
	"context"
	"encoding/json"
	"math"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// base asks NeMo Gym itself.
func base(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	exe := python(t, ".venv-nemo-gym", "peers-nemo-gym")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, append([]string{"testdata/base.py"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return string(out)
}

func TestSessionContract(t *testing.T) {
	h := newHouse(t, "", nil)
	if got := base(t, "", "contract", h.web.URL); strings.TrimSpace(got) != "kept" {
		t.Error(got)
	}
}

func TestFailureKinds(t *testing.T) {
	kinds := []string{string(sessionLost), string(sessionExpired), string(cancelled), string(verifierError), string(providerUnavailable), string(providerQuota),
		string(persistenceFailed), string(unreachable)}
	if got := base(t, "", append([]string{"kinds"}, kinds...)...); strings.TrimSpace(got) != "" {
		t.Errorf("not NeMo Gym's: %s", got)
	}
}

// Our metrics are the base class's, but for those across repeats.
func TestMetricsAsTheBase(t *testing.T) {
	h := newHouse(t, "", nil)
	for name, body := range map[string]string{
		"none":       `{"verify_responses":[]}`,
		"all masked": `{"verify_responses":[{"reward":0.0,"mask_sample":true},{"_ng_task_index":1,"reward":0.0,"mask_sample":true}]}`,
		"one":        `{"verify_responses":[{"reward":0.5,"mask_sample":false,"failure_kind":null,"name":"x","reward_components":{"f1":1}}]}`,
		"mixed": `{"verify_responses":[{"_ng_task_index":2,"_ng_rollout_index":0,"reward":0.25,"recall":1},{"_ng_task_index":0,"_ng_rollout_index":1,"reward":0.5,"ok":true,"response":{}},
			{"_ng_task_index":0,"_ng_rollout_index":0,"reward":1.0,"recall":0.5,"mask_sample":false,"response":{"usage":{"input_tokens":10,"details":{}}}},
			{"_ng_task_index":1,"_ng_rollout_index":0,"reward":0.0,"mask_sample":true},{"_ng_task_index":0,"_ng_rollout_index":2,"reward":0,"_hidden":3}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var ours, theirs map[string]any
			h.client().expect("/aggregate_metrics", body, &ours)
			must(t, json.Unmarshal([]byte(base(t, body, "metrics")), &theirs))
			for _, m := range []map[string]any{ours, theirs} {
				delete(m, "repeat_level_metrics")
				for _, part := range []string{"agent_metrics", "key_metrics"} {
					for k := range m[part].(map[string]any) {
						if strings.Contains(k, "_across_repeats") {
							delete(m[part].(map[string]any), k)
						}
					}
				}
			}
			if !near(ours, theirs) {
				t.Errorf("ours   %s\ntheirs %s", mustJSON(t, ours), mustJSON(t, theirs))
			}
		})
	}
}

// near compares JSON, numbers up to the last digits.
func near(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && math.Abs(x-y) <= 1e-12*math.Max(1, math.Abs(x))
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !near(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if other, there := y[k]; !there || !near(x[k], other) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
