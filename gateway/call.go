package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/astra-arenas/astra"
)

const (
	maxArgs        = 256 << 10 // bytes of a call's arguments
	maxKey         = 256       // bytes of an idempotency key
	freePlayCalls  = 1024      // budget of an episode without a task
	maxRefusedLogs = 64        // refusals beyond these are answered and not logged: an agent must not fill the disk
)

// Call runs one tool. Calls of one episode queue; at most 64 wait, more are
// astra.ErrBusy. A failing tool, a tool not in view and bad arguments are steps, not
// errors. Errors: ErrNotFound, ErrEnded, ErrBudget, ErrConflict, ErrInvalid (the episode
// was ended by a *astra.StepError, which is wrapped).
func (g *Gateway) Call(ctx context.Context, id astra.EpisodeID, c astra.Call) (step astra.Step, err error) {
	err = g.hold(ctx, id, maxWaiting, g.bound(func(e *episode) error {
		step, err = g.call(ctx, e, c)
		return err
	}))
	return step, err
}

func (g *Gateway) call(ctx context.Context, e *episode, c astra.Call) (astra.Step, error) {
	if len(c.Key) > maxKey || !utf8.ValidString(c.Key) { // the log would keep another
		return astra.Step{}, refuse("an idempotency key is UTF-8 text of at most %d bytes", maxKey)
	}
	c.Tool = clip(c.Tool, maxName)
	args, bad := compactArgs(c.Args)
	if old := e.rec.ByKey(c.Key); old != nil {
		if old.Tool != c.Tool || !bytes.Equal(old.Args, args) {
			return astra.Step{}, astra.ErrConflict
		}
		return *old, nil
	}
	if err := g.mayCall(ctx, e, c); err != nil {
		return astra.Step{}, err
	}
	e.looked = nil
	step := astra.Step{Index: len(e.rec.Steps) + 1, Turn: e.rec.Turn(), Tool: c.Tool, Args: args, Key: c.Key}
	var trouble *astra.StepError
	if bad != "" {
		step.Result = astra.Failed(astra.FaultAgent, bad)
	} else if step.Result, trouble = g.execute(context.WithoutCancel(ctx), e, step); trouble != nil {
		return astra.Step{}, g.invalidate(ctx, e, trouble)
	}
	if err := g.append(ctx, e, Handed, astra.Event{Called: &step}); err != nil {
		return astra.Step{}, &astra.StepError{Step: step.Index, Fault: astra.FaultGateway, Err: err}
	}
	if !e.rehearsed {
		e.mark()
		g.tally(step.Result)
	}
	return step, nil
}

func (g *Gateway) tally(r astra.Result) {
	g.count.calls.Add(1)
	if !r.OK() {
		g.count.failed.Add(1)
	}
}

// mayCall refuses what is no step: a call after the end or beyond the budget.
func (g *Gateway) mayCall(ctx context.Context, e *episode, c astra.Call) error {
	if err := g.mustBeOpen(ctx, e); err != nil {
		return err
	}
	if len(e.rec.Steps) < budget(e.task) {
		return nil
	}
	if e.rec.Refused >= maxRefusedLogs {
		return astra.ErrBudget
	}
	refused := astra.Refused{Tool: c.Tool, Reason: "budget"}
	return errors.Join(astra.ErrBudget, g.append(ctx, e, Handed, astra.Event{Refused: &refused}))
}

func budget(t *astra.Task) int {
	if t == nil {
		return freePlayCalls
	}
	return t.Calls()
}

// notKept stands in a step for arguments that were too large or no object.
var notKept = json.RawMessage("null")

// compactArgs returns the arguments in the form that is kept, and what is wrong with them.
func compactArgs(raw json.RawMessage) (json.RawMessage, string) {
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) == 0 || string(trimmed) == "null":
		return json.RawMessage("{}"), ""
	case len(trimmed) > maxArgs:
		return notKept, fmt.Sprintf("the arguments are %d bytes; at most %d are taken", len(trimmed), maxArgs)
	case !utf8.Valid(trimmed): // would make unreadable whatever quotes it
		return notKept, "the arguments are not UTF-8"
	case trimmed[0] != '{' || !json.Valid(trimmed):
		return notKept, "the arguments must be a JSON object"
	case len(trimmed) == len(raw) && !bytes.ContainsAny(raw, " \n\t\r"):
		return slices.Clone(raw), ""
	default:
		var b bytes.Buffer
		if err := json.Compact(&b, trimmed); err != nil {
			return notKept, "the arguments must be a JSON object"
		}
		return b.Bytes(), ""
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// execute plays one step in the episode's world, once more on a rebuilt one if
// something that was nobody's doing got in the way.
func (g *Gateway) execute(ctx context.Context, e *episode, s astra.Step) (astra.Result, *astra.StepError) {
	tool, from, err := g.inView(e, s.Tool, s.Turn)
	if err != nil {
		return astra.Result{}, &astra.StepError{Step: s.Index, Fault: astra.FaultGateway, Err: err}
	}
	if tool == nil {
		return astra.Failed(astra.FaultAgent, unknownTool(e, s)), nil
	}
	if err := tool.CheckArgs(s.Args); err != nil {
		return astra.Failed(astra.FaultAgent, err.Error()), nil
	}
	if res, hit := e.rec.PlannedFailure(s.Index, s.Tool, from.Limits.Wall); hit {
		return res, nil
	}
	if !from.runtime.Pure() {
		calling := astra.Calling{N: s.Index, Tool: s.Tool, Args: s.Args}
		if err := g.append(ctx, e, Handed, astra.Event{Calling: &calling}); err != nil {
			return astra.Result{}, &astra.StepError{Step: s.Index, Fault: astra.FaultGateway, Err: err}
		}
	}
	res, err := g.perform(ctx, e, from, tool, s.Args)
	if err != nil && mayPass(err, from) {
		g.opts.Logger.WarnContext(ctx, "step tried once more", "episode", e.id, "step", s.Index, "tool", s.Tool, "reason", Causes(err))
		res, err = g.perform(ctx, e, from, tool, s.Args)
	}
	if err != nil {
		return astra.Result{}, &astra.StepError{Step: s.Index, Fault: faultOf(from.runtime), Err: err}
	}
	return res, nil
}

func unknownTool(e *episode, s astra.Step) string {
	return fmt.Sprintf("there is no tool %q; the tools are: %s", s.Tool, strings.Join(e.rec.View.At(s.Turn), ", "))
}

// inView finds a tool by name among those in view at a turn, and its arena; nil if it is
// not in view.
func (g *Gateway) inView(e *episode, name string, turn int) (*astra.Tool, *loaded, error) {
	v := &e.rec.View
	own := slices.Contains(v.Tools, name)
	for i := 0; i < turn && i < len(v.Added); i++ {
		own = own || slices.Contains(v.Added[i], name)
	}
	if own {
		return e.arena.Tool(name), e.arena, nil
	}
	for _, d := range v.Distractors {
		if d.Tool == name {
			from, err := g.arenas.exact(d.Digest)
			if err != nil {
				return nil, nil, err
			}
			return from.Tool(name), from, nil
		}
	}
	return nil, nil, nil
}

// perform calls the tool and holds its result to the schema. An instance that failed or
// breached a limit is dropped: the next use rebuilds it from the log, which does not know
// this call. That is too dear to do for every call of an agent that breaches limits again
// and again, so from the first breach on a copy of the world is kept during each call.
func (g *Gateway) perform(ctx context.Context, e *episode, from *loaded, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	inst, err := g.instance(ctx, e, from)
	if err != nil {
		return astra.Result{}, err
	}
	spare := e.spare(ctx, from, inst)
	defer func() {
		if spare != nil {
			spare.Close()
		}
	}()
	res, err := from.run(ctx, inst, tool, args)
	if err == nil && !res.Breach {
		return res, nil
	}
	e.dropOne(from.Digest)
	if err == nil && spare != nil {
		e.insts[from.Digest], spare = spare, nil
	}
	e.breached = e.breached || res.Breach
	return res, err
}

// spare is a copy of a world before a call that may breach a limit, or nil: without one
// it is rebuilt.
func (e *episode) spare(ctx context.Context, from *loaded, inst Instance) Instance {
	if !e.breached || !from.runtime.Pure() {
		return nil
	}
	spare, err := inst.Fork(ctx)
	if err != nil {
		return nil
	}
	return spare
}

// BrokenPromise is what a failed result begins with that did not fit the tool's output schema.
const BrokenPromise = "the tool broke its own promise: "

// run is one call in one world: what every play, first or repeated, must do alike. A result
// against its schema is the tool's doing where the bundle has its code; one from outside
// is a lie that the arena's author could not prevent.
func (l *loaded) run(ctx context.Context, inst Instance, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	res, err := inst.Call(ctx, tool.Name, args)
	if err != nil || !res.OK() {
		return res, err
	}
	if err := tool.CheckResult(res.Value); err != nil {
		if !l.runtime.Pure() {
			return astra.Result{}, fmt.Errorf("%s answered against its schema: %w", tool.Name, err)
		}
		return astra.Result{Error: BrokenPromise + err.Error(), Fault: astra.FaultTool, Log: res.Log}, nil
	}
	return res, nil
}

// instance returns the live world of an arena in an episode, rebuilding it from the log.
func (g *Gateway) instance(ctx context.Context, e *episode, from *loaded) (Instance, error) {
	if inst := e.insts[from.Digest]; inst != nil {
		return inst, nil
	}
	inst, err := g.rebuild(ctx, e, from, e.rec.Steps)
	if err != nil {
		return nil, err
	}
	e.insts[from.Digest] = inst
	return inst, nil
}

// A replayError says that the log, played again, gave something else: the world is not
// what it was, and trying again would not help.
type replayError struct{ difference }

type difference struct {
	step               int
	recorded, replayed string
}

func (e *replayError) Error() string {
	return fmt.Sprintf("step %d, played again, gave another result: %s was %s", e.step, clip(e.replayed, 200), clip(e.recorded, 200))
}

// mayPass reports whether trouble is worth a second try, on a rebuilt world.
func mayPass(err error, l *loaded) bool {
	_, differs := errors.AsType[*replayError](err)
	return !differs && l.runtime.Pure()
}

// rebuild wakes a world or starts it anew, and plays the steps that changed it since. What an impure
// runtime answered is in the log and is not asked again: its world is told.
func (g *Gateway) rebuild(ctx context.Context, e *episode, from *loaded, steps []astra.Step) (Instance, error) {
	if !from.runtime.Pure() {
		past, err := g.past(e, from, steps)
		if err != nil {
			return nil, err
		}
		return g.world(ctx, e, from, past)
	}
	inst, done := g.resume(ctx, e, from, len(steps))
	if inst == nil {
		var err error
		if inst, err = g.world(ctx, e, from, nil); err != nil {
			return nil, err
		}
		if len(steps) > 0 {
			g.count.replayed.Add(1)
		}
	}
	for _, s := range steps[done:] {
		if err := g.again(ctx, e, from, inst, s); err != nil {
			inst.Close()
			return nil, err
		}
	}
	return inst, nil
}

// past is the steps that reached a world's tools.
func (g *Gateway) past(e *episode, from *loaded, steps []astra.Step) ([]astra.Step, error) {
	var past []astra.Step
	for _, s := range steps {
		if !reached(s.Result) {
			continue
		}
		_, owner, err := g.inView(e, s.Tool, s.Turn)
		if err != nil {
			return nil, err
		}
		if owner == from {
			past = append(past, s)
		}
	}
	return past, nil
}

// again plays a recorded step in a world being rebuilt, if it belongs to it.
func (g *Gateway) again(ctx context.Context, e *episode, from *loaded, inst Instance, s astra.Step) error {
	if !reached(s.Result) {
		return nil
	}
	tool, owner, err := g.inView(e, s.Tool, s.Turn)
	if err != nil || tool == nil || owner != from {
		return err
	}
	res, err := from.run(ctx, inst, tool, s.Args)
	if err != nil {
		return err
	}
	return sameResult(s, res)
}

// world starts the episode's own world, or the one that distractors of another arena
// live in: the same seed, that arena's clock, no scenario.
func (g *Gateway) world(ctx context.Context, e *episode, from *loaded, past []astra.Step) (Instance, error) {
	w := World{Seed: e.rec.Opened.Seed, Now: from.Now}
	if from == e.arena {
		w = worldOf(&e.rec.Opened, e.task)
	}
	w.Past = past
	inst, err := g.start(ctx, from, w)
	if err != nil {
		return nil, &hiddenError{"the world of arena " + from.Name + " does not start", err}
	}
	return inst, nil
}

// reached reports whether a recorded call got to the tool and left its mark: refused
// arguments never did, and a breach was undone.
func reached(r astra.Result) bool {
	return r.Fault != astra.FaultAgent && !r.Breach && !r.Injected
}

func sameResult(s astra.Step, res astra.Result) error {
	was, is := asText(s.Result), asText(res)
	if was == is {
		return nil
	}
	return &replayError{difference{step: s.Index, recorded: was, replayed: is}}
}

func asText(r astra.Result) string {
	b, err := json.Marshal(r)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	return string(b)
}

// invalidate ends an episode that something other than the agent broke. If the store
// took not even the call, the episode goes on as its log says.
func (g *Gateway) invalidate(ctx context.Context, e *episode, se *astra.StepError) error {
	if e.rec == nil {
		return se
	}
	ended := astra.Ended{As: astra.StatusInvalid, Fault: se.Fault, Reason: clip(se.Error(), 2000)}
	if !e.rehearsed {
		g.count.invalid.Add(1)
	}
	g.opts.Logger.ErrorContext(ctx, "episode invalid", "episode", e.id, "step", se.Step, "fault", se.Fault, "reason", Causes(se.Err))
	return errors.Join(fmt.Errorf("%w: %w", astra.ErrInvalid, se), g.append(ctx, e, Synced, astra.Event{Ended: &ended}))
}

// faultOf says whose doing trouble in a runtime was.
func faultOf(rt Runtime) astra.Fault {
	if rt.Pure() {
		return astra.FaultSandbox
	}
	return astra.FaultUpstream
}

// mustBeOpen ends an episode whose time is up, or whose last call nobody knows the answer
// of, and refuses one that is over.
func (g *Gateway) mustBeOpen(ctx context.Context, e *episode) error {
	if e.rec.Over() {
		return endedError(e.rec)
	}
	if err := g.mustBeAnswered(ctx, e); err != nil {
		return err
	}
	if !g.opts.Now().After(e.rec.Expires) {
		return nil
	}
	// Not synced: after a loss of power the time is still up, and a sweep may end thousands.
	if err := g.append(ctx, e, Handed, endedAs(astra.StatusExpired, "", "its time to live ran out")); err != nil {
		return err
	}
	return endedError(e.rec)
}

// endedError says how an episode ended, and never why: a reason may quote anything.
func endedError(rec *astra.Episode) error {
	if rec.Status == astra.StatusExpired {
		return fmt.Errorf("%w: it expired, as its time to live ran out", astra.ErrEnded)
	}
	return fmt.Errorf("%w: it is %s", astra.ErrEnded, rec.Status)
}

// mustBeAnswered ends an episode that waited for an impure tool when its process, or the
// store, gave up: nobody knows what became of the call.
func (g *Gateway) mustBeAnswered(ctx context.Context, e *episode) error {
	p := e.rec.Pending
	if p == nil {
		return nil
	}
	return g.invalidate(ctx, e, &astra.StepError{Step: p.N, Fault: astra.FaultUpstream, Err: errors.New("the answer of the call was lost; nobody knows what it did")})
}
