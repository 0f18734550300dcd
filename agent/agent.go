// Package agent holds the built-in agents: gold, random and llm.
//
// An agent comes in through its episode's door, over MCP like any outsider: it lists tools
// and calls them, and sees nothing else. Opening, turns and submitting belong to the
// harness that hands an agent the user's messages one by one:
//
//	session, err := agent.Dial(ctx, doorURL, key, nil)
//	…
//	reply, err := player.Play(ctx, session, message) // once per turn; the last reply is the answer
//
// A player plays one episode and is not safe for concurrent use; a session is.
package agent

import (
	"context"
	"encoding/json"

	"github.com/astra-arenas/astra"
)

// A Player is an agent at work on one episode.
type Player interface {
	// Play answers one user message, calling as many tools as it likes. An error means
	// that the agent could not go on (its model or its door failed), never that it did badly.
	Play(ctx context.Context, s Session, message string) (reply string, err error)
}

// A Transcriber is a player that can tell how it came to its calls.
type Transcriber interface {
	// Messages returns the conversation so far as OpenAI chat messages, a JSON list.
	Messages() json.RawMessage
}

// A Session is the agent's side of an episode: what its door offers.
type Session interface {
	// Tools lists the tools in view now, in the door's order. A turn may add some.
	Tools(ctx context.Context) ([]astra.PublicTool, error)
	// Call runs one tool with a JSON object of arguments. A tool that fails, one that is
	// unknown and a spent budget are outcomes; an error means that the door could not be reached.
	Call(ctx context.Context, tool string, args json.RawMessage) (Outcome, error)
}

// An Outcome is what a call gave the agent.
type Outcome struct {
	Failed bool
	Value  json.RawMessage // what the tool returned; nil when failed
	Text   string          // the same for a model to read, or what went wrong
}
