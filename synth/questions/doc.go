// Package questions is the model author: it has a chat model write questions with their
// decompositions, and builds for each an arena in which it can be worked out (ASTRA §2.2).
//
// An [Author] goes through the paper's five steps, each of which is a stage of a
// [synth.Run]:
//
//	instances     a question, its answer and its sub-questions, from a [Source]
//	necessity     which sub-questions need a tool; the others must be leaves
//	verification  four judgements, and QS = ¼(DC+SA+SR+TC) (§3.4)
//	quality       QS against a threshold, absolute or a percentile of the run
//	environments  a tool for each sub-question: document, call, code, sandbox, again
//	merging       sub-questions of one intent share a tool
//	arenas        the bundle, played and handed to a certifier
//
// What a program can know is never asked of a model: the shape of the DAG, that a document
// tells no answer, that a tool answers other arguments otherwise, that the whole plays.
// A model's word counts only where meaning is judged, and only if it can be read: a reply
// that cannot is sent back once with what is wrong, and a second one makes its item
// unknown, which is no pass.
//
// # Prompts
//
// The instructions of a step are the system message, in the language of the instance; what
// it is about is one JSON document, the user message. Nothing that a stranger wrote is ever
// part of the instructions. Replies have a JSON Schema.
//
// # Tools
//
// A tool is a document, code and data, and these are apart: code is a function
// run(args, data), data is a JSON file that the bundle has under data/. So a merge can be
// held to changing the data alone, and an answer that stands in the code is seen. A tool is
// taken if it answers its question by a typed value at a place that its document names,
// answers others otherwise, and none without its arguments.
package questions
