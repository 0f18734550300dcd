package nemogym

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
)

// A goldModel speaks the Responses API and plays the gold calls of whichever task's first
// message it is sent: the policy of real harnesses.
type goldModel struct {
	t     testing.TB
	tasks map[string]*astra.Task // by first message
}

func (h *house) newGoldModel() *goldModel {
	m := &goldModel{t: h.t, tasks: map[string]*astra.Task{}}
	for i := range h.arenas["inventory"].Tasks {
		task := &h.arenas["inventory"].Tasks[i]
		m.tasks[task.Turns[0].Prompt] = task
	}
	return m
}

func (h *house) goldModel() *httptest.Server {
	s := httptest.NewServer(h.newGoldModel())
	h.t.Cleanup(s.Close)
	return s
}

func (m *goldModel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Input []struct {
			item
			Output string `json:"output"`
		} `json:"input"`
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var task *astra.Task
	var values []json.RawMessage
	turn := 0
	for _, i := range asked.Input {
		switch {
		case i.Type == "function_call_output":
			values = append(values, outcome(false, i.Output).Value)
		case i.message("user"):
			if turn++; turn == 1 {
				task = m.tasks[string(i.Content)]
			}
		}
	}
	if task == nil || len(asked.Tools) == 0 {
		http.Error(w, "there is no such task", http.StatusNotFound)
		return
	}
	output, err := next(task, turn, values)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = writeJSON(w, http.StatusOK, map[string]any{"id": fmt.Sprintf("resp_%d_%d", turn, len(values)), "object": "response", "created_at": 1, "model": "gold", "status": "completed",
		"output": []any{output}, "parallel_tool_calls": false, "tool_choice": "auto", "tools": []any{},
		"usage": map[string]any{"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_tokens_details": map[string]int{"cached_tokens": 0}, "output_tokens_details": map[string]int{"reasoning_tokens": 0}}})
}

// next is the next gold call of a turn, or its reply.
func next(task *astra.Task, turn int, values []json.RawMessage) (map[string]any, error) {
	n := 0
	for _, calls := range task.Gold[:min(turn, len(task.Gold))] {
		for _, c := range calls {
			if n == len(values) {
				args := c.Args
				if len(args) == 0 {
					args = json.RawMessage("{}")
				}
				args, err := astra.Interpolate(args, values)
				return map[string]any{"type": "function_call", "id": fmt.Sprint("fc_", n), "call_id": fmt.Sprint("call_", n), "name": c.Tool, "arguments": string(args), "status": "completed"}, err
			}
			n++
		}
	}
	text := "Done."
	if answer := agent.GoldAnswer(task); turn >= len(task.Turns) && answer != "" {
		text = answer
	}
	return map[string]any{"type": "message", "id": fmt.Sprint("msg_", turn), "role": "assistant", "status": "completed",
		"content": []any{map[string]any{"type": "output_text", "text": text, "annotations": []any{}}}}, nil
}
