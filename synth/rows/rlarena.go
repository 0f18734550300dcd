package rows

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
)

// Arena writes the row as an arena of its own, named by the row's content: the same row
// makes the same arena, whatever file it stands in. It has one task: each answer is a
// sub-task, solved by a call of its tool whose text contains it, letter by letter (the
// paper's rule, ASTRA §3.6), in any order; gold calls there are none. An error says what the
// rules of arenas refuse, with the place in the bundle.
func (r *RLRow) Arena() (*astra.Bundle, error) {
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	name := nameOf(line)
	d := &draft{name: "astra-rl-" + name, title: "ASTRA-RL " + name, printed: true, tools: r.Tools, tasks: []*astra.Task{r.task(name)}}
	d.description = "A row of the paper's reinforcement learning data. Its tools are the row's Python, run as it is; a sub-task is solved where the text of a call contains the answer."
	d.provenance = map[string]any{"source": "astra-rl", "rule": "the text of a call contains the answer"}
	if len(r.Notes) > 0 {
		d.provenance["notes"] = r.Notes
	}
	return d.bundle()
}

func (r *RLRow) task(name string) *astra.Task {
	t := &astra.Task{ID: name, Turns: []astra.TaskTurn{{Prompt: r.Prompt}}}
	for _, a := range r.Answers {
		for _, gold := range a.Gold {
			t.Subtasks = append(t.Subtasks, astra.Subtask{ID: "s" + strconv.Itoa(len(t.Subtasks)+1), Tool: a.Tool, Solved: contains("step.value", gold)})
		}
	}
	t.Difficulty = float64(len(t.Subtasks))
	return t
}

// contains is CEL that holds where a text has another in it.
func contains(where, text string) string {
	return fmt.Sprintf("%s.contains(%s)", where, celText(text))
}

// celText is a text literal of CEL, in which nothing but letters can follow a backslash.
func celText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
