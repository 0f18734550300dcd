package main

import (
	"context"
	"encoding/json"
)

// A session is one client of a server, over a connection of its own, used by one goroutine.
type session interface {
	// opening is what it takes until the first call, in order.
	opening() []act
	// call searches the catalogue.
	call(ctx context.Context, query string) (*finding, error)
	// end says to the server that the session is over. It is only called after the opening.
	end(ctx context.Context) error
	// hangUp closes the connection, and may be called at any time.
	hangUp()
}

// An act is one of the things that are timed.
type act struct {
	phase phase
	do    func(ctx context.Context) error
}

type phase string

const (
	connecting phase = "connect" // until the server has answered something, its protocol's handshake if it has one
	resetting  phase = "reset"   // until the session has a world of its own
	calling    phase = "call"
	ending     phase = "close"
)

// group is how many sessions have the same world, as the rollouts of one task do that a trainer
// compares.
const group = 8

// seedOf is the seed of a session's world, and the number of its task where there are tasks.
func seedOf(session int) int { return session / group }

// object is a JSON object that we write.
type object = map[string]any

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers of our own
	}
	return b
}
