package rows

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
)

// ExportOptions adjusts what is written of tasks. A nil *ExportOptions means the defaults.
type ExportOptions struct {
	// Arena finds the arena of that name, from which a task has distractors; nil if it is not
	// there. Without it distractors are left out, and noted.
	Arena func(name string) *astra.Arena
	Agent string // agent_ref of NeMo Gym rows; default DefaultGymAgent
	// Gymnasium makes NeMo Gym rows for its Gymnasium agent, which can play several turns.
	Gymnasium bool
	// Invalid is how a NeMo Gym row wants to be told that its rollout cannot be judged: MaskInvalid
	// (the default) or FailInvalid.
	Invalid string
}

// Ways to tell a NeMo Gym trainer that a rollout cannot be judged.
const (
	MaskInvalid = "mask"  // mask_sample, beside a reward of 0
	FailInvalid = "error" // verify fails
)

func (o *ExportOptions) gymnasium() bool { return o != nil && o.Gymnasium }

func (o *ExportOptions) invalid() string {
	if o == nil {
		return ""
	}
	return o.Invalid
}

func (o *ExportOptions) arena(name string) *astra.Arena {
	if o == nil || o.Arena == nil {
		return nil
	}
	return o.Arena(name)
}

// Shown are the tools that an episode of a task begins with, and what of them is not there.
func (o *ExportOptions) Shown(a *astra.Arena, t *astra.Task) (tools []*astra.Tool, notes []string) {
	for _, name := range a.InitialTools(t) {
		tools = append(tools, a.Tool(name))
	}
	for _, ref := range t.Distractors {
		if _, tool := o.distractor(ref); tool != nil {
			tools = append(tools, tool)
			continue
		}
		notes = append(notes, notThere(ref))
	}
	return tools, notes
}

// distractor finds a tool of another arena; both are nil if it is not there.
func (o *ExportOptions) distractor(ref string) (*astra.Arena, *astra.Tool) {
	name, tool, _ := strings.Cut(ref, "/")
	if a := o.arena(name); a != nil && a.Tool(tool) != nil {
		return a, a.Tool(tool)
	}
	return nil, nil
}

func notThere(ref string) string {
	return "the distractor " + ref + " is left out: its arena is not there"
}

// RLOf writes a task of a Python arena as an ASTRA-RL row. The row says less than a task can:
// that some texts are to come out of some tools. What depends on more than that is refused,
// and so is what is not Python: nothing translates code. Whether the row can be solved is for
// Verify to find out.
func RLOf(a *astra.Arena, t *astra.Task, opts *ExportOptions) (*RLRow, error) {
	if err := refuseRL(a, t); err != nil {
		return nil, err
	}
	r := &RLRow{Prompt: t.Turns[0].Prompt}
	if err := r.addTools(a, t, a.InitialTools(t)); err != nil {
		return nil, err
	}
	for _, ref := range t.Distractors {
		if err := r.distractor(ref, t, opts); err != nil {
			return nil, err
		}
	}
	for i := range t.Subtasks {
		if s := &t.Subtasks[i]; s.Counts() {
			if err := r.answer(s); err != nil {
				return nil, fmt.Errorf("sub-task %s: %w", s.ID, err)
			}
		}
	}
	if len(r.Answers) == 0 {
		return nil, errors.New("no sub-task counts, and a row is scored by nothing else")
	}
	return r, nil
}

func refuseRL(a *astra.Arena, t *astra.Task) error {
	switch {
	case a.Runtime != astra.Python:
		return fmt.Errorf("the row's tools are Python, and the arena's are %s: nothing translates them; write the arena with --runtime python", a.Runtime)
	case a.Class != "":
		return fmt.Errorf("the tools are methods of the class %s, and a row has functions", a.Class)
	case len(t.Turns) != 1:
		return fmt.Errorf("%d turns, and a row has one prompt", len(t.Turns))
	case t.User != nil:
		return errors.New("a simulated user, and a row has none")
	case len(t.Scenario) > 0:
		return errors.New("a scenario, which the tools of a row are not told")
	case len(t.Verify) > 0:
		return errors.New("verifiers, and a row says only what tools should print")
	}
	return nil
}

// addTools adds tools of an arena with their code.
func (r *RLRow) addTools(a *astra.Arena, t *astra.Task, names []string) error {
	for _, name := range names {
		tool := a.Tool(name)
		if tool.Derived {
			return fmt.Errorf("the tool %s has no input schema but its signature; write input in arena.yaml", name)
		}
		source, err := sourceOf(a, t, name)
		if err != nil {
			return fmt.Errorf("the tool %s: %w", name, err)
		}
		r.Tools = append(r.Tools, Tool{name, tool.Description, tool.Input, source})
	}
	return nil
}

func (r *RLRow) distractor(ref string, t *astra.Task, opts *ExportOptions) error {
	switch a, tool := opts.distractor(ref); {
	case tool == nil:
		r.Notes = append(r.Notes, notThere(ref))
	case a.Runtime != astra.Python || a.Class != "" || tool.Derived:
		r.Notes = append(r.Notes, "the distractor "+ref+" is left out: it is no function of Python's with a schema")
	default:
		return r.addTools(a, t, []string{tool.Name})
	}
	return nil
}

// ourRule is what this package writes for the paper's rule.
var ourRule = regexp.MustCompile(`^step\.value(?:\.contains\(("(?:[^"\\]|\\.)*")\)| == ("(?:[^"\\]|\\.)*"))$`)

// answer adds what a sub-task's tool should print.
func (r *RLRow) answer(s *astra.Subtask) error {
	gold, err := goldText(s)
	if err != nil {
		return err
	}
	if r.tool(s.Tool) == nil {
		return fmt.Errorf("its tool %q is not in the task's view", s.Tool)
	}
	i := slices.IndexFunc(r.Answers, func(a Answers) bool { return a.Tool == s.Tool })
	if i < 0 {
		r.Answers = append(r.Answers, Answers{Tool: s.Tool})
		i = len(r.Answers) - 1
	}
	r.Answers[i].Gold = append(r.Answers[i].Gold, gold)
	return nil
}

func goldText(s *astra.Subtask) (string, error) {
	if s.Solved != "" {
		m := ourRule.FindStringSubmatch(s.Solved)
		if m == nil {
			return "", errors.New("it is solved by an expression, and a row says only what tools should print")
		}
		return strconv.Unquote(m[1] + m[2])
	}
	gold, err := printed(s.Answer)
	if err == nil && (strings.TrimSpace(gold) == "" || len(gold) > maxGold) {
		err = fmt.Errorf("its answer has %d bytes, and may have 1 to %d", len(gold), maxGold)
	}
	return gold, err
}

var importsAstra = regexp.MustCompile(`(?m)^\s*(import|from)\s+astra\b`)

// sourceOf is the code of one tool by itself: that of a row, as it was; tools.py as it is,
// if it reads nothing else; or all of the arena's code and data in one source.
func sourceOf(a *astra.Arena, t *astra.Task, tool string) (string, error) {
	if _, ours := a.Bundle.File("data/astra_row.py"); ours {
		if b, ok := a.Bundle.File(sourcePath(tool)); ok {
			return string(b), nil
		}
	}
	entry, ok := a.Bundle.File(a.Entry)
	if !ok {
		return "", fmt.Errorf("there is no %s", a.Entry)
	}
	data := dataOf(a.Bundle)
	if len(data) == 0 && !importsAstra.Match(entry) && defines(string(entry), tool) {
		return string(entry), nil
	}
	return packed(a, t, tool, string(entry), data)
}

func dataOf(b *astra.Bundle) []astra.File {
	var all []astra.File
	for _, f := range b.Files() {
		if strings.HasPrefix(f.Path, "data/") {
			all = append(all, f)
		}
	}
	return all
}

// packedText loads a bundle's code with imports of its own: of what is packed in, and of
// astra, of which data and seed are there. Everything else is Python's.
const packedText = `import builtins
import types

FILES = %s


def _load():
    loaded = {}

    def find(name, globals=None, locals=None, fromlist=(), level=0):
        path = "data/" + name + ".py"
        if level or name != "astra" and path not in FILES:
            return builtins.__import__(name, globals, locals, fromlist, level)
        return loaded.get(name) or run(name, path)

    def run(name, path):
        module = loaded[name] = types.ModuleType(name)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": find}
        exec(compile(FILES[path], path, "exec"), module.__dict__)
        return module

    loaded["astra"] = types.ModuleType("astra")
    loaded["astra"].data = lambda path: FILES["data/" + path]
    loaded["astra"].seed = lambda: %d
    return run("tools", "tools.py")


%s = _load().%s
`

func packed(a *astra.Arena, t *astra.Task, tool, entry string, data []astra.File) (string, error) {
	files := map[string]any{"tools.py": entry}
	for _, f := range data {
		text, err := json.Marshal(string(f.Data))
		var back string
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != string(f.Data) {
			return "", fmt.Errorf("%s is no text, and nothing else can be packed into its code", f.Path)
		}
		files[f.Path] = back
	}
	seed := int64(0)
	if t.Seed != nil {
		seed = *t.Seed
	}
	var b strings.Builder
	repr(&b, files)
	return fmt.Sprintf("# The tool %s of the arena %s, with all that it reads.\n", tool, a.Name) + fmt.Sprintf(packedText, b.String(), seed, tool, tool), nil
}
