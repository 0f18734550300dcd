package llm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// maxAsked bounds the arguments that a model is shown: a request that is too long for it is
// refused by its server, and an agent must not be able to bring that about.
const maxAsked = 16 << 10

// unknownCall is what an agent is told when nobody can answer.
const unknownCall = astra.UnknownCall

// An instance is the world of one episode. It implements gateway.Instance, and like it has
// one user at a time.
type instance struct {
	prog   *program
	world  gateway.World
	known  memory
	key    astra.CassetteKey // of the last call that counts
	closed bool
}

func (i *instance) usable() error {
	if i.closed || i.prog.closed.Load() {
		return errClosed
	}
	return nil
}

// Call runs one tool. After an error, as after a breach, the world is as it was before.
func (i *instance) Call(ctx context.Context, name string, args json.RawMessage) (astra.Result, error) {
	if err := i.usable(); err != nil {
		return astra.Result{}, err
	}
	tool := i.prog.arena.Tool(name)
	if tool == nil {
		return astra.Failed(astra.FaultAgent, fmt.Sprintf("there is no tool %q", name)), nil
	}
	args, err := compact(args)
	if err != nil {
		return astra.Failed(astra.FaultAgent, err.Error()), nil
	}
	res, err := i.answer(ctx, tool, args)
	if err != nil {
		return astra.Result{}, err
	}
	if err := i.pass(name, args, res); err != nil {
		if over, ok := errors.AsType[*tooMuch](err); ok {
			return breached(over), nil
		}
		return astra.Result{}, err
	}
	return res, nil
}

func compact(args json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(args)) == 0 {
		return json.RawMessage("{}"), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, args); err != nil {
		return nil, errors.New("the arguments must be a JSON object")
	}
	return b.Bytes(), nil
}

// answer is what the cassette knows, else what the model says.
func (i *instance) answer(ctx context.Context, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	key := i.prog.match().Next(i.key, tool.Name, args)
	if res, ok := i.prog.cassette.Find(key); ok {
		return res, nil
	}
	if i.prog.rt.model == nil {
		return astra.Failed(astra.FaultTool, unknownCall), nil
	}
	if len(args) > maxAsked {
		return astra.Failed(astra.FaultAgent, fmt.Sprintf("the arguments are %d bytes; this tool takes at most %d", len(args), maxAsked)), nil
	}
	res, err := i.emulate(ctx, tool, args)
	if over, ok := errors.AsType[*tooMuch](err); ok {
		return breached(over), nil
	}
	return res, err
}

// pass moves the world past a call, answered now or in the past. What left no mark, because
// nobody could answer it or it went beyond a limit, has no part in the keys of later calls.
func (i *instance) pass(tool string, args json.RawMessage, res astra.Result) error {
	unanswered := res.Error == unknownCall && res.Log == "" // a model's own words have a note
	if res.Breach || res.Fault == astra.FaultAgent || unanswered {
		return nil
	}
	p, err := readLine(res.Log)
	if err != nil {
		return err
	}
	known, err := i.known.changed(p)
	if err != nil {
		return err
	}
	i.known, i.key = known, i.prog.match().Next(i.key, tool, args)
	return nil
}

// emulate asks the model, and once more if its answer cannot be taken.
func (i *instance) emulate(ctx context.Context, tool *astra.Tool, args json.RawMessage) (astra.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, i.prog.arena.Limits.Wall, astra.ErrToolTimeout)
	defer cancel()
	req, err := i.request(tool, args)
	if err != nil {
		return astra.Result{}, err
	}
	for range 2 {
		reply, err := i.prog.rt.model.Complete(ctx, req)
		if err != nil {
			return astra.Result{}, i.silence(ctx, tool, err)
		}
		if reply.Cut {
			return astra.Result{}, &tooMuch{"answer", req.MaxTokens, "tokens"}
		}
		a, wrong := readReply(tool, i.prog.arena.Limits, reply.Text)
		if wrong == nil && tool.Annotations.ReadOnly && contradicts(i.known.entities, a.memory) {
			wrong = errReadOnly
		}
		if wrong == nil {
			return a.result(clip(i.prog.rt.model.Name(), maxModel))
		}
		if over, ok := errors.AsType[*tooMuch](wrong); ok {
			return astra.Result{}, over
		}
		i.warn(ctx, "emulated tool answered wrongly", tool, wrong)
		req = req.again(reply.Text, wrong)
	}
	return astra.Result{}, errUnfit
}

// silence is a model's trouble in words that quote nothing: the server's own may repeat
// what it was asked, and with it what tasks hide.
func (i *instance) silence(ctx context.Context, tool *astra.Tool, err error) error {
	i.warn(ctx, "emulated tool not answered", tool, err)
	if ctx.Err() != nil {
		return &hidden{fmt.Sprintf("%v before the model that stands for the tool answered; limits.wall is %s", context.Cause(ctx), i.prog.arena.Limits.Wall), err}
	}
	return &hidden{"the model that stands for the tool did not answer; the operator's log says why", err}
}

func (i *instance) warn(ctx context.Context, what string, tool *astra.Tool, err error) {
	i.prog.rt.opts.Logger.WarnContext(ctx, what, "arena", i.prog.arena.Name, "tool", tool.Name, "reason", err)
}

// A hidden error tells less than it wraps.
type hidden struct {
	text string
	err  error
}

func (e *hidden) Error() string { return e.text }
func (e *hidden) Unwrap() error { return e.err }

func breached(over *tooMuch) astra.Result {
	r := astra.Failed(astra.FaultTool, over.Error())
	r.Breach = true
	return r
}

// State is what the memory holds.
func (i *instance) State(context.Context) (astra.Result, error) {
	if err := i.usable(); err != nil {
		return astra.Result{}, err
	}
	return astra.Result{Value: fmt.Appendf(nil, `{"entities":%s}`, i.known.text)}, nil
}

// Fork copies the world. What it knows is never changed in place.
func (i *instance) Fork(context.Context) (gateway.Instance, error) {
	if err := i.usable(); err != nil {
		return nil, err
	}
	fork := *i
	return &fork, nil
}

// Close releases the world. It may be called twice.
func (i *instance) Close() error {
	i.closed = true
	return nil
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
