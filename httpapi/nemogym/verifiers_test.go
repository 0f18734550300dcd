package nemogym

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra"
)

// A goldChat is a gold model that speaks chat completions, streamed.
type goldChat struct{ *goldModel }

func (m goldChat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var task *astra.Task
	var values []json.RawMessage
	for _, i := range asked.Messages {
		switch i.Role {
		case "user":
			task = m.tasks[spoken(i.Content)]
		case "tool":
			values = append(values, outcome(false, spoken(i.Content)).Value)
		}
	}
	said, stop := map[string]any{"role": "assistant", "content": "Done."}, "stop"
	if task != nil {
		output, err := next(task, 1, values)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		said, stop = asChat(output)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	const chunk = `data: {"id":"c%d","object":"chat.completion.chunk","created":1,"model":"gold","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}` + "\n\n"
	fmt.Fprintf(w, chunk, len(values), mustJSON(m.t, said), "null")
	fmt.Fprintf(w, chunk, len(values), "{}", `"`+stop+`"`)
	fmt.Fprintf(w, `data: {"id":"c%d","object":"chat.completion.chunk","created":1,"model":"gold","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`+"\n\ndata: [DONE]\n\n", len(values))
}

// spoken is the text of a message's content, a string or parts.
func spoken(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(raw, &parts)
	for _, p := range parts {
		text += p.Text
	}
	return text
}

// asChat is a Responses output as a chat's delta.
func asChat(output map[string]any) (delta map[string]any, stop string) {
	if output["type"] == "function_call" {
		return map[string]any{"role": "assistant", "tool_calls": []any{map[string]any{"index": 0, "id": output["call_id"], "type": "function",
			"function": map[string]any{"name": output["name"], "arguments": output["arguments"]}}}}, "tool_calls"
	}
	text := output["content"].([]any)[0].(map[string]any)["text"]
	return map[string]any{"role": "assistant", "content": text}, "stop"
}

// verifiers' own NeMo Gym taskset plays every task to the gold agent's reward, and what
// cannot be judged is an error of its rollout, not a 0.
func TestVerifiers(t *testing.T) {
	exe := python(t, ".venv-verifiers", "peers-verifiers")
	h := newHouse(t, "", nil)
	h.add("../testdata/shop")
	model := httptest.NewServer(goldChat{h.newGoldModel()})
	defer model.Close()
	_, data, tasks := h.export(false)
	f, err := os.OpenFile(data, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(`{"responses_create_params":{"input":[{"role":"user","content":"Its gold does not play."}],"tools":[]},"verifier_metadata":{"arena":"shop","task":"broken"}}` + "\n")
	must(t, err)
	must(t, f.Close())
	dir := t.TempDir()
	config := fmt.Sprintf(`model = "gold"
push = false
output_dir = %q
run = {name = "run"}
client = {type = "eval", base_url = "%s/v1", api_key_var = "GOLD_KEY"}

[env.agent]
runtime = {type = "subprocess"}
harness = {id = "null"}

[env.taskset]
id = "nemo_gym"
dataset = %q

[env.taskset.task]
resources_url = %q
`, dir, model.URL, data, h.web.URL)
	must(t, os.WriteFile(filepath.Join(dir, "eval.toml"), []byte(config), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(exe), "vf-eval"), "@", filepath.Join(dir, "eval.toml"), "--no-rich")
	cmd.Env = append(os.Environ(), "GOLD_KEY=none", "HOME="+dir)
	log, err := cmd.CombinedOutput()
	traces, unread := os.ReadFile(filepath.Join(dir, "run", "traces.jsonl"))
	if unread != nil {
		t.Fatalf("%v: %s", err, log)
	}
	h.compareTraces(string(traces), tasks)
}

// compareTraces holds verifiers' traces to the gold agent's rewards; one is of the broken task.
func (h *house) compareTraces(traces string, tasks []*astra.Task) {
	h.t.Helper()
	seen := 0
	for line := range strings.Lines(traces) {
		var e struct {
			Task struct {
				Data struct {
					Row struct {
						Meta place `json:"verifier_metadata"`
					}
				}
			}
			OK     bool
			Traces []struct {
				Errors  []any
				Rewards map[string]struct{ Score float64 }
				Metrics map[string]float64
			}
		}
		must(h.t, json.Unmarshal([]byte(line), &e))
		seen++
		id := e.Task.Data.Row.Meta.Task
		if id == "broken" {
			if e.OK || !strings.Contains(line, "verify") {
				h.t.Errorf("a task that cannot be judged: %s", line)
			}
			continue
		}
		want := h.gold(id)
		if got := e.Traces[0].Rewards["nemo_gym"].Score; !e.OK || got != want.Reward {
			h.t.Errorf("%s: reward %g, over MCP %g: %.2000s", id, got, want.Reward, line)
		}
	}
	if seen != len(tasks)+1 {
		h.t.Errorf("%d rollouts of %d tasks", seen, len(tasks)+1)
	}
}
