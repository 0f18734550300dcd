package certify

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/agent"
	"github.com/astra-arenas/astra/gateway"
)

// maxErrorText bounds what a tool may say of a failure: an agent has to read it.
const maxErrorText = 2000

// fuzz calls a tool with objects of arguments, half of them drawn to fit its schema and
// half broken, each in a fresh copy of the world of the first task that shows the tool. Each
// ends in a result or in an error that the author wrote: no breach of a limit, no result
// against the schema, no error of the engine's own.
func fuzz(ctx context.Context, in *inspection, tool *astra.Tool, out *tally) error {
	p, err := in.stage(ctx, tool.Name)
	if err != nil {
		return err
	}
	defer p.Close()
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s", in.arena.Name, tool.Name)
	draw := &fuzzer{rng: rand.New(rand.NewPCG(h.Sum64(), 1)), schema: tool.Input, facts: in.tools[tool.Name]}
	told := map[string]bool{}
	for i := range in.opts.Fuzzed {
		args := draw.next(i%2 == 1)
		what, err := fuzzOne(ctx, p, tool.Name, args, out)
		if err != nil {
			return err
		}
		if kind, _, _ := strings.Cut(what, ":"); what != "" && !told[kind] { // once for each way to fail
			told[kind] = true
			out.find(astra.Finding{Tool: tool.Name, Text: fmt.Sprintf("called with %s, %s", quote(args), what)})
		}
	}
	return nil
}

// stage is a play of the first task in whose view a tool comes, with all turns played, or
// free play where none has it.
func (in *inspection) stage(ctx context.Context, tool string) (*play, error) {
	for _, t := range in.trials {
		if t.shows(tool) {
			return t.idle(ctx, "")
		}
	}
	r, err := in.gw.Rehearse(ctx, gateway.RehearsalRequest{Arena: in.arena.Ref()})
	if err != nil {
		return nil, err
	}
	return &play{Rehearsal: r}, nil
}

// shows reports whether a tool comes into a task's view.
func (t *trial) shows(tool string) bool {
	for _, turn := range t.task.Turns {
		if slices.Contains(turn.ToolsAdded, tool) {
			return true
		}
	}
	return slices.Contains(t.in.arena.InitialTools(t.task), tool)
}

// engineError is how the engines call the errors of their own: a tool that stumbled, not
// one that refused.
var engineError = regexp.MustCompile(`^(Internal|Range|Reference|Syntax|Type|URI|Eval)Error\b|\b(TypeError|ReferenceError|SyntaxError|InternalError): |Traceback \(most recent call last\)|` +
	`^(Attribute|Index|Key|Name|Recursion|Type|UnboundLocal|ZeroDivision|Unicode\w+|Overflow|Memory)Error\b|cannot read propert(y|ies) of|is not a function|unreachable|out of bounds memory`)

// fuzzOne says what is wrong with how a call ends, and what to do; "" if nothing is.
func fuzzOne(ctx context.Context, p *play, tool string, args json.RawMessage, out *tally) (string, error) {
	f, err := p.Fork(ctx)
	if err != nil {
		return "", err
	}
	defer f.Close()
	out.add("calls", 1)
	step, err := f.Call(ctx, astra.Call{Tool: tool, Args: args})
	switch r := step.Result; {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "the episode ends invalid: " + quote(gateway.Causes(err)), nil
	case r.OK():
		out.add("results", 1)
		return "", nil
	case r.Fault == astra.FaultAgent:
		out.add("refused", 1)
		return "", nil
	default:
		out.add("failed", 1)
		return fault(r, len(args)), nil
	}
}

// fault is what is wrong with how a call failed, whose arguments have so many bytes: an
// error may quote long ones, and is cut off by the sandbox then.
func fault(r astra.Result, sent int) string {
	switch {
	case r.Breach:
		return "it breaches a limit: " + quote(r.Error) + "; bound its arguments in the schema, or its work"
	case strings.HasPrefix(r.Error, gateway.BrokenPromise):
		return "its result does not fit its output schema: " + quote(r.Error)
	case engineError.MatchString(r.Error):
		return "it stumbles: " + quote(r.Error) + "; check the arguments, and refuse with an error that says what to do"
	case len(r.Error) > maxErrorText && sent < maxErrorText/2:
		return fmt.Sprintf("its error is %d bytes long: say in %d what is wrong and what to do", len(r.Error), maxErrorText)
	}
	return ""
}

// A fuzzer draws arguments, the same ones every time.
type fuzzer struct {
	rng    *rand.Rand
	schema json.RawMessage
	facts  *toolFacts
}

// next is an object that fits the schema, or one that is broken in one or two places. For
// a schema that is beyond the generator both are made of nothing.
func (z *fuzzer) next(broken bool) json.RawMessage {
	drawn, err := agent.Arguments(z.rng, z.schema)
	if err != nil {
		drawn = json.RawMessage("{}")
	}
	if !broken {
		return drawn
	}
	args, _ := decode(drawn).(map[string]any)
	for range 1 + z.rng.IntN(2) {
		args = z.spoil(args)
	}
	return encode(args)
}

func (z *fuzzer) spoil(args map[string]any) map[string]any {
	name := "unheard_of"
	if len(z.facts.Params) > 0 && z.rng.IntN(8) > 0 {
		name = z.facts.Params[z.rng.IntN(len(z.facts.Params))].Name
	}
	if z.rng.IntN(5) == 0 {
		return without(args, name)
	}
	return with(args, name, z.oddity())
}

var oddities = []any{nil, true, false, json.Number("0"), json.Number("-1"), json.Number("1e300"), json.Number("0.1"),
	json.Number("9007199254740993"), "", " ", "0", "-1", "NaN", "null", "undefined", "__proto__", "constructor", "../../etc/passwd",
	"'; DROP TABLE t; --", "\u0000", "𝕬\u202e\u0301", "2026-02-30", strings.Repeat("x", 5000), []any{}, []any{nil},
	map[string]any{}, map[string]any{"__proto__": map[string]any{"x": true}}, []any{[]any{[]any{[]any{"deep"}}}}}

func (z *fuzzer) oddity() any { return oddities[z.rng.IntN(len(oddities))] }
