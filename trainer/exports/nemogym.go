package exports

import (
	"encoding/json"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/trainer/samples"
)

// A gymRow is a rollout of NeMo Gym: the task's row, the response in the form of the Responses
// API, and the reward. What came back of tools and later user messages stand in the response's
// output among what the model said, as Gym's own agents have it.
type gymRow struct {
	Params      gymParams   `json:"responses_create_params"`
	ID          string      `json:"id"`
	Environment string      `json:"environment_name"` // the arena
	Metadata    gymTask     `json:"verifier_metadata"`
	Agent       gymAgent    `json:"agent_ref"`
	Response    gymResponse `json:"response"`
	Reward      float64     `json:"reward"`

	// What NeMo Gym's own profiles and verification tell rollouts apart by.
	// What is left out leaves gaps.
	Group  int `json:"_ng_task_index"`
	Member int `json:"_ng_rollout_index"` // of the group
}

type gymParams struct {
	Input    []gymMessage `json:"input"`
	Tools    []gymTool    `json:"tools"`
	Parallel bool         `json:"parallel_tool_calls"`
}

type gymMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type gymTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"` // false: strict would make every optional argument a required one
}

type gymTask struct {
	Arena  string `json:"arena"`
	Digest string `json:"digest"`
	Task   string `json:"task"`
}

type gymAgent struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

type gymResponse struct {
	ID       string    `json:"id"`
	Created  int64     `json:"created_at"` // 0: a clock would make equal episodes unequal
	Model    string    `json:"model"`
	Object   string    `json:"object"`
	Output   []gymItem `json:"output"`
	Parallel bool      `json:"parallel_tool_calls"`
	Choice   string    `json:"tool_choice"`
	Tools    []gymTool `json:"tools"`
}

func gymRows(g *group) ([]made[gymRow], error) {
	var rows []made[gymRow]
	g.eachChat(func(i int, chat []astra.ChatMessage, n int) error {
		output, last := gymItems(chat[n:])
		why := g.gymTokens(i, chat, output, last)
		g.tell(i, why)
		if follows(chat[n:]) {
			g.lose(i, because("assistant messages that follow each other are one", "%d messages", len(chat)))
		}
		rows = append(rows, made[gymRow]{g.gymRow(i, chat[:n], output), []int{i}})
		return nil
	})
	return rows, nil
}

func (g *group) gymRow(i int, asked []astra.ChatMessage, output []gymItem) gymRow {
	s := &g.samples[i]
	arena, digest, _ := strings.Cut(s.Arena, "@")
	tools, model := gymTools(s.Trajectory.Tools), s.Trajectory.Metadata.Policy
	r := gymRow{ID: arena + "/" + s.Task, Environment: arena, Metadata: gymTask{arena, digest, s.Task}, Agent: gymAgent{"responses_api_agents", g.options.Agent},
		Params: gymParams{Tools: tools}, Reward: s.Reward, Group: g.ordinal, Member: i}
	for _, m := range asked {
		r.Params.Input = append(r.Params.Input, gymMessage{m.Role, m.Content})
	}
	r.Response = gymResponse{ID: "resp_" + string(s.Episode), Model: model, Object: "response", Output: output, Choice: "auto", Tools: tools}
	r.Params.Parallel = parallel(output)
	r.Response.Parallel = r.Params.Parallel
	return r
}

func gymTools(tools []astra.ChatTool) []gymTool {
	all := []gymTool{}
	for _, t := range tools {
		all = append(all, gymTool{"function", t.Function.Name, t.Function.Description, t.Function.Parameters, false})
	}
	return all
}

// gymTokens puts the tokens of each completion on its last item. The error is why it does not.
func (g *group) gymTokens(i int, chat []astra.ChatMessage, output []gymItem, last []int) error {
	s := &g.samples[i]
	if len(s.Sequences) == 0 {
		return nil
	}
	calls, err := completions(s, chat)
	if err != nil {
		return err
	}
	for k := range calls {
		if calls[k].Logprobs == nil {
			return because("token ids are left out, as log-probabilities are not known", "of completion %d", k)
		}
	}
	for k, c := range calls {
		it := &output[last[k]]
		it.Prompt, it.Sampled, it.Logprobs = c.Prompt, c.Sampled, c.Logprobs
	}
	return nil
}

func (r *gymRow) recall(of []*samples.Sample) error {
	if len(of) != 1 {
		return errOne
	}
	var chat []astra.ChatMessage
	for _, m := range r.Params.Input {
		chat = append(chat, astra.ChatMessage{Role: m.Role, Content: m.Content})
	}
	said, calls, err := gymChat(r.Response.Output)
	if err != nil {
		return err
	}
	var tools []astra.ChatTool
	for _, t := range r.Params.Tools {
		tools = append(tools, astra.ChatTool{Type: "function", Function: astra.ChatToolSpec{Name: t.Name, Description: t.Description, Parameters: t.Parameters}})
	}
	return remember(of[0], append(chat, said...), tools, calls)
}
