package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/astra-arenas/astra"
	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const (
	arenaTemplate   = "astra://arenas/{arena}"
	taskTemplate    = "astra://arenas/{arena}/tasks/{task}"
	episodeTemplate = "astra://episodes/{episode}"
)

// addResources offers explorers the public views.
func (x *explorers) addResources(m *server.MCPServer, own *astra.PublicArena) {
	if own != nil {
		m.AddResource(arenaResource(*own), x.readView)
	}
	for _, t := range []struct{ uri, name, title, text string }{
		{arenaTemplate, "arena", "An arena", "What an arena is: its tools and tasks."},
		{taskTemplate, "task", "A task", "What may be known of a task before it is played."},
		{episodeTemplate, "episode", "An episode", "One of your own episodes: messages, calls, results and score."},
	} {
		m.AddResourceTemplate(protocol.NewResourceTemplate(t.uri, t.name, protocol.WithTemplateTitle(t.title),
			protocol.WithTemplateDescription(t.text), protocol.WithTemplateMIMEType("application/json")), x.readView)
	}
}

func arenaResource(a astra.PublicArena) protocol.Resource {
	return protocol.NewResource("astra://arenas/"+a.Name, a.Name, protocol.WithResourceTitle(orName(a.Title, a.Name)),
		protocol.WithResourceDescription(line(a.Description, 300)), protocol.WithMIMEType("application/json"))
}

// listArenas lists the arenas that there are now, in the lobby.
func (x *explorers) listArenas(ctx context.Context, _ any, _ *protocol.ListResourcesRequest, result *protocol.ListResourcesResult) {
	if x.arena != "" {
		return
	}
	all, err := x.episodes.PublicArenas(ctx)
	if err != nil {
		x.log.ErrorContext(ctx, "arenas not listed", "error", err)
	}
	for _, a := range all {
		result.Resources = append(result.Resources, arenaResource(a))
	}
}

// readView reads every resource of ours: its URI says which.
func (x *explorers) readView(ctx context.Context, r protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
	v, err := x.view(ctx, r.Params.URI)
	if errors.Is(err, astra.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", line(r.Params.URI, 200), astra.ErrNotFound)
	}
	if err != nil {
		return nil, x.readError(err)
	}
	return contents(r.Params.URI, v)
}

func (x *explorers) view(ctx context.Context, uri string) (any, error) {
	path, ok := strings.CutPrefix(uri, "astra://")
	if !ok {
		return nil, astra.ErrNotFound
	}
	part := strings.Split(path, "/")
	for i := range part {
		plain, err := url.PathUnescape(part[i])
		if err != nil {
			return nil, astra.ErrNotFound
		}
		part[i] = plain
	}
	switch {
	case len(part) == 2 && part[0] == "arenas" && x.shows(part[1]):
		return x.describe(ctx, part[1], 0)
	case len(part) == 4 && part[0] == "arenas" && part[2] == "tasks" && x.shows(part[1]):
		return x.task(ctx, part[1], part[3])
	case len(part) == 2 && part[0] == "episodes" && part[1] != "":
		return x.played(ctx, astra.EpisodeID(part[1]))
	}
	return nil, astra.ErrNotFound
}

// shows reports whether this door is for the arena: an arena's door shows its own only.
func (x *explorers) shows(ref string) bool {
	name, _, _ := strings.Cut(x.arena, "@")
	return ref != "" && (x.arena == "" || ref == x.arena || ref == name)
}

func (x *explorers) task(ctx context.Context, ref, id string) (*astra.PublicTask, error) {
	tasks, err := x.episodes.Tasks(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(tasks, func(t astra.PublicTask) bool { return t.ID == id })
	if i < 0 {
		return nil, astra.ErrNotFound
	}
	return &cleanTasks(tasks[i : i+1])[0], nil
}

// addPrompts offers explorers what to begin with.
func (x *explorers) addPrompts(m *server.MCPServer) {
	play := []protocol.PromptOption{protocol.WithPromptTitle("Play a task"),
		protocol.WithPromptDescription("Open an episode of a task and play it to its end.")}
	if x.arena == "" {
		play = append(play, protocol.WithArgument("arena", protocol.ArgumentTitle("Arena"), protocol.ArgumentDescription("Name of the arena."), protocol.RequiredArgument()))
	}
	play = append(play, protocol.WithArgument("task", protocol.ArgumentTitle("Task"), protocol.ArgumentDescription("Id of the task."), protocol.RequiredArgument()))
	m.AddPrompt(protocol.NewPrompt("play_task", play...), x.playPrompt)
	m.AddPrompt(protocol.NewPrompt("explain_episode", protocol.WithPromptTitle("Explain an episode"),
		protocol.WithPromptDescription("Look at one of your episodes and explain its score."),
		protocol.WithArgument("episode", protocol.ArgumentTitle("Episode"), protocol.ArgumentDescription("Id of the episode; without it, the one opened last in this session."))), x.explainPrompt)
}

func (x *explorers) playPrompt(ctx context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
	ref, call := x.arena, "the arena's tools"
	if ref == "" {
		ref, call = r.Params.Arguments["arena"], "episode_call"
	}
	t, err := x.task(ctx, ref, r.Params.Arguments["task"])
	if errors.Is(err, astra.ErrNotFound) {
		return nil, errors.New("no such task: complete the arguments, or look at the resource " + arenaTemplate)
	}
	if err != nil {
		return nil, x.readError(err)
	}
	args := fmt.Sprintf("task %q", t.ID)
	if x.arena == "" {
		args = fmt.Sprintf("arena %q and %s", ref, args)
	}
	text := "Open an episode with episode_open, " + args + ". Do what its message asks with " + call +
		"; answer with episode_turn until it says done, then give the final answer with episode_submit. At the end, tell me the score and what decided it."
	return &protocol.GetPromptResult{Description: orName(t.Title, t.ID),
		Messages: []protocol.PromptMessage{protocol.NewPromptMessage(protocol.RoleUser, protocol.NewTextContent(text))}}, nil
}

func (x *explorers) explainPrompt(ctx context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
	t, err := x.played(ctx, astra.EpisodeID(r.Params.Arguments["episode"]))
	if errors.Is(err, errNoEpisode) {
		return nil, errNoEpisode
	}
	if err != nil {
		return nil, x.readError(err)
	}
	c, err := contents("astra://episodes/"+string(t.Episode), t)
	if err != nil {
		return nil, err
	}
	return &protocol.GetPromptResult{Messages: []protocol.PromptMessage{
		protocol.NewPromptMessage(protocol.RoleUser, protocol.NewEmbeddedResource(c[0])),
		protocol.NewPromptMessage(protocol.RoleUser, protocol.NewTextContent("Explain this episode: what was done, what the score says, and which call would have been better.")),
	}}, nil
}

// completions complete the arguments of prompts and templates: arenas, tasks, and the
// caller's own episodes.
type completions struct{ *explorers }

// maxCompletions is the protocol's.
const maxCompletions = 100

// CompletePromptArgument completes an argument of play_task or explain_episode.
func (c completions) CompletePromptArgument(ctx context.Context, _ string, a protocol.CompleteArgument, in protocol.CompleteContext) (*protocol.Completion, error) {
	return c.complete(ctx, a, in.Arguments)
}

// CompleteResourceArgument completes a variable of a template.
func (c completions) CompleteResourceArgument(ctx context.Context, _ string, a protocol.CompleteArgument, in protocol.CompleteContext) (*protocol.Completion, error) {
	return c.complete(ctx, a, in.Arguments)
}

func (c completions) complete(ctx context.Context, a protocol.CompleteArgument, given map[string]string) (*protocol.Completion, error) {
	values, err := c.values(ctx, a.Name, given)
	if errors.Is(err, astra.ErrNotFound) {
		err = nil // an arena that is still being typed
	}
	if err != nil {
		return nil, c.readError(err)
	}
	values = slices.DeleteFunc(values, func(v string) bool { return !strings.HasPrefix(v, a.Value) })
	done := &protocol.Completion{Values: values, Total: len(values)}
	if len(values) > maxCompletions {
		done.Values, done.HasMore = values[:maxCompletions], true
	}
	return done, nil
}

func (c completions) values(ctx context.Context, argument string, given map[string]string) ([]string, error) {
	switch argument {
	case "arena":
		return c.arenaNames(ctx)
	case "task":
		ref := c.arena
		if ref == "" {
			ref = given["arena"]
		}
		tasks, err := c.episodes.Tasks(ctx, ref, "")
		var ids []string
		for _, t := range tasks {
			ids = append(ids, t.ID)
		}
		return ids, err
	case "episode":
		return c.recent.of(requestFrom(ctx).principal), nil
	}
	return nil, nil
}

func (c completions) arenaNames(ctx context.Context) ([]string, error) {
	if name, _, _ := strings.Cut(c.arena, "@"); name != "" {
		return []string{name}, nil
	}
	all, err := c.episodes.PublicArenas(ctx)
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names, err
}

// recent are the ids of the episodes that each principal opened last, newest first. It
// serves completion only, and forgets with the process.
type recent struct {
	mu  sync.Mutex
	ids map[string][]string
}

func newRecent() *recent { return &recent{ids: map[string][]string{}} }

func (r *recent) add(principal string, id astra.EpisodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := append([]string{string(id)}, r.ids[principal]...)
	r.ids[principal] = list[:min(len(list), maxCompletions)]
}

func (r *recent) of(principal string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids[principal])
}
