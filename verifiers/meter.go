package verifiers

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// CEL has a meter of its own. It is not used: in a loop it searches a stack that grows
// with every pass, so that a loop over 100,000 elements for each of as many ran ten
// minutes without coming to its limit; and it charges for a call when the call is over,
// when replace on two texts of 1 MiB would have made 1 TiB. This one charges before.

// meterName is how an evaluation step finds the hearing that it is part of. No
// expression can spell it.
const meterName = "@hearing"

// charge counts work, and ends the evaluation when it is too much or the context is over.
func (h *hearing) charge(work float64) {
	before := int64(h.spent) >> 12
	if h.spent += work; h.spent > RunCost {
		panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: string(tooMuchWork)})
	}
	if int64(h.spent)>>12 != before && h.ctx.Err() != nil {
		panic(interpreter.EvalCancelledError{Cause: interpreter.ContextCancelled, Message: h.ctx.Err().Error()})
	}
}

func charge(frame *interpreter.ExecutionFrame, work float64) {
	if h, ok := frame.ResolveName(meterName); ok {
		h.(*hearing).charge(work)
	}
}

// meter makes every step of an evaluation charge for itself: one unit, and calls for
// what their arguments make them do.
func meter(env *cel.Env) interpreter.InterpretableDecoratorV2 {
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		switch i := i.(type) {
		case interpreter.InterpretableConst, interpreter.InterpretableConstructor:
			return i, nil
		case interpreter.InterpretableAttribute:
			return meteredAttribute{i}, nil
		case interpreter.InterpretableCall:
			run := implementation(env, i)
			if run == nil {
				return i, nil
			}
			work := workOf[i.Function()]
			if work == nil {
				work = scan
			}
			return &meteredCall{i, work, run}, nil
		}
		return metered{i}, nil
	}
}

type metered struct{ interpreter.InterpretableV2 }

func (m metered) Exec(f *interpreter.ExecutionFrame) ref.Val {
	charge(f, 1)
	return m.InterpretableV2.Exec(f)
}

func (m metered) Eval(a interpreter.Activation) ref.Val { return m.Exec(interpreter.AsFrame(a)) }

type meteredAttribute struct {
	interpreter.InterpretableAttribute
}

func (m meteredAttribute) Exec(f *interpreter.ExecutionFrame) ref.Val {
	charge(f, 1)
	return m.InterpretableAttribute.Exec(f)
}

func (m meteredAttribute) Eval(a interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(a))
}

// A meteredCall evaluates the arguments, charges, and then runs the function.
type meteredCall struct {
	interpreter.InterpretableCall
	work func(args []ref.Val) float64
	run  functions.FunctionOp
}

func (m *meteredCall) Exec(f *interpreter.ExecutionFrame) ref.Val {
	args := make([]ref.Val, len(m.Args()))
	for i, a := range m.Args() {
		if args[i] = a.Exec(f); types.IsUnknownOrError(args[i]) {
			return args[i]
		}
	}
	charge(f, 1+m.work(args))
	return types.LabelErrNode(m.ID(), m.run(args...))
}

func (m *meteredCall) Eval(a interpreter.Activation) ref.Val {
	return m.Exec(interpreter.AsFrame(a))
}

// implementation finds what a call runs: its overload, or the function that picks one.
// Calls that CEL does not evaluate strictly have none here, and are not charged.
func implementation(env *cel.Env, call interpreter.InterpretableCall) functions.FunctionOp {
	switch call.Function() {
	case operators.Equals:
		return func(a ...ref.Val) ref.Val { return types.Equal(a[0], a[1]) }
	case operators.NotEquals:
		return func(a ...ref.Val) ref.Val { return types.Bool(types.Equal(a[0], a[1]) != types.True) }
	}
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
		if b.NonStrict {
			return nil
		}
		if b.Operator == call.OverloadID() || b.Operator == call.Function() && found == nil {
			found = b
		}
	}
	if found == nil {
		return nil
	}
	return func(args ...ref.Val) ref.Val { return apply(found, args) }
}

// apply runs an overload, or finds that an argument lacks what the operator needs.
func apply(o *functions.Overload, args []ref.Val) ref.Val {
	if o.OperandTrait != 0 && !args[0].Type().HasTrait(o.OperandTrait) {
		return types.NoSuchOverloadErr()
	}
	switch {
	case len(args) == 1 && o.Unary != nil:
		return o.Unary(args[0])
	case len(args) == 2 && o.Binary != nil:
		return o.Binary(args[0], args[1])
	case o.Function != nil:
		return o.Function(args...)
	}
	return types.NoSuchOverloadErr()
}

// workOf lists the functions that do more than go once through the texts they are given.
var workOf = map[string]func(args []ref.Val) float64{
	operators.Equals:        comparing,
	operators.NotEquals:     comparing,
	operators.In:            func(a []ref.Val) float64 { return weight(a[1]) },
	operators.Add:           func(a []ref.Val) float64 { return 4 * scan(a) },
	"contains":              product(0.001), // Go's search is linear but for repetitive text
	"indexOf":               product(0.1),
	"lastIndexOf":           product(0.1),
	"matches":               product(0.01),
	"regex.extract":         product(0.1),
	"regex.extractAll":      product(0.1),
	"regex.replace":         replacing,
	"replace":               replacing,
	"join":                  joining,
	"format":                formatting,
	"flatten":               deep,
	"sort":                  sorting,
	"@sortByAssociatedKeys": sorting,
	"distinct":              func(a []ref.Val) float64 { return weight(a[0]) * weight(a[0]) },
	"sets.contains":         product(1),
	"sets.intersects":       product(1),
	"sets.equivalent":       product(2),
	"similar": func(a []ref.Val) float64 {
		return scan(a) + min(load(a[0]), MaxSimilar)*min(load(a[1]), MaxSimilar)/10
	},
	"set_f1": func(a []ref.Val) float64 { return deep(a) + setCost(weight(a[0]), weight(a[1])) },
}

// scan goes once through every text.
func scan(args []ref.Val) float64 {
	sum := 0.0
	for _, a := range args {
		switch a := a.(type) {
		case types.String:
			sum += float64(len(a)) / 10
		case types.Bytes:
			sum += float64(len(a)) / 10
		}
	}
	return sum
}

// deep goes once through everything.
func deep(args []ref.Val) float64 {
	sum := 0.0
	for _, a := range args {
		sum += weight(a)
	}
	return sum
}

// comparing goes through the smaller.
func comparing(a []ref.Val) float64 {
	if x, ok := a[0].(types.String); ok {
		return float64(len(x)) / 10
	}
	return min(weight(a[0]), weight(a[1]))
}

func sorting(a []ref.Val) float64 { return 20 * deep(a) }

func product(factor float64) func([]ref.Val) float64 {
	return func(a []ref.Val) float64 {
		if len(a) < 2 {
			return 0
		}
		return scan(a) + factor*load(a[0])*load(a[1])
	}
}

// replacing makes a replacement for each character at worst.
func replacing(a []ref.Val) float64 {
	if len(a) < 3 {
		return 0
	}
	return scan(a) + (1+load(a[0]))*(1+load(a[2]))
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

// formatting may write each argument once for each %.
func formatting(a []ref.Val) float64 {
	return scan(a) + 10*deep(a)
}

// load is a text's bytes, or what going through anything else costs.
func load(v ref.Val) float64 {
	if s, ok := v.(types.String); ok {
		return float64(len(s))
	}
	return weight(v)
}
