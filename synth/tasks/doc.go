// Package tasks writes what users ask of tools: the paper's first half up to the tasks
// (ASTRA §2.1.1–2.1.3), with its verdicts used.
//
//	servers → proposals → graph → walks → arguments → coherence → back-translation → questions
//	        → versions → intent → distinct → quality → thresholds → tasks
//
// A model proposes chains of one server's tools, and what it proposes and what types allow
// makes a graph. Walks over the graph are candidates: a chain is kept if each of its
// required arguments has a source, if most of several judges find a purpose in it, and if
// the request they thought of leads back to the same tools. Requests are written for
// chains, and for a server without one (T_chain ∪ T_server). Of each there are versions:
// more diverse, harder, in a persona's words, and dialogues in which the user follows up,
// leaves something out, changes their mind, or wants what is to be declined. Names of tools
// are in no request, the language is held to, the intent of a version is judged, and what is
// nearly the same as before is dropped. Three grades decide in the end (§2.1.3).
//
// The paper publishes no number of chains, votes or tasks, and no threshold: all are
// options here.
package tasks
