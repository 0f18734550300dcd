package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
)

// DefaultGymAgent is the agent_ref of rows that name no other.
const DefaultGymAgent = "astra_simple_agent"

// A GymRow is a task row of NeMo Gym.
//
// A harness posts whole rows to the agent's server and to the resources server, but shows a
// model no more than ResponsesCreateParams: the first message and the documents of the tools,
// which are what an agent sees of a task at any of our doors. Metadata, for the verifier, names
// the arena by its digest and the task: sub-tasks, gold calls and answers stay in the arena,
// and are nowhere in a row, so that nothing that logs or shows one can tell them.
type GymRow struct {
	ResponsesCreateParams GymParams `json:"responses_create_params"`
	ID                    string    `json:"id"`
	EnvironmentName       string    `json:"environment_name"` // the arena
	Metadata              GymTask   `json:"verifier_metadata"`
	AgentRef              GymAgent  `json:"agent_ref"`

	Notes []string `json:"-"` // what was left out
}

// GymParams are what the model is asked.
type GymParams struct {
	Input             []GymMessage `json:"input"`
	Tools             []GymTool    `json:"tools"`
	ParallelToolCalls bool         `json:"parallel_tool_calls"` // false: sub-tasks may depend on each other
}

// A GymMessage is one message.
type GymMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A GymTool is a tool in the flat form of the Responses API. It is not strict: that would
// make every optional argument a required one.
type GymTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      bool            `json:"strict"`
}

// A GymTask says which task is to be opened and judged.
type GymTask struct {
	Arena  string       `json:"arena"`
	Digest astra.Digest `json:"digest"`
	Task   string       `json:"task"`
	Split  astra.Split  `json:"split"`

	Invalid string `json:"invalid,omitempty"` // FailInvalid, or else MaskInvalid
}

// A GymAgent names the server that plays.
type GymAgent struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// GymOf writes a task as a NeMo Gym row. Of a task with several turns a row could tell the
// first only, so it is refused unless the row is for the Gymnasium agent, which is told each
// message by the server; so are tools whose schemas only a runtime knows, and tasks whose user
// is simulated, which the server does not serve to NeMo Gym.
func GymOf(a *astra.Arena, t *astra.Task, opts *ExportOptions) (*GymRow, error) {
	switch {
	case t.User != nil:
		return nil, errors.New("a simulated user, whom no agent of NeMo Gym brings")
	case opts.gymnasium():
		return gymnasiumOf(a, t, opts)
	case len(t.Turns) != 1:
		return nil, fmt.Errorf("%d turns, and a row has one; the Gymnasium agent plays such tasks", len(t.Turns))
	}
	r, err := gymOf(a, t, opts)
	if err != nil {
		return nil, err
	}
	r.ResponsesCreateParams.Input = []GymMessage{{"user", t.Turns[0].Prompt}}
	return r, nil
}

// gymnasiumOf writes a row without a message. The agent shows a model the same tools from
// the first message to the last, so the row has those of all turns.
func gymnasiumOf(a *astra.Arena, t *astra.Task, opts *ExportOptions) (*GymRow, error) {
	r, err := gymOf(a, t, opts)
	if err != nil {
		return nil, err
	}
	for n, turn := range t.Turns {
		for _, name := range turn.ToolsAdded {
			if err := r.add(a.Tool(name)); err != nil {
				return nil, err
			}
			r.Notes = append(r.Notes, fmt.Sprintf("the tool %s, which turn %d adds, is shown from the start, and cannot be called before", name, n+1))
		}
	}
	return r, nil
}

func gymOf(a *astra.Arena, t *astra.Task, opts *ExportOptions) (*GymRow, error) {
	r := &GymRow{ID: a.Name + "/" + t.ID, EnvironmentName: a.Name, Metadata: GymTask{Arena: a.Name, Digest: a.Digest, Task: t.ID, Split: t.Split},
		AgentRef: GymAgent{"responses_api_agents", DefaultGymAgent}}
	if opts != nil && opts.Agent != "" {
		r.AgentRef.Name = opts.Agent
	}
	switch opts.invalid() {
	case FailInvalid:
		r.Metadata.Invalid = FailInvalid
	case "", MaskInvalid:
	default:
		return nil, fmt.Errorf("there is no way %q to tell what cannot be judged", opts.Invalid)
	}
	r.ResponsesCreateParams.Input = []GymMessage{}
	shown, notes := opts.Shown(a, t)
	for _, tool := range shown {
		if err := r.add(tool); err != nil {
			return nil, err
		}
	}
	r.Notes = notes
	return r, nil
}

func (r *GymRow) add(t *astra.Tool) error {
	if t.Derived {
		return fmt.Errorf("the tool %s has no input schema but its signature; write input in arena.yaml", t.Name)
	}
	p := &r.ResponsesCreateParams
	p.Tools = append(p.Tools, GymTool{Type: "function", Name: t.Name, Description: t.Description, Parameters: t.Input})
	return nil
}

// WriteGym writes a row, one line.
func WriteGym(w io.Writer, r *GymRow) error {
	line, err := synth.JSON(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
