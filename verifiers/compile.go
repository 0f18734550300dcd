package verifiers

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// A checked verifier is parsed and type-checked: what Check needs.
type checked struct {
	source string
	scope  scope
	ast    *cel.Ast
	state  bool // it reads state
	gold   bool // it reads gold
	end    bool // it reads gold.state
	answer bool // it reads answer
}

// check compiles a verifier's source. An error is a *sourceError.
func (e environments) check(src string, s scope) (*checked, error) {
	tree, issues := e.in(s).Compile(src)
	if issues.Err() != nil {
		return nil, positioned(issues)
	}
	c := &checked{source: src, scope: s, ast: tree}
	if err := c.result(); err != nil {
		return nil, err
	}
	root := tree.NativeRep().Expr()
	if err := c.refuse(root); err != nil {
		return nil, err
	}
	names := free(root)
	c.state, c.answer, c.gold = names["state"], names["answer"], names["gold"]
	return c, nil
}

// positioned is the first issue, without the drawing of the source that CEL adds.
func positioned(issues *cel.Issues) error {
	first := issues.Errors()[0]
	message, _, _ := strings.Cut(first.Message, "\n")
	more := ""
	if n := len(issues.Errors()); n > 1 {
		more = fmt.Sprintf(" (and %d more)", n-1)
	}
	return &sourceError{first.Location.Line(), max(0, first.Location.Column()) + 1, message + more}
}

// A sourceError is a refusal with its place in the verifier: both count from 1, columns in characters.
type sourceError struct {
	line, column int
	message      string
}

func (e *sourceError) Error() string {
	if e.line > 1 {
		return fmt.Sprintf("line %d, column %d: %s", e.line, e.column, e.message)
	}
	return fmt.Sprintf("column %d: %s", e.column, e.message)
}

func refused(format string, args ...any) error {
	return &sourceError{1, 1, fmt.Sprintf(format, args...)}
}

// result refuses what cannot be a verdict.
func (c *checked) result() error {
	t := c.ast.OutputType()
	switch {
	case t.Kind() == types.BoolKind || t.Kind() == types.DynKind:
	case c.scope == inSubtask:
		return refused("yields %s; solved must yield a boolean", t)
	case t.Kind() == types.IntKind || t.Kind() == types.DoubleKind:
	default:
		return refused("yields %s; a verifier must yield a boolean or a number from 0 to 1", t)
	}
	if root := c.ast.NativeRep().Expr(); root.Kind() == ast.LiteralKind {
		if _, ok := verdict(root.AsLiteral()); !ok {
			return refused("yields a constant that is not from 0 to 1")
		}
	}
	return nil
}

// refuse finds what the type checker allows and we do not.
func (c *checked) refuse(root ast.Expr) (err error) {
	tree := c.ast.NativeRep()
	fail := func(e ast.Expr, format string, args ...any) {
		if err == nil {
			at := tree.SourceInfo().GetStartLocation(e.ID())
			err = &sourceError{at.Line(), at.Column() + 1, fmt.Sprintf(format, args...)}
		}
	}
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			sel := e.AsSelect()
			c.end = c.end || sel.FieldName() == "state" && tree.GetType(sel.Operand().ID()).TypeName() == goldType.TypeName()
		case ast.ComprehensionKind:
			comp := e.AsComprehension()
			for _, v := range []string{comp.IterVar(), comp.IterVar2(), comp.AccuVar()} {
				if agentMade[v] || authorMade[v] {
					fail(e, "the variable %s hides the episode's; give it another name", v)
				}
			}
			// CEL iterates its own maps at random; JSON objects are dynamic and ordered.
			if tree.GetType(comp.IterRange().ID()).Kind() == types.MapKind {
				fail(e, "goes through a map that the expression made, whose order is not fixed; use a list")
			}
		case ast.StructKind:
			if strings.HasPrefix(e.AsStruct().TypeName(), "astra.") {
				fail(e, "%s cannot be made, only read", e.AsStruct().TypeName())
			}
		}
	}))
	return err
}

// estimate bounds what the verifier may cost, for inputs of these sizes.
func (e environments) estimate(c *checked, s sizes) error {
	est, err := e.in(c.scope).EstimateCost(c.ast, s, checker.PresenceTestHasCost(true))
	if err != nil {
		return refused("estimate the cost: %v", err)
	}
	cost := est.Max
	if c.scope == inSubtask {
		cost = times(cost, max(1, s.steps))
	}
	if cost > MaxCost {
		return refused("may cost %s units where %d are allowed: use fewer loops within loops, "+
			"compare whole values with == or set_f1, or lower budget.calls or limits.result", magnitude(cost), MaxCost)
	}
	return nil
}

func magnitude(n uint64) string {
	if n == math.MaxUint64 {
		return "without bound"
	}
	return fmt.Sprintf("%.1g", float64(n))
}

// An expression is a verifier ready to run. It is immutable and may be shared.
type expression struct {
	*checked
	clauses []clause
	probes  []probe // parts that no agent can influence; see Failures in the package comment
}

// A probe is a part of a clause.
type probe struct {
	at      [2]int // the clause's
	program cel.Program
}

// A clause is one conjunct.
type clause struct {
	at      [2]int // byte range in the source
	program cel.Program
	closed  bool // no agent can influence it
	each    *each
}

// An each is the predicate of a clause of the form steps.all(x, predicate).
type each struct {
	variable string
	program  cel.Program
}

// plan makes a checked verifier ready to run.
func (e environments) plan(c *checked) (*expression, error) {
	p := planner{env: e.in(c.scope), tree: c.ast.NativeRep()}
	src := newSource(c.source)
	x := &expression{checked: c}
	conjuncts, operators := p.conjuncts(p.tree.Expr())
	for i, e := range conjuncts {
		start, end := 0, len(c.source)
		if i > 0 {
			start = src.at(operators[i-1].Stop)
		}
		if i < len(operators) {
			end = src.at(operators[i].Start)
		}
		cl := clause{at: src.trim(start, end), program: p.program(e), closed: closed(e), each: p.each(e)}
		x.clauses = append(x.clauses, cl)
		if !cl.closed {
			for _, prog := range p.probes(e) {
				x.probes = append(x.probes, probe{cl.at, prog})
			}
		}
	}
	return x, p.err
}

// A planner makes programs of parts of one checked tree.
type planner struct {
	env  *cel.Env
	tree *ast.AST
	err  error // the first
}

func (p *planner) program(e ast.Expr) cel.Program {
	part := ast.NewCheckedAST(ast.NewAST(e, p.tree.SourceInfo()), p.tree.TypeMap(), p.tree.ReferenceMap())
	prog, err := p.env.PlanProgram(part, cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(meter(p.env)))
	if err != nil && p.err == nil {
		p.err = refused("%v", err)
	}
	return prog
}

// conjuncts flattens the outermost &&, and says where its operators stand.
func (p *planner) conjuncts(e ast.Expr) (parts []ast.Expr, between []ast.OffsetRange) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return []ast.Expr{e}, nil
	}
	for _, arg := range e.AsCall().Args() {
		below, ops := p.conjuncts(arg)
		parts, between = append(parts, below...), append(between, ops...)
	}
	at, _ := p.tree.SourceInfo().GetOffsetRange(e.ID())
	between = append(between, at)
	slices.SortFunc(between, func(a, b ast.OffsetRange) int { return int(a.Start - b.Start) })
	return parts, between
}

// each recognizes steps.all(x, predicate).
func (p *planner) each(e ast.Expr) *each {
	if e.Kind() != ast.ComprehensionKind {
		return nil
	}
	c := e.AsComprehension()
	step := c.LoopStep()
	if c.HasIterVar2() || c.IterRange().Kind() != ast.IdentKind || c.IterRange().AsIdent() != "steps" ||
		step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.LogicalAnd || len(step.AsCall().Args()) != 2 {
		return nil
	}
	return &each{c.IterVar(), p.program(step.AsCall().Args()[1])}
}

// probes are the largest parts of e that no agent can influence, that are evaluated
// whenever e is, and that may fail.
func (p *planner) probes(e ast.Expr) []cel.Program {
	if closed(e) {
		if !p.fallible(e) {
			return nil
		}
		return []cel.Program{p.program(e)}
	}
	var all []cel.Program
	for _, part := range strict(e) {
		all = append(all, p.probes(part)...)
	}
	return all
}

// strict lists the parts of e that are evaluated whenever e is.
func strict(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			return nil
		case operators.Conditional:
			return call.Args()[:1]
		}
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.ComprehensionKind:
		return []ast.Expr{e.AsComprehension().IterRange()}
	}
	return nil
}

// fallible reports whether evaluating e may fail: constants and typed fields cannot,
// except gold.state.
func (p *planner) fallible(e ast.Expr) bool {
	switch e.Kind() {
	case ast.LiteralKind, ast.IdentKind:
		return false
	case ast.SelectKind:
		sel := e.AsSelect()
		shape, typed := structs[p.tree.GetType(sel.Operand().ID()).TypeName()]
		return !typed || shape.fields[sel.FieldName()] == types.DynType || p.fallible(sel.Operand())
	}
	return true
}

// closed reports whether no agent can influence e.
func closed(e ast.Expr) bool {
	for name := range free(e) {
		if !authorMade[name] {
			return false
		}
	}
	return true
}

// free is the set of variables that e takes from outside.
func free(e ast.Expr) map[string]bool {
	names := map[string]bool{}
	collect(e, map[string]int{}, names)
	return names
}

func collect(e ast.Expr, bound map[string]int, names map[string]bool) {
	switch e.Kind() {
	case ast.IdentKind:
		if name := e.AsIdent(); bound[name] == 0 && !typeName(name) {
			names[name] = true
		}
	case ast.ComprehensionKind:
		collectComprehension(e.AsComprehension(), bound, names)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			collect(entry.AsMapEntry().Key(), bound, names)
			collect(entry.AsMapEntry().Value(), bound, names)
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			collect(f.AsStructField().Value(), bound, names)
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			collect(call.Target(), bound, names)
		}
		for _, arg := range call.Args() {
			collect(arg, bound, names)
		}
	case ast.SelectKind:
		collect(e.AsSelect().Operand(), bound, names)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			collect(item, bound, names)
		}
	}
}

func collectComprehension(c ast.ComprehensionExpr, bound map[string]int, names map[string]bool) {
	collect(c.IterRange(), bound, names)
	collect(c.AccuInit(), bound, names)
	bound[c.AccuVar()]++
	collect(c.Result(), bound, names)
	bound[c.IterVar()]++
	bound[c.IterVar2()]++
	collect(c.LoopCondition(), bound, names)
	collect(c.LoopStep(), bound, names)
	bound[c.AccuVar()]--
	bound[c.IterVar()]--
	bound[c.IterVar2()]--
}

// typeName reports whether an identifier names a type, as in type(x) == int.
func typeName(name string) bool {
	switch name {
	case "bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint", "optional_type":
		return true
	}
	return strings.Contains(name, ".")
}
