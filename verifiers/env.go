package verifiers

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// What an agent can bring about, and what it cannot. A local variable may not take any of these names.
var (
	agentMade  = map[string]bool{"steps": true, "step": true, "answer": true, "state": true, "turns": true}
	authorMade = map[string]bool{"gold": true, "task": true, "seed": true}
)

// maxSource bounds a verifier in characters.
const maxSource = 8 << 10

var (
	stepType = types.NewObjectType("astra.Step")
	turnType = types.NewObjectType("astra.Turn")
	goldType = types.NewObjectType("astra.Gold")
	taskType = types.NewObjectType("astra.Task")
)

// A scope is where a verifier stands: it decides which variables there are.
type scope bool

const (
	inTask    scope = false // named verifiers, answer.verify
	inSubtask scope = true  // solved, with step
)

// environments are the two scopes' CEL environments. Both are immutable.
type environments struct{ task, subtask *cel.Env }

func newEnvironments() (environments, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return environments{}, err
	}
	task, err := cel.NewEnv(append(libraries(),
		cel.CustomTypeProvider(provider{registry}),
		cel.Variable("steps", cel.ListType(stepType)),
		cel.Variable("answer", cel.StringType),
		cel.Variable("state", cel.DynType),
		cel.Variable("turns", cel.ListType(turnType)),
		cel.Variable("gold", goldType),
		cel.Variable("task", taskType),
		cel.Variable("seed", cel.IntType),
	)...)
	if err != nil {
		return environments{}, fmt.Errorf("build the CEL environment: %w", err)
	}
	subtask, err := task.Extend(cel.Variable("step", stepType))
	if err != nil {
		return environments{}, fmt.Errorf("build the CEL environment of solved: %w", err)
	}
	return environments{task, subtask}, nil
}

func (e environments) in(s scope) *cel.Env {
	if s == inSubtask {
		return e.subtask
	}
	return e.task
}

func libraries() []cel.EnvOption {
	return append([]cel.EnvOption{
		cel.EnableMacroCallTracking(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(64),
		cel.RegexProgramSizeLimit(1000),
		ext.Strings(), ext.Math(), ext.Lists(), ext.Sets(), ext.Encoders(), ext.Bindings(),
		ext.TwoVarComprehensions(), cel.OptionalTypes(), ext.Regex(),
	}, ownFunctions()...)
}

// provider adds the types of the episode to those of CEL.
type provider struct{ types.Provider }

func (p provider) FindStructType(name string) (*types.Type, bool) {
	if f, ok := structs[name]; ok {
		return types.NewTypeTypeWithParam(f.typ), true
	}
	return p.Provider.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if f, ok := structs[name]; ok {
		return f.names, true
	}
	return p.Provider.FindStructFieldNames(name)
}

func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := structs[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	t, ok := f.fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:  t,
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			r, ok := target.(record)
			if !ok {
				return nil, fmt.Errorf("no such overload: field of %T", target)
			}
			return unwrap(r.field(field))
		},
	}, true
}
