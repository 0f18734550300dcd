package verifiers

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// tooMuch is the error of a call that was not made.
const tooMuch = "too much work"

// guarded lists CEL's functions that one call of could take seconds or gigabytes, with
// the work it would be. CEL charges for a call when it is over: replace on two texts of
// 1 MiB would have made 1 TiB by then.
var guarded = map[string]func(args []ref.Val) float64{
	"indexOf":          product,
	"lastIndexOf":      product,
	"matches":          product,
	"regex.extract":    product,
	"regex.extractAll": product,
	"regex.replace":    replacing,
	"replace":          replacing,
	"join":             joining,
	"sets.contains":    product,
	"sets.intersects":  product,
	"sets.equivalent":  product,
	"distinct":         func(a []ref.Val) float64 { return weight(a[0]) * weight(a[0]) },
}

func product(a []ref.Val) float64 {
	if len(a) < 2 {
		return 0
	}
	return load(a[0]) * load(a[1])
}

// replacing makes a replacement for each character at worst.
func replacing(a []ref.Val) float64 {
	if len(a) < 3 {
		return 0
	}
	return (1 + load(a[0])) * (1 + load(a[2]))
}

func joining(a []ref.Val) float64 {
	list, ok := a[0].(traits.Lister)
	if !ok {
		return 0
	}
	sum, separator := 0.0, 0.0
	if len(a) > 1 {
		separator = load(a[1])
	}
	for it := list.Iterator(); it.HasNext() == types.True; {
		sum += separator + load(it.Next())
	}
	return sum
}

// load is a text's bytes, or what going through anything else costs.
func load(v ref.Val) float64 {
	if s, ok := v.(types.String); ok {
		return float64(len(s))
	}
	return weight(v)
}

// guard replaces calls of guarded functions by ones that first look at what they would cost.
func guard(env *cel.Env) interpreter.InterpretableDecoratorV2 {
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok || guarded[call.Function()] == nil {
			return i, nil
		}
		work, run := guarded[call.Function()], implementation(env, call)
		if run == nil {
			return i, nil
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			if work(args) > RunCost {
				return types.NewErr(tooMuch)
			}
			return run(args...)
		}), nil
	}
}

// implementation finds what a call runs: its overload, or the function that picks one.
func implementation(env *cel.Env, call interpreter.InterpretableCall) functions.FunctionOp {
	f := env.Functions()[call.Function()]
	if f == nil {
		return nil
	}
	bindings, err := f.Bindings()
	if err != nil {
		return nil
	}
	var found *functions.Overload
	for _, b := range bindings {
		if b.Operator == call.OverloadID() || b.Operator == call.Function() && found == nil {
			found = b
		}
	}
	if found == nil {
		return nil
	}
	return func(args ...ref.Val) ref.Val {
		switch {
		case len(args) == 1 && found.Unary != nil:
			return found.Unary(args[0])
		case len(args) == 2 && found.Binary != nil:
			return found.Binary(args[0], args[1])
		case found.Function != nil:
			return found.Function(args...)
		}
		return types.NoSuchOverloadErr()
	}
}
