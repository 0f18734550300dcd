package trajectories

import (
	"context"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth/ask"
)

// A line is what somebody said.
type line struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// A talk is what was said so far, without calls: users do not see them.
type talk []line

func (t talk) users() (n int) {
	for _, l := range t {
		if l.Role == "user" {
			n++
		}
	}
	return n
}

// mostSaid bounds one message as the simulated user is shown it.
const mostSaid = 8 << 10

type userDocument struct {
	Step  string   `json:"step"`
	Kind  string   `json:"kind"`
	Goal  string   `json:"goal"`
	Facts []fact   `json:"facts"`
	Next  []string `json:"next"`
	Talk  talk     `json:"conversation"`
}

type fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A saying is the reply of who plays the user.
type saying struct {
	Analysis string `json:"analysis"`
	Done     *bool  `json:"done"`
	Message  string `json:"message"`
}

func (s *saying) check() error {
	switch said := strings.TrimSpace(s.Message); {
	case s.Done == nil:
		return ask.Misread(ask.NoVerdict, `say whether the user is "done"`)
	case *s.Done != (said == ""):
		return ask.Misread(ask.NoVerdict, `a user who is done says nothing, and one who is not says something`)
	case ask.Garbled(said):
		return ask.Misread("text", "the message has characters that are no text")
	case len(said) > mostSaid:
		return ask.Misread("length", "the message has %d bytes: want %d at most", len(said), mostSaid)
	}
	return nil
}

// says is what the simulated user says next; "" if nothing more.
func (s *scene) says(ctx context.Context, t talk) (string, error) {
	task := &s.at.task
	doc := userDocument{Step: "user", Kind: string(task.Kind), Goal: task.User.Goal, Facts: []fact{}, Next: append([]string{}, task.User.Next...)}
	for name, value := range task.User.Facts {
		doc.Facts = append(doc.Facts, fact{name, value})
	}
	slices.SortFunc(doc.Facts, func(a, b fact) int { return strings.Compare(a.Name, b.Name) })
	for _, l := range t {
		doc.Talk = append(doc.Talk, line{l.Role, ask.Clip(l.Text, mostSaid)})
	}
	reply, missed, err := ask.Ask(ctx, &s.user, &s.conv.Spent, ask.Question{Step: "user", Language: task.Language, Place: []any{s.at.id(), t.users()}, Document: doc}, (*saying).check)
	if err != nil {
		return "", err
	}
	if missed != nil {
		return "", &brokenOff{missed.Reason, errorString(missed.Detail)}
	}
	return strings.TrimSpace(reply.Message), nil
}

type errorString string

func (e errorString) Error() string { return string(e) }
