package mcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
)

const (
	maxFound = 50  // arenas of one search
	maxTasks = 100 // tasks of one description
)

var (
	reads   = astra.Annotations{ReadOnly: true, Idempotent: true}
	changes = astra.Annotations{}
	ends    = astra.Annotations{Destructive: true, Idempotent: true}
)

const (
	optionalEpisode = `{"type":"string","description":"Episode to act in; without it, the one opened last in this session."}`
	seedProperty    = `"seed":{"type":"integer","description":"Seed of the world, if the task has none of its own."}`
	taskSchema      = `{"type":"object","properties":{"id":{"type":"string"},"title":{"type":"string"},"difficulty":{"type":"number"},"tools":{"type":"array","items":{"type":"string"}},"turns":{"type":"array","items":{"type":"object"}}},"required":["id","tools"]}`
	scoreSchema     = `{"type":"object","properties":{"reward":{"type":"number"},"recall":{"type":"number"},"precision":{"type":"number"},"parts":{"type":"array","items":{"type":"object"}},"subtasks":{"type":"array","items":{"type":"object"}}},"required":["reward","recall","precision","parts"]}`
)

// episodeTools open, continue and end episodes.
func (x *explorers) episodeTools() []explorerTool {
	open := `{"type":"object","properties":{"task":{"type":"string","description":"Id of the task to play; without it, free play: no task and no score."},` + seedProperty + `},"additionalProperties":false}`
	if x.arena == "" {
		open = `{"type":"object","properties":{"arena":{"type":"string","description":"Name of the arena, or name@digest."},"task":{"type":"string","description":"Id of the task to play; without it, free play: no task and no score."},` + seedProperty + `},"required":["arena"],"additionalProperties":false}`
	}
	return []explorerTool{
		{astra.PublicTool{Name: "episode_open", Title: "Open an episode", Annotations: changes, Input: json.RawMessage(open),
			Description: "Start a task, or free play, in a fresh world. Returns the episode_id, the first message of the user, and the tools in view.",
			Output:      json.RawMessage(`{"type":"object","properties":{"episode_id":{"type":"string"},"arena":{"type":"string"},"task":{"type":"string"},"title":{"type":"string"},"message":{"type":"string"},"tools":{"type":"array","items":{"type":"string"}},"expires":{"type":"string"}},"required":["episode_id","arena","tools","expires"]}`)},
			tool(x, x.episodeOpen)},
		{astra.PublicTool{Name: "episode_turn", Title: "Answer the user", Annotations: changes,
			Description: "Close the turn being played with your reply. Returns the next message of the user and the tools added, or done: then submit.",
			Input:       json.RawMessage(`{"type":"object","properties":{"reply":{"type":"string","description":"What you tell the user."},"episode_id":` + optionalEpisode + `},"additionalProperties":false}`),
			Output:      json.RawMessage(`{"type":"object","properties":{"turn":{"type":"integer"},"message":{"type":"string"},"tools_added":{"type":"array","items":{"type":"string"}},"done":{"type":"boolean"}},"required":["turn","message","done"]}`)},
			tool(x, x.episodeTurn)},
		{astra.PublicTool{Name: "episode_submit", Title: "Submit the answer", Annotations: ends,
			Description: "End the episode with your final answer, if the task asks for one. Returns the score and what decided it. It cannot be taken back.",
			Input:       json.RawMessage(`{"type":"object","properties":{"answer":{"type":"string","description":"The final answer."},"episode_id":` + optionalEpisode + `},"additionalProperties":false}`),
			Output:      json.RawMessage(`{"type":"object","properties":{"episode_id":{"type":"string"},"scored":{"type":"boolean"},"score":` + scoreSchema + `},"required":["episode_id","scored"]}`)},
			tool(x, x.episodeSubmit)},
		{astra.PublicTool{Name: "episode_status", Title: "Look at an episode", Annotations: reads,
			Description: "Where an episode is: its messages, the tools in view, the calls made so far and, once submitted, the score.",
			Input:       json.RawMessage(`{"type":"object","properties":{"episode_id":` + optionalEpisode + `},"additionalProperties":false}`),
			Output:      json.RawMessage(`{"type":"object","properties":{"episode_id":{"type":"string"},"arena":{"type":"string"},"status":{"type":"string"},"task":` + taskSchema + `,"calls":{"type":"array","items":{"type":"object"}},"score":` + scoreSchema + `},"required":["episode_id","arena","status","task","calls"]}`)},
			tool(x, x.episodeStatus)},
	}
}

// lobbyTools find arenas and call their tools.
func (x *explorers) lobbyTools() []explorerTool {
	return []explorerTool{
		{astra.PublicTool{Name: "arena_search", Title: "Search arenas", Annotations: reads,
			Description: "Find arenas by words of their name, title, domain, description or tools. Without a query: all.",
			Input:       json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"Words that must all occur."}},"additionalProperties":false}`),
			Output:      json.RawMessage(`{"type":"object","properties":{"arenas":{"type":"array","items":{"type":"object"}},"total":{"type":"integer"}},"required":["arenas","total"]}`)},
			tool(x, x.arenaSearch)},
		{astra.PublicTool{Name: "arena_describe", Title: "Describe an arena", Annotations: reads,
			Description: "The tools of an arena with their schemas, and its tasks; 100 tasks at a time.",
			Input:       json.RawMessage(`{"type":"object","properties":{"arena":{"type":"string","description":"Name of the arena, or name@digest."},"from":{"type":"integer","minimum":0,"description":"How many tasks to skip."}},"required":["arena"],"additionalProperties":false}`),
			Output:      json.RawMessage(`{"type":"object","properties":{"arena":{"type":"object"},"tasks":{"type":"array","items":` + taskSchema + `},"total_tasks":{"type":"integer"}},"required":["arena","tasks","total_tasks"]}`)},
			tool(x, x.arenaDescribe)},
		{astra.PublicTool{Name: "episode_call", Title: "Call a tool", Annotations: astra.Annotations{Destructive: true},
			Description: "Call a tool of the episode's arena. It acts on the episode's own world only.",
			Input:       json.RawMessage(`{"type":"object","properties":{"tool":{"type":"string","description":"Name of the tool."},"args":{"type":"object","description":"Its arguments."},"episode_id":` + optionalEpisode + `},"required":["tool"],"additionalProperties":false}`)},
			x.episodeCall},
	}
}

type searchArgs struct {
	Query string `json:"query"`
}

type found struct {
	Arenas []foundArena `json:"arenas"`
	Total  int          `json:"total"`
}

type foundArena struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Domain      string `json:"domain,omitempty"`
	Description string `json:"description"`
	Tools       int    `json:"tools"`
	Tasks       int    `json:"tasks"`
}

func (x *explorers) arenaSearch(ctx context.Context, in searchArgs) (*found, error) {
	all, err := x.episodes.PublicArenas(ctx)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(strings.ToLower(in.Query))
	f := &found{Arenas: []foundArena{}}
	for _, a := range all {
		if !matches(a, words) {
			continue
		}
		if f.Total++; f.Total <= maxFound {
			f.Arenas = append(f.Arenas, brief(a))
		}
	}
	return f, nil
}

func matches(a astra.PublicArena, words []string) bool {
	text := []string{a.Name, a.Title, a.Domain, a.Description}
	for _, t := range a.Tools {
		text = append(text, t.Name, t.Title)
	}
	in := strings.ToLower(strings.Join(text, "\n"))
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(in, w) })
}

func brief(a astra.PublicArena) foundArena {
	f := foundArena{Name: a.Name, Title: orName(a.Title, a.Name), Domain: a.Domain, Description: line(a.Description, 300), Tools: len(a.Tools)}
	for _, n := range a.Tasks {
		f.Tasks += n
	}
	return f
}

type describeArgs struct {
	Arena string `json:"arena"`
	From  int    `json:"from"`
}

// A description is an arena and a page of its tasks.
type description struct {
	Arena astra.PublicArena  `json:"arena"`
	Tasks []astra.PublicTask `json:"tasks"`
	Total int                `json:"total_tasks"`
}

func (x *explorers) arenaDescribe(ctx context.Context, in describeArgs) (*description, error) {
	return x.describe(ctx, in.Arena, in.From)
}

func (x *explorers) describe(ctx context.Context, ref string, from int) (*description, error) {
	a, err := x.episodes.PublicArena(ctx, ref)
	if err != nil {
		return nil, err
	}
	tasks, err := x.episodes.Tasks(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	from = min(max(from, 0), len(tasks))
	page := tasks[from:min(from+maxTasks, len(tasks))]
	return &description{Arena: cleanArena(a), Tasks: cleanTasks(page), Total: len(tasks)}, nil
}

type callArgs struct {
	Tool    string          `json:"tool"`
	Args    json.RawMessage `json:"args"`
	Episode astra.EpisodeID `json:"episode_id"`
}

func (x *explorers) episodeCall(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
	var in callArgs
	if err := decode(r, &in); err != nil {
		return failed(err.Error()), nil
	}
	outer, err := callOf(r)
	if err != nil {
		return failed(err.Error()), nil
	}
	return x.callIn(ctx, in.Episode, astra.Call{Tool: in.Tool, Args: in.Args, Key: outer.Key}), nil
}
