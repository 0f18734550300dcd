package upstream

import (
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

func TestNameFor(t *testing.T) {
	taken := map[string]bool{}
	for _, tt := range []struct {
		original   string
		namespaced bool
		want       string
	}{
		{"get-sum", false, "get_sum"},
		{"get.sum", false, "get_sum_2"},
		{"get_sum", false, "get_sum_3"},
		{"get-sum", true, "my_server_get_sum"},
		{"reset", false, "my_server_reset"},
		{"episode_open", false, "my_server_episode_open"},
		{"2fa", false, "_2fa"},
		{"größe", false, "gr__e"},
		{"", false, "_"},
		{strings.Repeat("a", 70), false, strings.Repeat("a", 64)},
		{strings.Repeat("a", 71), false, strings.Repeat("a", 62) + "_2"},
	} {
		got := nameFor("my-server", tt.original, tt.namespaced, taken)
		if taken[got] = true; got != tt.want || astra.ToolNameError(got) != nil {
			t.Errorf("%q is %q, want %q", tt.original, got, tt.want)
		}
	}
}

func TestMirror(t *testing.T) {
	rt, err := New(targets("counter", Target{URL: newCounter().web(t, counterTools)}))
	must(t, err)
	tools, err := rt.Mirror(t.Context(), "counter", true)
	must(t, err)
	if len(tools) != len(counterTools) || tools[0].Name != "counter_add" || tools[0].Original != "add" || tools[0].Upstream != "counter" {
		t.Errorf("%+v", tools)
	}
	if _, err := rt.Mirror(t.Context(), "other", false); err == nil || !strings.Contains(err.Error(), "add it under upstreams") {
		t.Error(err)
	}
}
