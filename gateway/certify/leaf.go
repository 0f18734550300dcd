package certify

import "context"

// leaf refuses sub-tasks that anybody solves who calls a tool without thinking: it takes
// no arguments, and any leaf of what it returns counts.
func leaf(_ context.Context, t *trial, out *tally) error {
	for i := range t.task.Subtasks {
		s := &t.task.Subtasks[i]
		if !s.Counts() {
			continue
		}
		out.add("subtasks", 1)
		f := t.in.tools[s.Tool]
		if s.At != "" || s.Solved != "" || f == nil || !f.takesNothing() {
			continue
		}
		found := t.finding("the tool takes no arguments, so any call solves the sub-task by one of its leaves; say with at where the answer stands, or write solved")
		found.Tool, found.Subtask = s.Tool, s.ID
		out.find(found)
	}
	return nil
}
