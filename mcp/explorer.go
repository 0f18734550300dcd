package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// newExplorerDoor builds the server for explorers of one version of an arena: its tools,
// and the tools that open, continue and end episodes.
func (s *Server) newExplorerDoor(a astra.PublicArena, ref string) (*door, error) {
	x := &explorers{Server: s, arena: ref}
	tools := x.episodeTools()
	for i, t := range a.Tools {
		t, err := withEpisode(t)
		if err != nil {
			return nil, fmt.Errorf("tool %s: %w", a.Tools[i].Name, err)
		}
		tools = append(tools, explorerTool{t, x.callTool})
	}
	m := x.newServer("astra/"+a.Name, orName(a.Title, a.Name), explorerInstructions(a), tools)
	x.addResources(m, &a)
	x.addPrompts(m)
	return s.newDoor(m), nil
}

// newLobby builds the server for explorers of all arenas.
func (s *Server) newLobby() (*door, error) {
	x := &explorers{Server: s}
	m := x.newServer("astra", "astra", lobbyInstructions, append(x.lobbyTools(), x.episodeTools()...))
	x.addResources(m, nil)
	x.addPrompts(m)
	return s.newDoor(m), nil
}

// explorers are the tools of the explorers' doors.
type explorers struct {
	*Server
	arena string // name@digest; "" in the lobby
}

// An explorerTool is a tool and its handler.
type explorerTool struct {
	astra.PublicTool
	handle server.ToolHandlerFunc
}

// newServer makes a server whose list of tools is fixed, and in our order: the library
// sorts by name.
func (x *explorers) newServer(name, title, instructions string, tools []explorerTool) *server.MCPServer {
	var legacy, modern []protocol.Tool
	for _, t := range tools {
		legacy = append(legacy, present(t.PublicTool, false))
		modern = append(modern, present(t.PublicTool, true))
	}
	completion := completions{x}
	hooks := new(server.Hooks)
	hooks.AddAfterListResources(x.listArenas)
	m := server.NewMCPServer(name, x.opts.Version,
		server.WithTitle(title),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(false),
		server.WithPromptCapabilities(false),
		server.WithResourceCapabilities(false, false),
		server.WithCompletions(),
		server.WithPromptCompletionProvider(completion),
		server.WithResourceCompletionProvider(completion),
		server.WithHooks(hooks),
		server.WithToolFilter(func(ctx context.Context, _ []protocol.Tool) []protocol.Tool {
			if isModern(ctx) {
				return modern
			}
			return legacy
		}))
	for _, t := range tools {
		m.AddTool(registered(t.PublicTool), t.handle)
	}
	return m
}

var (
	errNoEpisode = errors.New("say which episode: call episode_open and pass its episode_id")
	errNotYours  = fmt.Errorf("episode: %w", astra.ErrNotFound)
)

// mine finds the episode that a call means: the one it names, if it is the caller's own;
// else the one opened last in its session.
func (x *explorers) mine(ctx context.Context, id astra.EpisodeID) (astra.EpisodeID, error) {
	q := requestFrom(ctx)
	if id == "" {
		if in := q.session(ctx); in != nil {
			id = in.lastOpened()
		}
		if id == "" {
			return "", errNoEpisode
		}
	}
	err := x.isOwn(ctx, id, q.principal)
	if errors.Is(err, astra.ErrNotFound) {
		err = errNotYours // whether there is such an episode or not
	}
	return id, err
}

// played is the transcript, with its score, of the episode that a call means.
func (x *explorers) played(ctx context.Context, id astra.EpisodeID) (*transcript, error) {
	id, err := x.mine(ctx, id)
	if err != nil {
		return nil, err
	}
	ep, err := x.episodes.Episode(ctx, id)
	if err != nil {
		return nil, err
	}
	t, err := x.transcript(ctx, ep)
	if err != nil {
		return nil, err
	}
	t.Score = showScore(ep.Score)
	return t, nil
}

// open starts an episode, which is from then on the one that its session means.
func (x *explorers) open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error) {
	q := requestFrom(ctx)
	req.Mode, req.Principal = astra.Practice, q.principal
	o, err := x.episodes.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	if in := q.session(ctx); in != nil {
		in.setLast(o.Episode)
	}
	x.recent.add(q.principal, o.Episode)
	return o, nil
}

// callTool is the handler of every tool of the arena. Without an episode, a session plays
// freely.
func (x *explorers) callTool(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
	c, err := callOf(r)
	if err != nil {
		return failed(err.Error()), nil
	}
	var id astra.EpisodeID
	if c.Args, id, err = splitEpisode(c.Args); err != nil {
		return failed(err.Error()), nil
	}
	return x.callIn(ctx, id, c), nil
}

func (x *explorers) callIn(ctx context.Context, id astra.EpisodeID, c astra.Call) *protocol.CallToolResult {
	id, err := x.mine(ctx, id)
	if in := requestFrom(ctx).session(ctx); errors.Is(err, errNoEpisode) && x.arena != "" && in != nil {
		id, err = x.playFreely(ctx, in)
	}
	if err != nil {
		return x.explorerError(err)
	}
	return x.call(ctx, id, c)
}

// playFreely opens the episode of a session that has none, once.
func (x *explorers) playFreely(ctx context.Context, in *session) (astra.EpisodeID, error) {
	in.opening.Lock()
	defer in.opening.Unlock()
	if id := in.lastOpened(); id != "" {
		return id, nil
	}
	o, err := x.open(ctx, gateway.OpenRequest{Arena: x.arena})
	if err != nil {
		return "", err
	}
	return o.Episode, nil
}

// explorerError is toolError, and knows what only explorers can do wrong.
func (x *explorers) explorerError(err error) *protocol.CallToolResult {
	if errors.Is(err, errNoEpisode) {
		return failed(errNoEpisode.Error())
	}
	return x.toolError(err)
}

// splitEpisode takes episode_id out of a call's arguments and leaves the others' bytes as
// they are. What is no object is left for the gateway to refuse.
func splitEpisode(args json.RawMessage) (json.RawMessage, astra.EpisodeID, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(args, &all) != nil || all["episode_id"] == nil {
		return args, "", nil
	}
	var id astra.EpisodeID
	if err := json.Unmarshal(all["episode_id"], &id); err != nil {
		return nil, "", errors.New("episode_id must be a string")
	}
	delete(all, "episode_id")
	rest, err := json.Marshal(all)
	return rest, id, err
}

// decode reads the arguments of a tool of ours. An argument that it does not know is
// refused: a slip like task_id would otherwise open the wrong thing.
func decode(r protocol.CallToolRequest, to any) error {
	c, err := callOf(r)
	if err != nil {
		return err
	}
	if len(c.Args) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(c.Args))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("arguments of %s: %w", r.Params.Name, err)
	}
	return nil
}

// tool makes a handler of a function from arguments to an object.
func tool[In, Out any](x *explorers, do func(context.Context, In) (Out, error)) server.ToolHandlerFunc {
	return func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		var in In
		if err := decode(r, &in); err != nil {
			return failed(err.Error()), nil
		}
		out, err := do(ctx, in)
		if err != nil {
			return x.explorerError(err), nil
		}
		return objectResult(ctx, out)
	}
}

type openArgs struct {
	Arena string `json:"arena"`
	Task  string `json:"task"`
	Seed  *int64 `json:"seed"`
}

// An opened is what episode_open returns. The key is not shown: explorers use the id.
type opened struct {
	Episode astra.EpisodeID `json:"episode_id"`
	Arena   string          `json:"arena"`
	Task    string          `json:"task,omitempty"`
	Title   string          `json:"title,omitempty"`
	Message string          `json:"message,omitempty"`
	Tools   []string        `json:"tools"`
	Expires string          `json:"expires"`
}

func (x *explorers) episodeOpen(ctx context.Context, in openArgs) (*opened, error) {
	switch {
	case x.arena == "" && in.Arena == "":
		return nil, fmt.Errorf("%w: say which arena; arena_search lists them", astra.ErrRefused)
	case x.arena != "" && in.Arena != "":
		return nil, fmt.Errorf("%w: arena is given by this endpoint; leave it out", astra.ErrRefused)
	case x.arena != "":
		in.Arena = x.arena
	}
	o, err := x.open(ctx, gateway.OpenRequest{Arena: in.Arena, Task: in.Task, Seed: in.Seed})
	if err != nil {
		return nil, err
	}
	return &opened{o.Episode, o.Arena, o.Task.ID, line(o.Task.Title, maxTitle), o.Message, list(o.Task.Tools), o.Expires.UTC().Format(time.RFC3339)}, nil
}

// list is a list that is never null.
func list[T any](of []T) []T {
	if of == nil {
		return []T{}
	}
	return of
}

type turnArgs struct {
	Episode astra.EpisodeID `json:"episode_id"`
	Reply   string          `json:"reply"`
}

func (x *explorers) episodeTurn(ctx context.Context, in turnArgs) (*gateway.NextTurn, error) {
	id, err := x.mine(ctx, in.Episode)
	if err != nil {
		return nil, err
	}
	return x.episodes.Turn(ctx, id, in.Reply)
}

type submitArgs struct {
	Episode astra.EpisodeID `json:"episode_id"`
	Answer  *string         `json:"answer"`
}

type submitted struct {
	Episode astra.EpisodeID `json:"episode_id"`
	Scored  bool            `json:"scored"` // free play is not
	Score   *shownScore     `json:"score,omitempty"`
}

func (x *explorers) episodeSubmit(ctx context.Context, in submitArgs) (*submitted, error) {
	id, err := x.mine(ctx, in.Episode)
	if err != nil {
		return nil, err
	}
	score, err := x.episodes.Submit(ctx, id, astra.Submitted{Answer: in.Answer})
	if err != nil {
		return nil, err
	}
	return &submitted{id, score != nil, showScore(score)}, nil
}

type statusArgs struct {
	Episode astra.EpisodeID `json:"episode_id"`
}

func (x *explorers) episodeStatus(ctx context.Context, in statusArgs) (*transcript, error) {
	return x.played(ctx, in.Episode)
}
