package verifiers

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/astra-arenas/astra"
)

// A shape is a type of the episode as verifiers see it.
type shape struct {
	typ    *types.Type
	names  []string // in the order in which people read them
	fields map[string]*types.Type
}

var structs = map[string]shape{
	"astra.Step": newShape(stepType, "index", types.IntType, "turn", types.IntType, "tool", types.StringType,
		"args", types.DynType, "ok", types.BoolType, "value", types.DynType, "error", types.StringType, "injected", types.BoolType),
	"astra.Turn": newShape(turnType, "index", types.IntType, "prompt", types.StringType, "reply", types.StringType),
	"astra.Gold": newShape(goldType, "steps", types.NewListType(stepType), "state", types.DynType),
	"astra.Task": newShape(taskType, "id", types.StringType, "title", types.StringType, "split", types.StringType,
		"difficulty", types.DoubleType, "budget", types.IntType, "scenario", types.DynType, "prompts", types.NewListType(types.StringType)),
}

func newShape(t *types.Type, fields ...any) shape {
	s := shape{typ: t, fields: map[string]*types.Type{}}
	for i := 0; i < len(fields); i += 2 {
		name := fields[i].(string)
		s.names, s.fields[name] = append(s.names, name), fields[i+1].(*types.Type)
	}
	return s
}

// A record is a value of one of the shapes. Its JSON is decoded when first asked for, so
// a score pays only for what its verifiers read. A record belongs to one score, and so
// to one goroutine.
type record interface {
	ref.Val
	field(name string) ref.Val // an error value if it cannot be had
}

func unwrap(v ref.Val) (any, error) {
	if e, ok := v.(*types.Err); ok {
		return nil, e
	}
	return v, nil
}

// object is what all records share: how CEL treats a struct.
type object struct {
	shape *types.Type
	get   func(name string) ref.Val
}

func (o *object) field(name string) ref.Val { return o.get(name) }
func (o *object) Type() ref.Type            { return o.shape }
func (o *object) Value() any                { return o }

// Get reads a field by name, where the checker has lost the type (an element of a mixed list).
func (o *object) Get(index ref.Val) ref.Val {
	name, ok := index.(types.String)
	if !ok || structs[o.shape.TypeName()].fields[string(name)] == nil {
		return types.NewErr("no such key")
	}
	return o.get(string(name))
}

// IsSet answers has().
func (o *object) IsSet(field ref.Val) ref.Val {
	name, ok := field.(types.String)
	return types.Bool(ok && structs[o.shape.TypeName()].fields[string(name)] != nil)
}

// Equal compares field by field.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	if !ok || p.shape != o.shape {
		return types.False
	}
	for _, name := range structs[o.shape.TypeName()].names {
		a, b := o.get(name), p.get(name)
		if types.IsError(a) {
			return a
		}
		if types.IsError(b) {
			return b
		}
		if a.Equal(b) != types.True {
			return types.False
		}
	}
	return types.True
}

func (o *object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return o.shape
	}
	return types.NewErr("type conversion error from %s to %s", o.shape.TypeName(), t.TypeName())
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("type conversion error from %s to %v", o.shape.TypeName(), t)
}

var (
	_ record             = (*object)(nil)
	_ traits.Indexer     = (*object)(nil)
	_ traits.FieldTester = (*object)(nil)
)

// newStep shows a step. Value and args larger than limit bytes cannot be read: the cost
// estimate stands on that limit.
func newStep(s *astra.Step, limit int64) *object {
	args, value := lazy(s.Args, limit), lazy(s.Result.Value, limit)
	return &object{stepType, func(name string) ref.Val {
		switch name {
		case "index":
			return types.Int(s.Index)
		case "turn":
			return types.Int(s.Turn)
		case "tool":
			return types.String(s.Tool)
		case "args":
			return args()
		case "ok":
			return types.Bool(s.Result.OK())
		case "value":
			if s.Result.Value == nil {
				return types.NewErr("no such key: a failed step has no value")
			}
			return value()
		case "error":
			return text(s.Result.Error, limit)
		default: // injected
			return types.Bool(s.Result.Injected)
		}
	}}
}

func newTurn(t *astra.Turn) *object {
	return &object{turnType, func(name string) ref.Val {
		switch name {
		case "index":
			return types.Int(t.Index)
		case "prompt":
			return types.String(t.Prompt)
		default: // reply
			if t.Reply == nil {
				return types.String("")
			}
			return text(*t.Reply, MaxAnswer)
		}
	}}
}

func newGold(p *astra.Play, limit int64) *object {
	state := lazy(p.State, MaxState)
	var steps ref.Val
	return &object{goldType, func(name string) ref.Val {
		if name == "steps" {
			if steps == nil {
				steps = stepList(p.Steps, limit)
			}
			return steps
		}
		return state()
	}}
}

func newTask(t *astra.Task) *object {
	scenario := lazy(t.Scenario, MaxState)
	return &object{taskType, func(name string) ref.Val {
		switch name {
		case "id":
			return types.String(t.ID)
		case "title":
			return types.String(t.Title)
		case "split":
			return types.String(t.Split)
		case "difficulty":
			return types.Double(t.Difficulty)
		case "budget":
			return types.Int(t.Calls())
		case "scenario":
			return scenario()
		default: // prompts
			return prompts(t)
		}
	}}
}

func prompts(t *astra.Task) ref.Val {
	list := make([]ref.Val, 0, len(t.Turns))
	for _, turn := range t.Turns {
		list = append(list, types.String(turn.Prompt))
	}
	return newList(list)
}

func stepList(steps []astra.Step, limit int64) ref.Val {
	list := make([]ref.Val, 0, len(steps))
	for i := range steps {
		list = append(list, newStep(&steps[i], limit))
	}
	return newList(list)
}

func turnList(turns []astra.Turn) ref.Val {
	list := make([]ref.Val, 0, len(turns))
	for i := range turns {
		list = append(list, newTurn(&turns[i]))
	}
	return newList(list)
}

func newList(vs []ref.Val) ref.Val {
	return types.NewRefValList(types.DefaultTypeAdapter, slices.Clip(vs))
}

// text refuses what is longer than the estimate assumed.
func text(s string, limit int64) ref.Val {
	if int64(len(s)) > limit {
		return errTooLarge
	}
	return types.String(s)
}
