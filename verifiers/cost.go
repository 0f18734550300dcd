package verifiers

import (
	"math"
	"slices"
	"strings"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/astra-arenas/astra"
)

// Limits on what verifiers read, in bytes, and on what they may cost, in units of CEL's
// cost model. MaxCost lets a verifier go through one list of the state for each element of
// another, both at their limits, but not through a third for each pair.
const (
	MaxAnswer = 64 << 10
	MaxState  = 1 << 20
	MaxCost   = 4_000_000_000 // estimated at load, for one task's inputs at their limits
	RunCost   = 5_000_000     // spent by one verifier in one score, a sub-task's over all steps; 0.2 s to 2 s
)

// sizes bounds the inputs of one task's verifiers. It estimates as CEL's checker asks.
type sizes struct {
	steps, goldSteps, turns uint64 // how many
	value                   uint64 // bytes of a step's value or arguments
	prompt, scenario        uint64 // the longest; bytes
}

func newSizes(a *astra.Arena, t *astra.Task) sizes {
	s := sizes{steps: uint64(t.Calls()), turns: uint64(t.MaxTurns()), value: uint64(resultLimit(a)), scenario: uint64(len(t.Scenario))}
	for _, turn := range t.Gold {
		s.goldSteps += uint64(len(turn))
	}
	for _, turn := range t.Turns {
		s.prompt = max(s.prompt, uint64(len(turn.Prompt)))
	}
	if t.User != nil {
		s.prompt = 64 << 10 // what the gateway takes of a simulated user's message
	}
	return s
}

func resultLimit(a *astra.Arena) int64 {
	if a.Limits.Result > 0 {
		return a.Limits.Result
	}
	return astra.DefaultLimits.Result
}

// A document (a step's value, the state) at its limit of n bytes is taken to be spread
// evenly: any collection in it has n/element elements, and these have element bytes. More
// would refuse every loop within a loop; the guards and RunCost see to the documents that are otherwise.
const element = 256

// EstimateSize bounds what CEL cannot know the size of: characters of text, elements of
// anything else.
func (s sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	switch node.Type().Kind() {
	case types.StringKind, types.BytesKind:
		n, _ := s.bound(node.Path())
		return &checker.SizeEstimate{Max: n}
	case types.StructKind: // comparing two steps compares their documents
		return &checker.SizeEstimate{Max: 2 * s.value / element}
	case types.ListKind, types.MapKind, types.DynKind, types.AnyKind:
		n, rest := s.bound(node.Path())
		switch {
		case rest == nil: // a list of its own, not a document
		case slices.ContainsFunc(rest, func(p string) bool { return strings.HasPrefix(p, "@") }):
			n = element
		default:
			n = max(element, n/element)
		}
		return &checker.SizeEstimate{Max: n}
	}
	return nil
}

// bound is the size of what holds a path: a list of ours (rest is nil), or the text or
// document that rest leads into.
func (s sizes) bound(path []string) (n uint64, rest []string) {
	if len(path) == 0 {
		return MaxState, []string{}
	}
	rest = path[1:]
	switch path[0] {
	case "answer":
		return MaxAnswer, rest
	case "step":
		return s.step(rest)
	case "steps":
		return s.list(rest, s.steps)
	case "gold":
		if len(rest) > 0 && rest[0] == "steps" {
			return s.list(rest[1:], s.goldSteps)
		}
	case "turns":
		if len(rest) == 0 {
			return s.turns, nil
		}
		return max(MaxAnswer, s.prompt), []string{}
	case "task":
		return s.task(rest)
	}
	return MaxState, rest // state, gold.state, and whatever has no path: json(…).x
}

// list bounds a list of steps or what is in one.
func (s sizes) list(path []string, n uint64) (uint64, []string) {
	if len(path) == 0 {
		return n, nil
	}
	return s.step(path[1:])
}

func (s sizes) step(path []string) (uint64, []string) {
	if len(path) == 0 {
		return s.value, []string{}
	}
	if path[0] == "tool" {
		return 64, []string{}
	}
	return s.value, path[1:]
}

func (s sizes) task(path []string) (uint64, []string) {
	switch {
	case len(path) == 0:
	case path[0] == "prompts" && len(path) == 1:
		return s.turns, nil
	case path[0] == "prompts":
		return s.prompt, []string{}
	case path[0] == "scenario":
		return s.scenario, path[1:]
	}
	return 1024, []string{} // id, title, split
}

// EstimateCallCost estimates the functions whose cost CEL does not know, or knows too low.
func (s sizes) EstimateCallCost(function, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	size := func(i int) checker.SizeEstimate {
		if c := args[i].ComputedSize(); c != nil {
			return *c
		}
		if c := s.EstimateSize(args[i]); c != nil {
			return *c
		}
		return checker.SizeEstimate{Max: 1}
	}
	upTo := func(n float64) *checker.CallEstimate {
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: units(n)}}
	}
	switch overload {
	case "astra_normalize", "astra_json":
		n := size(0).Max
		e := upTo(linear(float64(n)))
		e.ResultSize = &checker.SizeEstimate{Max: max(element, n/element)}
		if overload == "astra_normalize" {
			e.ResultSize.Max = times(n, 18) // NFKC can make one character eighteen
		}
		return e
	case "astra_number", "astra_date":
		return upTo(5)
	case "astra_approx", "astra_approx_tolerance":
		return upTo(10)
	case "astra_similar":
		return upTo(similarCost(float64(size(0).Max), float64(size(1).Max)))
	case "astra_set_f1":
		return upTo(setCost(float64(size(0).Max), float64(size(1).Max)))
	case "string_format":
		return formatEstimate(target, args[0])
	}
	return nil
}

// formatEstimate refuses to format text that was itself computed: formatting a text
// twice over in a chain would double its size with each link.
func formatEstimate(target *checker.AstNode, list checker.AstNode) *checker.CallEstimate {
	unbounded := &checker.CallEstimate{CostEstimate: checker.UnknownCostEstimate()}
	if target == nil || (*target).Expr().Kind() != ast.LiteralKind || list.Expr().Kind() != ast.ListKind {
		return unbounded
	}
	for _, e := range list.Expr().AsList().Elements() {
		switch e.Kind() {
		case ast.LiteralKind, ast.IdentKind, ast.SelectKind:
		default:
			return unbounded
		}
	}
	n := uint64(list.Expr().AsList().Size()+1) * MaxState
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: 1, Max: units(linear(float64(n)))}, ResultSize: &checker.SizeEstimate{Max: n}}
}

func linear(n float64) float64 { return 1 + n/10 }

func similarCost(a, b float64) float64 {
	return linear(min(a, 64*MaxSimilar)) + linear(min(b, 64*MaxSimilar)) + min(a, MaxSimilar)*min(b, MaxSimilar)/10
}

func setCost(a, b float64) float64 {
	a, b = min(a, MaxSet), min(b, MaxSet)
	return 1 + 10*(a+b) + 20*a*b
}

func units(f float64) uint64 {
	if f >= math.MaxInt64 {
		return math.MaxUint64
	}
	return uint64(math.Ceil(f))
}

func times(a, b uint64) uint64 {
	if a > math.MaxUint64/b {
		return math.MaxUint64
	}
	return a * b
}

// weight is what going through a value costs: unlike its size it counts what is inside.
// To count takes about as long as to compare, and happens once for each comparison.
func weight(v ref.Val) float64 {
	sum := 1.0
	switch v := v.(type) {
	case types.String:
		return sum + float64(len(v))/10
	case types.Bytes:
		return sum + float64(len(v))/10
	case *dict:
		for _, k := range v.keys {
			sum += weight(v.values[k])
		}
	case *object:
		for _, name := range structs[v.shape.TypeName()].names {
			sum += weight(v.get(name))
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True; {
			sum += weight(it.Next())
		}
	case traits.Sizer: // a map that an expression made: no deeper than its text
		if n, ok := v.Size().(types.Int); ok {
			sum += float64(n)
		}
	}
	return sum
}
