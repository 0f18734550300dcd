package openenv

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A script is a chat model that says its lines in the order of the conversation: those of the
// task whose prompt the conversation has.
type script struct {
	t     testing.TB
	lines map[string][]string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	must(s.t, err)
	n, line := strings.Count(string(b), `"role":"assistant"`), ""
	for prompt, lines := range s.lines {
		if strings.Contains(string(b), prompt) && n < len(lines) {
			line = lines[n]
		}
	}
	said, err := json.Marshal(line)
	must(s.t, err)
	w.Header().Set("Content-Type", "text/event-stream") // verifiers asks for a stream
	const chunk = `data: {"id":"c%d","object":"chat.completion.chunk","created":1,"model":"script","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}` + "\n\n"
	fmt.Fprintf(w, chunk, n, `{"role":"assistant","content":`+string(said)+`}`, "null")
	fmt.Fprintf(w, chunk, n, "{}", `"stop"`)
	fmt.Fprintf(w, `data: {"id":"c%d","object":"chat.completion.chunk","created":1,"model":"script","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`+"\n\ndata: [DONE]\n\n", n)
}

// verifiers' own OpenEnv taskset plays with a scripted model: a reward is the gateway's, and an
// episode that is invalid is an error of its rollout.
func TestVerifiers(t *testing.T) {
	py := python(t, ".venv-verifiers", "peers-verifiers")
	p := newPlace(t, nil, nil)
	submit := `{"tool_name":"episode_submit","arguments":{"answer":"7"}}`
	model := httptest.NewServer(&script{t, map[string][]string{
		"How many nuts": {`{"type":"call_tool","tool_name":"stock","arguments":{"item":"nut"}}`, "```json\n" + submit + "\n```"},
		"Its gold does": {submit},
	}})
	defer model.Close()
	dir := t.TempDir()
	config := fmt.Sprintf(`model = "script"
push = false
output_dir = %q
run = {name = "run"}
client = {type = "eval", base_url = "%s/v1", api_key_var = "SCRIPT_KEY"}

[env.player]
runtime = {type = "subprocess"}
harness = {id = "null"}

[env.taskset]
id = "openenv"
base_url = %q
resets = [{task = "count"}, {task = "broken"}]
`, dir, model.URL, p.base("shop"))
	must(t, os.WriteFile(filepath.Join(dir, "eval.toml"), []byte(config), 0o600))
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(py), "vf-eval"), "@", filepath.Join(dir, "eval.toml"), "--no-rich")
	cmd.Env = append(os.Environ(), "SCRIPT_KEY=none", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	traces, unread := os.ReadFile(filepath.Join(dir, "run", "traces.jsonl"))
	if unread != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, e := range rollouts(t, traces) {
		switch text := fmt.Sprint(e); {
		case i == 0 && !(e.OK && e.Traces[0].Rewards["openenv_reward"].Score == 1):
			t.Errorf("a task that is solved: %s", text)
		case i == 1 && (e.OK || !strings.Contains(text, "do not train on it")):
			t.Errorf("a task that cannot be scored: %s", text)
		}
	}
	p.settled()
}

// A rollout is what is looked at of one in verifiers' traces.
type rollout struct {
	Task struct {
		Data struct{ Reset struct{ Task string } }
	}
	OK     bool
	Errors []any
	Traces []struct {
		Errors  []any
		Rewards map[string]struct{ Score float64 }
	}
}

// rollouts are that of count and that of broken.
func rollouts(t *testing.T, traces []byte) []rollout {
	t.Helper()
	all := make([]rollout, 2)
	for line := range strings.Lines(string(traces)) {
		var e rollout
		must(t, json.Unmarshal([]byte(line), &e))
		all[map[string]int{"count": 0, "broken": 1}[e.Task.Data.Reset.Task]] = e
	}
	return all
}
