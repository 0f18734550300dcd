// Package rows reads and writes the files that others keep tasks in.
//
// In come decomposition_trace rows ([ReadTraces]), rows with environments, merged or not
// ([ReadEnvironments]), and ASTRA-RL rows ([ReadRL]): ASTRA §8 has them as its code writes
// them, which is not always as its documents say. Out go decomposition_trace rows
// ([WriteTrace]), ASTRA-RL rows ([RLRows]) and NeMo Gym task rows ([GymRows]).
//
// Readers go row by row and hold one row at a time, at most [MaxRowBytes]. A row that cannot
// be used is an error of its own, a [*RowError] with its place, and does not end the file.
// What decides something is held to its form; of what decides nothing, loose forms are taken.
//
// # Python tools
//
// The code of such a row is run as it is, by the runtime python. Each tool's source is a
// module of its own, data/tool_NAME.py: what two tools call by the same name stays apart, as
// it does in the paper's sandbox, which runs one at a time.
//
// An ASTRA-RL row has no reference solution, only the answers that its tools should print.
// So its tools return what the paper's sandbox would have printed, as text, and a sub-task is
// solved by a call of its tool whose text contains the answer: the paper's rule. There are no
// gold calls, and a certificate says unknown of all that would need them. What the rule lets
// through is the certifier's to say.
package rows
