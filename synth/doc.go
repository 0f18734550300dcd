// Package synth is the room of what writes arenas and trajectories: decomposed questions
// that become certified arenas, and tool documents that become scored conversations
// (ASTRA §2). Nothing stands in it yet; arenas are written by hand, as in examples.
package synth
