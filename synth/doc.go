// Package synth is the common ground of what writes arenas (ASTRA §2.2).
//
// Both authors, the table author (synth/tables) and the model author (synth/questions),
// meet in one form: an [Instance] is a question, its answer, and a DAG of sub-questions of
// which each is one tool call. What can be known of an instance without asking anybody,
// [Instance.Check] knows.
//
// Every synthesis is a [Run]: stages of work items with results that are kept as they come,
// so that a process that is killed goes on where it was, and the output is the same to the
// byte. A result is a verdict, pass, fail or unknown; what is unknown is quarantined and
// counted, never passed.
package synth
