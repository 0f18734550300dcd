// Package trajectories has agents play tasks and keeps what is worth learning from: the
// paper's first half from the interaction on (ASTRA §2.1.4 and 2.1.5).
//
// Every conversation is an episode: the task is one of an arena of its server, which real
// MCP servers, a model that stands in for documented tools, or a sandbox answers for; an
// agent comes in through its door; a simulated user speaks where the task has one; calls
// fail as the arena plans. What an agent did is told by the log, which its messages are
// held to. Seven scores judge it, and what any of them does not know is not taken.
//
// An episode of a conversation lives in a gateway of its own. What is kept of it is what
// came of it: a run that goes on plays again what was not finished, against replies that
// are remembered, and has the same to the byte.
package trajectories
