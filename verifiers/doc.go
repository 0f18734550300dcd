// Package verifiers turns episodes into scores. It implements the judge that the gateway
// asks for, with verifiers written in CEL.
//
// # Scope
//
// A verifier sees these variables, and nothing else: no clock, no network, no randomness.
//
//	steps   list of {index, turn int; tool string; args dyn; ok bool; value dyn; error string; injected bool}
//	step    one of them: the step being judged; only in a sub-task's `solved`
//	answer  string: what was submitted, "" if nothing
//	state   dyn: what state() said at the end
//	turns   list of {index int; prompt, reply string}; reply is "" while the turn is open
//	gold    {steps, state}: the gold calls, played in a world of their own
//	task    {id, title, split string; difficulty double; budget int; scenario dyn; prompts list(string)}
//	seed    int: the world's
//
// A field that these types do not have is refused when the arena is loaded. JSON (value,
// args, state, scenario) is dynamic; but step.value in the `solved` of a sub-task with a
// tool may only name properties of that tool's output schema, where that is closed. A JSON number that is whole and fits 64 bits is an int,
// however it is written (200, 200.0, 2e2), any other a double; comparisons do not
// care, arithmetic does: write number(x) * 0.5 where x may be either. The keys of a
// JSON object are iterated in the order of their bytes.
//
// # Functions
//
// CEL's own, its extensions (strings, math, lists, sets, encoders, bindings, two-variable
// comprehensions, regex, optional types), and:
//
//	normalize(string) string        text as comparisons see it: NFKC, case folded, trimmed, white space collapsed
//	number(dyn) double              a number, or text that is one number as a whole
//	approx(got, want[, tol]) bool   numbers no further apart than tol; default 1e-6·max(1,|want|)
//	json(string) dyn                text that is one JSON value
//	date(string) timestamp          2026-03-02, 2026-03-02 09:00[:05] or RFC 3339; UTC where no zone is given
//	similar(string, string) double  1 − edit distance / length of the longer, after normalize; at most MaxSimilar characters each
//	set_f1(got, want) double        F1 of two lists taken as sets, equality as in astra.Same; at most MaxSet elements each
//
// # Failures
//
// A verifier is a conjunction of clauses, split at its outermost &&. It fails in two ways.
//
// The author's: some part that reads nothing an agent can bring about (only gold, task,
// seed and constants), and that is evaluated whenever its clause is, fails. Those
// parts are tried alone, before anything else, so whether an episode is invalid for this
// reason does not depend on the agent. A clause without agent data that is false comes
// before: `has(gold.state.x) && gold.state.x == answer` is false, not broken, without x.
//
// The agent's: everything else. A missing key, a wrong type, a bad index, a division by
// zero, text that does not convert, more work than RunCost allows: the clause fails and the whole
// verifier is false. As everywhere in CEL, || and && do not care about a failing
// side if the other decides, and nor do exists and all about a failing element.
//
// # Cost
//
// The unit is CEL's: one step of evaluation or ten characters of text. The estimate at load takes every input at its
// limit (MaxAnswer, MaxState, the task's budget of calls, the arena's limit on results)
// and refuses what could pass MaxCost. RunCost bounds the real work of a verifier in a score, and with it memory.
package verifiers
