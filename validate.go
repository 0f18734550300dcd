package astra

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What a task may hold.
const (
	MaxTurns     = 64
	MaxSubtasks  = 256
	MaxGold      = 1024
	MaxVerifiers = 64
	MaxBudget    = 10_000  // verifiers are bounded by it
	MaxSeed      = 1 << 53 // JavaScript reads every whole number up to this exactly
	maxPrompt    = 64 << 10
)

var (
	taskID     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	distractor = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}/[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

// A taskChecker holds one task to the rules of DESIGN.md.
type taskChecker struct {
	bad  *refusals
	a    *Arena
	t    *Task
	when map[string]int // tool -> the turn from which it is in view, from 1
}

func (c *taskChecker) refuse(path, fix, format string, args ...any) {
	c.bad.add(tasksFile, c.t.Line, fix, "%s: %s", path, fmt.Sprintf(format, args...))
}

func (c *taskChecker) check() {
	c.head()
	c.turns()
	c.user()
	c.tools()
	c.distractors()
	c.subtasks()
	c.gold()
	c.answer()
	c.verify()
	c.weights()
}

func (c *taskChecker) head() {
	t := c.t
	if !taskID.MatchString(t.ID) {
		c.refuse("id", "use letters, digits, ., _ and -, at most 128 in all", "%s is no task's id", clip(t.ID))
	}
	if len(t.Title) > maxTitle {
		c.refuse("title", "shorten it", "%d bytes; it may have %d", len(t.Title), maxTitle)
	}
	if t.Split != SplitTrain && t.Split != SplitValidation && t.Split != SplitTest {
		c.refuse("split", "use train, validation or test", "%s is no split", clip(string(t.Split)))
	}
	if t.Seed != nil && (*t.Seed > MaxSeed || *t.Seed < -MaxSeed) {
		c.refuse("seed", "use a whole number within ±2^53", "%d is out of range", *t.Seed)
	}
	if !(t.Difficulty >= 0 && t.Difficulty <= 1e6) {
		c.refuse("difficulty", "use a number from 0 to 1e6", "%g is out of range", t.Difficulty)
	}
	if t.Budget != nil && (t.Budget.Calls < 1 || t.Budget.Calls > MaxBudget) {
		c.refuse("budget.calls", fmt.Sprintf("use 1 to %d", MaxBudget), "%d is out of range", t.Budget.Calls)
	}
	if key, why, fix := t.Failures.refusal(); why != "" {
		c.refuse("failures."+key, fix, "%s", why)
	}
}

func (c *taskChecker) turns() {
	if n := len(c.t.Turns); n < 1 || n > MaxTurns {
		c.refuse("turns", "write what the user says", "%d turns; a task has 1 to %d", n, MaxTurns)
	}
	for i, turn := range c.t.Turns {
		if strings.TrimSpace(turn.Prompt) == "" || len(turn.Prompt) > maxPrompt {
			c.refuse(fmt.Sprintf("turns[%d].prompt", i), fmt.Sprintf("write 1 to %d bytes of text", maxPrompt), "%d bytes", len(turn.Prompt))
		}
	}
}

func (c *taskChecker) user() {
	u := c.t.User
	if u == nil {
		return
	}
	if u.Turns <= len(c.t.Turns) || u.Turns > MaxTurns {
		c.refuse("user.turns", fmt.Sprintf("use more than the task's turns, at most %d", MaxTurns), "%d messages", u.Turns)
	}
	if strings.TrimSpace(u.Goal) == "" {
		c.refuse("user.goal", "say what the user wants", "it is empty")
	}
	size := len(u.Persona) + len(u.Goal)
	for fact, is := range u.Facts {
		size += len(fact) + len(is)
	}
	for _, next := range u.Next {
		size += len(next)
	}
	if size > maxPrompt {
		c.refuse("user", "shorten it", "%d bytes; a brief may have %d", size, maxPrompt)
	}
}

// tools finds out from which turn each tool is in view.
func (c *taskChecker) tools() {
	c.when = map[string]int{}
	for i, name := range c.t.Tools {
		c.show(fmt.Sprintf("tools[%d]", i), name, 1)
	}
	for i, turn := range c.t.Turns {
		for j, name := range turn.ToolsAdded {
			c.show(fmt.Sprintf("turns[%d].tools_added[%d]", i, j), name, i+1)
		}
	}
	for _, name := range c.a.InitialTools(c.t) {
		if c.when[name] == 0 {
			c.when[name] = 1
		}
	}
}

func (c *taskChecker) show(path, name string, turn int) {
	switch {
	case c.a.Tool(name) == nil:
		c.unknownTool(path, name)
	case c.when[name] > 0:
		c.refuse(path, "name each tool once", "%s is in view already", clip(name))
	default:
		c.when[name] = turn
	}
}

func (c *taskChecker) unknownTool(path, name string) {
	var names []string
	for i := range c.a.Tools {
		names = append(names, c.a.Tools[i].Name)
	}
	known := strings.Join(names[:min(len(names), 12)], ", ")
	c.refuse(path, "the arena has "+known, "unknown tool %s", clip(name))
}

// distractors looks at their form and their names alone: which arenas there will be is not known here.
func (c *taskChecker) distractors() {
	seen := map[string]bool{}
	for i, d := range c.t.Distractors {
		path := fmt.Sprintf("distractors[%d]", i)
		arena, tool, _ := strings.Cut(d, "/")
		switch {
		case !distractor.MatchString(d):
			c.refuse(path, "write arena/tool", "%s names no tool of another arena", clip(d))
		case arena == c.a.Name:
			c.refuse(path, "name a tool of another arena", "%s is this arena's own", clip(d))
		case c.a.Tool(tool) != nil:
			c.refuse(path, "choose another", "the arena has a tool named %s itself", clip(tool))
		case seen[tool]:
			c.refuse(path, "choose another", "two distractors are named %s", clip(tool))
		}
		seen[tool] = true
	}
}

func (c *taskChecker) subtasks() {
	if n := len(c.t.Subtasks); n > MaxSubtasks {
		c.refuse("subtasks", "make several tasks of it", "%d; a task may have %d", n, MaxSubtasks)
		return
	}
	index := map[string]int{}
	for i := range c.t.Subtasks {
		s, path := &c.t.Subtasks[i], fmt.Sprintf("subtasks[%d]", i)
		if !taskID.MatchString(s.ID) {
			c.refuse(path+".id", "use letters, digits, ., _ and -, at most 128 in all", "%s is no id", clip(s.ID))
		}
		if _, twice := index[s.ID]; twice {
			c.refuse(path+".id", "rename one", "%s comes twice", clip(s.ID))
		}
		index[s.ID] = i
		c.subtask(path, s)
	}
	c.dependencies(index)
}

func (c *taskChecker) subtask(path string, s *Subtask) {
	if s.Tool != "" {
		if c.a.Tool(s.Tool) == nil {
			c.unknownTool(path+".tool", s.Tool)
		} else if c.when[s.Tool] == 0 {
			c.refuse(path+".tool", "add it to tools or to a turn's tools_added", "%s is never in view", clip(s.Tool))
		}
		if s.Answer == nil && s.Solved == "" {
			c.refuse(path, "give it an answer or solved", "nothing says when a step of %s solves it", s.Tool)
		}
		if s.Solved == "" && s.At == "" && weak(s.Answer) {
			c.refuse(path+".answer", "say where it stands with at, or write solved",
				"%s would be found in many results by chance", clip(string(s.Answer)))
		}
	}
	if _, ok := pointerTokens(s.At); !ok {
		c.refuse(path+".at", `write a JSON Pointer such as "/items/0/name"`, "%s is none", clip(s.At))
	}
	if s.At != "" && s.Answer == nil {
		c.refuse(path+".at", "give the answer that stands there, or leave it out", "there is no answer to find")
	}
	if s.Compare != nil && s.Answer == nil {
		c.refuse(path+".compare", "give an answer, or leave it out", "there is no answer to compare with")
	}
	c.compare(path+".compare", s.Compare)
}

// weak reports whether an answer is too common to be looked for in any leaf: a boolean, null, empty text, a
// whole number below 100 (also as text, which is the same), or nothing at all in a list or an object.
func weak(answer json.RawMessage) bool {
	v, err := parseJSON(answer, maxDepth)
	if err != nil {
		return false
	}
	switch v.kind {
	case nullKind, boolKind:
		return true
	case listKind, objectKind:
		return len(v.items) == 0
	}
	s := newSameness(nil)
	digits, ok := s.number(v)
	if !ok {
		return s.fold(v.text) == ""
	}
	x, _ := strconv.ParseFloat(digits, 64)
	return x == math.Trunc(x) && math.Abs(x) < 100
}

func (c *taskChecker) compare(path string, cmp *Compare) {
	if cmp == nil {
		return
	}
	if cmp.Tolerance < 0 {
		c.refuse(path+".tolerance", "use a number above 0", "%g is negative", cmp.Tolerance)
	}
	if cmp.Relative && cmp.Tolerance == 0 {
		c.refuse(path+".relative", "give the tolerance", "there is no tolerance to be relative")
	}
	if cmp.As != "" && cmp.As != "set" {
		c.refuse(path+".as", `use "set" or leave it out`, "%s is no way to compare", clip(cmp.As))
	}
}

// dependencies refuses unknown parents and circles.
func (c *taskChecker) dependencies(index map[string]int) {
	state := make([]int, len(c.t.Subtasks)) // 0 new, 1 being visited, 2 done
	var visit func(i int) bool
	visit = func(i int) bool {
		state[i] = 1
		for _, parent := range c.t.Subtasks[i].DependsOn {
			j, ok := index[parent]
			if ok && (state[j] == 1 || state[j] == 0 && !visit(j)) {
				return false
			}
		}
		state[i] = 2
		return true
	}
	for i := range c.t.Subtasks {
		path := fmt.Sprintf("subtasks[%d].depends_on", i)
		for _, parent := range c.t.Subtasks[i].DependsOn {
			if _, ok := index[parent]; !ok {
				c.refuse(path, "name a sub-task of this task", "unknown sub-task %s", clip(parent))
			}
		}
		if state[i] == 0 && !visit(i) {
			c.refuse(path, "let one of them stand alone", "it depends on itself in a circle")
			return
		}
	}
}

func (c *taskChecker) gold() {
	if len(c.t.Gold) > len(c.t.Turns) {
		c.refuse("gold", "write one list of calls a turn", "%d lists for %d turns", len(c.t.Gold), len(c.t.Turns))
		return
	}
	before := 0
	for i, calls := range c.t.Gold {
		for j := range calls {
			c.goldCall(fmt.Sprintf("gold[%d][%d]", i, j), &calls[j], i+1, before)
			before++
		}
	}
	if before > min(MaxGold, c.t.Calls()) {
		c.refuse("gold", "raise budget.calls, or use fewer", "%d calls; the budget is %d", before, min(MaxGold, c.t.Calls()))
	}
}

func (c *taskChecker) goldCall(path string, g *GoldCall, turn, before int) {
	if g.Args == nil {
		g.Args = json.RawMessage(`{}`)
	}
	tool := c.a.Tool(g.Tool)
	if tool == nil {
		c.unknownTool(path+".tool", g.Tool)
		return
	}
	if when := c.when[g.Tool]; when == 0 || when > turn {
		c.refuse(path+".tool", "add it to tools or to a turn's tools_added", "%s is not in view in turn %d", clip(g.Tool), turn)
	}
	args, err := parseJSON(g.Args, maxTaskDepth)
	if err != nil || args.kind != objectKind {
		c.refuse(path+".args", "write an object of arguments", "not an object")
		return
	}
	if c.goldRefs(path+".args", args, before) > 0 {
		return // held to the schema when it is played
	}
	if plain, err := Interpolate(g.Args, nil); err == nil {
		if err := tool.CheckArgs(plain); err != nil {
			c.refuse(path+".args", "mend the call or the tool's input schema", "%v", err)
		}
	}
}

// goldRefs counts the references in v and refuses those to a call that does not come before.
func (c *taskChecker) goldRefs(path string, v *value, before int) int {
	count := 0
	for i := range v.items {
		count += c.goldRefs(path, &v.items[i], before)
	}
	if v.kind != textKind || !strings.HasPrefix(v.text, "$") || strings.HasPrefix(v.text, "$$") {
		return count
	}
	n, _, ok := parseGoldRef(v.text)
	switch {
	case ok && n > before:
		c.refuse(path, "refer to an earlier call", "%s refers to call %d, but only %d come before", clip(v.text), n, before)
	case !ok && len(v.text) > 1 && v.text[1] >= '0' && v.text[1] <= '9' && strings.Contains(v.text, ".value"):
		c.refuse(path, `write $N.value.path, or $$ at the start for a "$" of its own`, "%s looks like a reference and is none", clip(v.text))
	}
	if ok {
		count++
	}
	return count
}

func (c *taskChecker) answer() {
	a := c.t.Answer
	if a == nil {
		return
	}
	if a.Expected == nil && a.Verify == "" {
		c.refuse("answer", "give expected or verify", "nothing says what the answer must be")
	}
	if a.Compare != nil && a.Expected == nil {
		c.refuse("answer.compare", "give expected, or leave it out", "there is nothing to compare with")
	}
	c.compare("answer.compare", a.Compare)
}

func (c *taskChecker) verify() {
	if len(c.t.Verify) > MaxVerifiers {
		c.refuse("verify", "join some", "%d verifiers; a task may have %d", len(c.t.Verify), MaxVerifiers)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.t.Verify)) {
		if !plainName(name) || name == "f1" || name == "answer" {
			c.refuse("verify", "use letters, digits and _; f1 and answer are taken", "%s is no verifier's name", clip(name))
		}
		if strings.TrimSpace(c.t.Verify[name]) == "" {
			c.refuse(join("verify", name), "write a CEL expression", "it is empty")
		}
	}
	if !c.scored() {
		c.refuse("task", "give it sub-tasks with a tool, an answer, or verify", "there is nothing to score it by")
	}
}

// scored reports whether the task has any part of a reward.
func (c *taskChecker) scored() bool {
	return c.hasF1() || c.t.Answer != nil || len(c.t.Verify) > 0
}

func (c *taskChecker) hasF1() bool {
	return slices.ContainsFunc(c.t.Subtasks, func(s Subtask) bool { return s.Counts() })
}

func (c *taskChecker) weights() {
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(c.t.Weights)) {
		path := join("weights", name)
		_, named := c.t.Verify[name]
		if !named && !(name == "f1" && c.hasF1()) && !(name == "answer" && c.t.Answer != nil) {
			c.refuse(path, "name f1, answer or a verifier that the task has", "the task has no such part")
		}
		w := c.t.Weights[name]
		if !(w >= 0 && w <= 1e6) {
			c.refuse(path, "use a number from 0 to 1e6", "%g is out of range", w)
		}
		sum += w
	}
	if c.t.Weights != nil && sum == 0 {
		c.refuse("weights", "give some part a weight, or leave weights out", "all are 0")
	}
}
