package trajectories

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
	"github.com/astra-arenas/astra/synth/scores"
	"github.com/astra-arenas/astra/synth/tasks"
)

// A Conversation is what came of one episode.
type Conversation struct {
	ID         string            `json:"id"`
	Task       tasks.Task        `json:"task"`
	Trajectory *astra.Trajectory `json:"trajectory,omitempty"`
	Calls      []scores.Step     `json:"calls,omitempty"` // what the log says of each call, in order
	Steps      int               `json:"steps"`
	Injected   int               `json:"injected"`          // steps that were planned to fail
	Turns      int               `json:"turns"`             // user messages
	Stopped    string            `json:"stopped,omitempty"` // what ended it before the agent did: rounds, tokens, cut or time
	Scores     *scores.Scores    `json:"scores,omitempty"`
	Spent      ask.Spent         `json:"spent"` // by the stage that made this
}

// Cost is what the stage that made it took.
func (c Conversation) Cost() ask.Spent { return c.Spent }

// key tells a conversation from any other: results are kept with all of it, and one that was
// played in another arena, or has other scores, is another.
func (c *Conversation) key() string {
	b, _ := synth.JSON(c) // it was read from JSON
	sum := sha256.Sum256(b)
	return c.ID + " " + hex.EncodeToString(sum[:])
}

// record takes down what an episode came to.
func (c *Conversation) record(ep *astra.Episode, tools []astra.PublicTool, others []string) error {
	t, err := astra.NewTrajectory(ep, tools)
	if err != nil {
		return err
	}
	m := &t.Metadata
	m.ID, m.Episode = c.ID, "" // an episode of another name is played when this is made again
	m.Others, m.Kind, m.Domain, m.Language = others, string(c.Task.Kind), c.Task.Domain, string(c.Task.Language)
	c.Trajectory, c.Steps, c.Turns = t, len(ep.Steps), len(ep.Turns)
	for _, s := range ep.Steps {
		if s.Result.Injected {
			c.Injected++
		}
	}
	chat, err := t.Chat()
	if err != nil {
		return err
	}
	c.Calls = callsOf(chat, ep.Steps)
	return nil
}

// callsOf finds the step of each call of a chat that agrees with the log. What never came
// to the door, arguments that are no object or a call without a name, is the agent's own
// failure; so are calls beyond the budget.
func callsOf(chat []astra.ChatMessage, steps []astra.Step) []scores.Step {
	calls := []scores.Step{}
	for _, m := range chat {
		for _, call := range m.ToolCalls {
			if len(steps) == 0 || !sendable(call) {
				calls = append(calls, scores.Step{Fault: astra.FaultAgent})
				continue
			}
			r := steps[0].Result
			calls, steps = append(calls, scores.Step{OK: r.OK(), Injected: r.Injected, Fault: r.Fault}), steps[1:]
		}
	}
	return calls
}

func sendable(c astra.ChatToolCall) bool {
	var object map[string]json.RawMessage
	args := c.Function.Arguments
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	return c.Function.Name != "" && json.Unmarshal([]byte(args), &object) == nil && object != nil
}

// settled is a conversation's result; a reason makes it unknown.
func (c Conversation) settled(reason, detail string) synth.Result[Conversation] {
	if reason == "" {
		return synth.Passed(c)
	}
	return synth.Result[Conversation]{Verdict: synth.Unknown, Reason: reason, Detail: ask.Clip(detail, 2000), Value: c}
}
