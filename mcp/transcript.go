package mcp

import (
	"context"
	"encoding/json"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// A transcript is what the doors show of an episode: its public view, and the caller's own
// calls with what came back. What a tool logged and what a failure was held for stay out.
type transcript struct {
	Episode astra.EpisodeID  `json:"episode_id"`
	Arena   string           `json:"arena"`
	Status  astra.Status     `json:"status"`
	Task    astra.PublicTask `json:"task"`
	Calls   []callRecord     `json:"calls"`
	Score   *shownScore      `json:"score,omitempty"` // explorers only
}

type callRecord struct {
	N     int             `json:"n"`
	Turn  int             `json:"turn"`
	Tool  string          `json:"tool"`
	Args  json.RawMessage `json:"args"`
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

func (s *Server) transcript(ctx context.Context, ep *astra.Episode) (*transcript, error) {
	task, err := s.episodes.Public(ctx, ep.Episode)
	if err != nil {
		return nil, err
	}
	task.Title = line(task.Title, maxTitle)
	t := &transcript{Episode: ep.Episode, Arena: ep.Arena, Status: ep.Status, Task: task, Calls: []callRecord{}}
	for _, step := range ep.Steps {
		t.Calls = append(t.Calls, callRecord{step.Index, step.Turn, step.Tool, step.Args, step.Result.Value, step.Result.Error})
	}
	return t, nil
}

// A shownScore is a score as explorers see it. Sub-tasks are hidden and so are told by
// their number.
type shownScore struct {
	Reward    float64        `json:"reward"`
	Recall    float64        `json:"recall"`
	Precision float64        `json:"precision"`
	Parts     []astra.Part   `json:"parts"`
	Subtasks  []shownSubtask `json:"subtasks,omitempty"`
}

type shownSubtask struct {
	N      int           `json:"n"`
	Solved bool          `json:"solved"`
	Step   int           `json:"step,omitempty"`
	Reason *astra.Reason `json:"reason,omitempty"`
}

func showScore(score *astra.Score) *shownScore {
	if score == nil {
		return nil
	}
	v := &shownScore{Reward: score.Reward, Recall: score.Recall, Precision: score.Precision, Parts: score.Parts}
	if v.Parts == nil {
		v.Parts = []astra.Part{}
	}
	for i, sub := range score.Subtasks {
		v.Subtasks = append(v.Subtasks, shownSubtask{i + 1, sub.Solved, sub.Step, sub.Reason})
	}
	return v
}

// messages are the turns handed out so far, as a conversation.
func messages(task astra.PublicTask) []protocol.PromptMessage {
	list := []protocol.PromptMessage{}
	for _, t := range task.Turns {
		if t.Prompt != "" {
			list = append(list, protocol.NewPromptMessage(protocol.RoleUser, protocol.NewTextContent(t.Prompt)))
		}
		if t.Reply != nil {
			list = append(list, protocol.NewPromptMessage(protocol.RoleAssistant, protocol.NewTextContent(*t.Reply)))
		}
	}
	return list
}

// addEpisodePrompt offers the agent the messages so far.
func (s *Server) addEpisodePrompt(m *server.MCPServer) {
	p := protocol.NewPrompt("messages", protocol.WithPromptTitle("The messages so far"),
		protocol.WithPromptDescription("What the user has asked in this episode, and what you have answered."))
	m.AddPrompt(p, func(ctx context.Context, _ protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		task, err := s.episodes.Public(ctx, requestFrom(ctx).episode)
		if err != nil {
			return nil, s.readError(err)
		}
		return &protocol.GetPromptResult{Description: p.Description, Messages: messages(task)}, nil
	})
}

// episodeURI is the agent's own episode. It names none: there is only one.
const episodeURI = "astra://episode"

// addEpisodeResource offers the agent its public view and what it has done.
func (s *Server) addEpisodeResource(m *server.MCPServer) {
	r := protocol.NewResource(episodeURI, "episode", protocol.WithResourceTitle("This episode"),
		protocol.WithResourceDescription("The task as far as you know it, and your calls with their results."),
		protocol.WithMIMEType("application/json"))
	m.AddResource(r, func(ctx context.Context, _ protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
		ep, err := s.episodes.Episode(ctx, requestFrom(ctx).episode)
		if err != nil {
			return nil, s.readError(err)
		}
		t, err := s.transcript(ctx, ep)
		if err != nil {
			return nil, s.readError(err)
		}
		return contents(episodeURI, t)
	})
}

func contents(uri string, v any) ([]protocol.ResourceContents, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return []protocol.ResourceContents{protocol.TextResourceContents{URI: uri, MIMEType: "application/json", Text: string(b)}}, nil
}
