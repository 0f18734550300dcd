package certify

import (
	"context"
	"strings"
)

// names holds the names in a task's widest view against each other. Loading refuses equal
// ones; here names are the same that differ by case and underscores alone.
func names(_ context.Context, t *trial, out *tally) error {
	first := map[string]string{}
	all := []string{}
	for i := range t.in.arena.Tools {
		all = append(all, t.in.arena.Tools[i].Name)
	}
	for _, d := range t.task.Distractors {
		_, tool, _ := strings.Cut(d, "/")
		all = append(all, tool)
	}
	out.add("names", float64(len(all)))
	for _, name := range all {
		key := strings.ToLower(strings.ReplaceAll(name, "_", ""))
		if was, twice := first[key]; twice {
			f := t.finding("the tools %s and %s differ by case and underscores alone; rename one, or choose another distractor", was, name)
			f.Tool = name
			out.find(f)
			continue
		}
		first[key] = name
	}
	return nil
}
