package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
)

// An OpenRequest asks for an episode.
type OpenRequest struct {
	Arena    string             `json:"arena"`          // reference
	Task     string             `json:"task,omitempty"` // "" is free play: no task, no score; practice only
	Seed     *int64             `json:"seed,omitempty"` // refused if the task has another
	Mode     astra.Mode         `json:"mode,omitempty"` // default practice
	Group    string             `json:"group,omitempty"`
	Policy   string             `json:"policy,omitempty"`
	Failures *astra.FailurePlan `json:"failures,omitempty"` // instead of the task's or the arena's; rate 0: none
	// Distractors are tools of other arenas, as arena/tool, instead of the task's; empty and
	// not nil: none.
	Distractors []string `json:"distractors,omitzero"`
	Principal   string   `json:"-"` // who opens; the door says
	// Key, if set, is the episode's: opening with one that has an open episode of the same
	// task, seed and mode answers with that; of others, with astra.ErrConflict. It must be
	// as hard to guess as any.
	Key astra.Key     `json:"-"`
	TTL time.Duration `json:"-"` // default Options.TTL
}

// An Opening is what the opener learns; the key is shown nowhere else.
type Opening struct {
	Episode astra.EpisodeID  `json:"episode"`
	Key     astra.Key        `json:"key"`
	Arena   string           `json:"arena"` // name@digest
	Task    astra.PublicTask `json:"task"`
	Message string           `json:"message"` // the first user message; "" in free play
	Expires time.Time        `json:"expires"`
}

// maxName bounds group, policy and principal, which a caller chooses freely.
const maxName = 256

// Open starts an episode. Errors: ErrNotFound, ErrRefused, ErrFull; ErrConflict, ErrEnded and
// ErrBusy (it is being opened) for a key of the opener's.
func (g *Gateway) Open(ctx context.Context, req OpenRequest) (*Opening, error) {
	l, task, err := g.admit(&req)
	if err != nil {
		return nil, err
	}
	if g.opts.Certifier != nil && req.Mode != astra.Practice {
		if err := g.mustBeCertified(ctx, l); err != nil {
			return nil, err
		}
	}
	o, err := g.opened(l, task, &req)
	if err != nil {
		return nil, err
	}
	if req.Key != "" {
		if was, err := g.reopened(ctx, req.Key, &o); was != nil || err != nil {
			return was, err
		}
	}
	if o.View, err = g.view(ctx, l, task, distractorsOf(&req, task), o.Seed); err != nil {
		return nil, err
	}
	return g.begin(ctx, o, cmp.Or(req.Key, astra.NewKey()), nil, nil)
}

// keyed is the episode of a key that its opener chose, nil if there is none yet.
func (g *Gateway) keyed(ctx context.Context, key astra.Key) (*episode, error) {
	id, err := g.Resolve(ctx, key)
	if errors.Is(err, astra.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := g.peek(ctx, id)
	if errors.Is(err, astra.ErrNotFound) {
		return nil, fmt.Errorf("%w: it is being opened", astra.ErrBusy)
	}
	return e, err
}

// reopened answers who opens an episode with a key of its own: nil if the key has none yet.
func (g *Gateway) reopened(ctx context.Context, key astra.Key, want *astra.Opened) (*Opening, error) {
	e, err := g.keyed(ctx, key)
	if e == nil || err != nil {
		return nil, err
	}
	switch was := e.rec; {
	case was.Digest != want.Digest || was.Task != want.Task || was.Seed != want.Seed || was.Mode != want.Mode:
		return nil, astra.ErrConflict
	case was.Over():
		return nil, astra.ErrEnded
	}
	return openingOf(e, key), nil
}

// admit finds what is asked for and says what is wrong with the request.
func (g *Gateway) admit(req *OpenRequest) (*loaded, *astra.Task, error) {
	l, err := g.arenas.find(req.Arena)
	if err != nil {
		return nil, nil, err
	}
	req.Mode = orDefault(req.Mode, astra.Practice)
	var task *astra.Task
	if req.Task != "" {
		if task = l.Arena.Task(req.Task); task == nil {
			return nil, nil, fmt.Errorf("task %q of arena %s: %w", req.Task, l.Name, astra.ErrNotFound)
		}
	}
	return l, task, checkRequest(req, task)
}

func checkRequest(req *OpenRequest, task *astra.Task) error {
	switch {
	case req.Mode != astra.Practice && req.Mode != astra.Train && req.Mode != astra.Eval:
		return refuse("mode %q: say practice, train or eval", req.Mode)
	case task == nil && req.Mode != astra.Practice:
		return refuse("mode %s needs a task", req.Mode)
	case req.Mode == astra.Train && task.Split != astra.SplitTrain:
		return refuse("task %s is of the %s split; train plays the train split only, so open it as eval", task.ID, task.Split)
	case task != nil && task.Seed != nil && req.Seed != nil && *task.Seed != *req.Seed:
		return refuse("task %s has a seed of its own; leave the seed out", task.ID)
	case len(req.Group) > maxName || len(req.Policy) > maxName || len(req.Principal) > maxName:
		return refuse("group, policy and principal are at most %d bytes", maxName)
	}
	if len(req.Distractors) > maxDistractors {
		return refuse("%d distractors; at most %d", len(req.Distractors), maxDistractors)
	}
	if err := req.Failures.Check(); err != nil {
		return refuse("%v", err)
	}
	return nil
}

// maxDistractors is more than any model reads; each is looked up, and its arena started once.
const maxDistractors = 256

func distractorsOf(req *OpenRequest, task *astra.Task) []string {
	if req.Distractors != nil || task == nil {
		return req.Distractors
	}
	return task.Distractors
}

// view is what the agent will see: the task's tools, what turns add, and distractors.
func (g *Gateway) view(ctx context.Context, l *loaded, task *astra.Task, distractors []string, seed int64) (astra.View, error) {
	v := l.ownView(task)
	if task == nil {
		return v, nil
	}
	taken := map[string]bool{}
	for _, name := range v.At(len(task.Turns)) {
		taken[name] = true
	}
	started := map[astra.Digest]bool{l.Digest: true}
	for _, ref := range distractors {
		d, err := g.distractor(ctx, ref, seed, started)
		if err != nil {
			return v, fmt.Errorf("task %s: %w", task.ID, err)
		}
		if taken[d.Tool] {
			return v, refuse("task %s: distractor %s has the name of another tool in view", task.ID, ref)
		}
		taken[d.Tool] = true
		v.Distractors = append(v.Distractors, d)
	}
	return v, nil
}

// ownView is the arena's own tools in a task's view.
func (l *loaded) ownView(task *astra.Task) astra.View {
	v := astra.View{Tools: l.InitialTools(task)}
	if task == nil {
		return v
	}
	for _, turn := range task.Turns {
		v.Added = append(v.Added, turn.ToolsAdded)
	}
	return v
}

// distractor finds the tool. That its world starts is tried once for each arena now: later
// it would be the agent's call that finds out, and ends the episode.
func (g *Gateway) distractor(ctx context.Context, ref string, seed int64, started map[astra.Digest]bool) (astra.Distractor, error) {
	arena, tool, _ := strings.Cut(ref, "/")
	l, err := g.arenas.find(arena)
	if err != nil || l.Tool(tool) == nil {
		return astra.Distractor{}, refuse("its distractor %s is not served; add the arena %s", ref, arena)
	}
	if !started[l.Digest] {
		inst, err := g.start(ctx, l, World{Seed: seed, Now: l.Now})
		if err != nil {
			return astra.Distractor{}, fmt.Errorf("%w: %w", astra.ErrRefused, &hiddenError{"its distractor " + ref + " cannot be called: the world of arena " + arena + " does not start without a scenario", err})
		}
		inst.Close()
		started[l.Digest] = true
	}
	return astra.Distractor{Arena: arena, Tool: tool, Digest: l.Digest}, nil
}

// opened is the first event of an episode.
func (g *Gateway) opened(l *loaded, task *astra.Task, req *OpenRequest) (astra.Opened, error) {
	o := astra.Opened{Arena: l.Name, Digest: l.Digest, Runtime: l.runtime.Digest(), Task: req.Task, Now: l.Now,
		Mode: req.Mode, Group: req.Group, Policy: req.Policy, Principal: req.Principal}
	if req.Seed != nil {
		o.Seed = *req.Seed
	}
	plans := []*astra.FailurePlan{req.Failures, nil, l.Failures}
	if task != nil {
		plans[1] = task.Failures
		o.FirstInput = task.Turns[0].Prompt
		if task.Seed != nil {
			o.Seed = *task.Seed
		}
		if task.Now != nil {
			o.Now = *task.Now
		}
	}
	o.Failures = astra.DecideFailures(plans...)
	if o.Seed < -1<<53 || o.Seed > 1<<53 {
		return o, refuse("a seed is between -2^53 and 2^53")
	}
	o.Expires = g.expiry(req.TTL)
	return o, nil
}

// expiry is when an episode opened now ends by itself; no door can ask for more than a day
// beyond the default.
func (g *Gateway) expiry(ttl time.Duration) time.Time {
	if ttl <= 0 {
		ttl = g.opts.TTL
	}
	return g.opts.Now().Add(min(ttl, g.opts.TTL+24*time.Hour)).UTC()
}

// begin names the episode, starts its world (or takes the one given), and writes its
// log: opened, and the history that a fork inherits.
func (g *Gateway) begin(ctx context.Context, o astra.Opened, key astra.Key, history []astra.Event, world Instance) (*Opening, error) {
	if g.closing.Load() {
		return nil, errClosing
	}
	if err := g.haveRoom(); err != nil {
		return nil, err
	}
	o.Episode, o.KeyHash = astra.NewEpisodeID(), key.Hash()
	if err := g.open.reserve(g.opts.MaxOpen, o.Episode, o.KeyHash, o.Expires); err != nil {
		return nil, err
	}
	var opening *Opening
	defer func() {
		if opening == nil { // a panic, too
			g.open.forget(o.Episode, o.KeyHash)
		}
	}()
	err := g.enter(ctx, o, history, world, func(e *episode) {
		opening = openingOf(e, key)
	})
	if err != nil {
		return nil, err
	}
	g.count.opened.Add(1)
	return opening, nil
}

// openingOf is what the opener of an episode is told of it.
func openingOf(e *episode, key astra.Key) *Opening {
	return &Opening{Episode: e.id, Key: key, Arena: e.arena.Ref(), Task: publicTask(e), Expires: e.rec.Expires, Message: e.rec.Turns[len(e.rec.Turns)-1].Prompt}
}

func (g *Gateway) enter(ctx context.Context, o astra.Opened, history []astra.Event, world Instance, then func(*episode)) error {
	e, err := g.live.acquire(ctx, o.Episode, maxQueue)
	if err != nil {
		return err
	}
	defer func() { g.live.release(e, e.rec == nil) }()
	if world != nil {
		e.insts[o.Digest] = world
	}
	if e.arena, err = g.arenas.exact(o.Digest); err != nil {
		return err
	}
	e.task = e.arena.Arena.Task(o.Task)
	if world == nil && len(history) == 0 {
		if e.insts[o.Digest], err = g.start(ctx, e.arena, worldOf(&o, e.task)); err != nil {
			delete(e.insts, o.Digest)
			g.opts.Logger.WarnContext(ctx, "world does not start", "arena", o.Arena, "task", o.Task, "reason", err)
			return fmt.Errorf("%w: %w", astra.ErrRefused, &hiddenError{"the world of arena " + o.Arena + " does not start", err})
		}
	}
	e.rec = new(astra.Episode)
	events := append([]astra.Event{{Opened: &o}}, history...)
	if err := g.append(ctx, e, Synced, events...); err != nil {
		return err
	}
	then(e)
	return nil
}

func worldOf(o *astra.Opened, task *astra.Task) World {
	w := World{Seed: o.Seed, Now: o.Now}
	if task != nil {
		w.Scenario = task.Scenario
	}
	return w
}
