// Package astra holds the words of the project and the rules that need no technology.
//
// An arena is an environment as a versioned bundle; a task is one problem in it; an
// episode is the record of one attempt, and a pure function of arena, runtime, task,
// seed, view, planned failures, calls and turns. DESIGN.md is the map; every other package imports this one,
// and this one imports none of them.
//
// Numbers of steps, turns and gold calls count from 1, as people and gold references
// ($1.value) do.
package astra
