// Package llm asks chat models, and lets one stand in for documented tools.
//
// # Models
//
// A [Model] completes chats: [OpenAI] by the protocol that most servers speak,
// [Anthropic] by the Messages API, [Cache] from what another model said before. A request
// may carry a JSON Schema, which the server is asked to hold its model to; whether it did
// is for the caller to check. Keys are in no error, answers are bounded, redirects are not
// followed, and nothing is read from the environment but the proxies that Go's transport
// goes through.
//
// A completion is made of attempts, which a [Limiter] lets go at the rate that the server
// allows, and a [Meter] counts by purpose. What may pass (a connection that breaks, a
// stream that stands still, 408, 409, 429, 5xx) is tried again after a pause with jitter,
// or the one that the server asks for, until the attempts or the patience are used up. A
// cache asks once what is asked twice, and keeps it in files or in a store; without a
// model it replays.
//
// # Emulated tools
//
// [Emulated] implements gateway.Runtime for arenas whose tools have a description and no
// code. A call is looked for in the bundle's cassette first, by its [astra.CassetteKey].
// One that is not there goes to the model, if the operator has named one: a bundle names
// no model, and causes no connection. Without a model it is a failed step that leaves the
// world, and with it the keys of later calls, as they were.
//
// The model is shown one document: the arena's title and description, the tool with its
// schemas, the arguments, the world's clock, seed and scenario, and its memory. It is shown
// nothing else: a runtime is not told what the user asked, nor what is expected.
//
// It answers with a result or an error, and with a patch to the memory:
//
//	{"result": {"id": "W3", "stock": 4}, "memory": {"W3": {"stock": 4}}}
//	{"error": "there is no warehouse W9", "memory": {}}
//
// The result is held to the output schema. An answer that cannot be read, or does not fit,
// is sent back once with what is wrong with it; a second such answer is nobody's value but
// an error, which ends the episode invalid.
//
// # Memory
//
// The memory is a JSON object of entities by id, each an object. It begins as the
// scenario's `entities`, if there are any, and changes only by the patches, which are JSON
// merge patches (RFC 7396); that of a tool that only reads may add to it and change nothing.
// It is at most 64 KiB and part of every prompt, so that nothing the model said can be
// contradicted unseen. state() of an emulated arena is {"entities": memory}.
//
// A step keeps its patch as the line of its log, which agents are not shown, with the name
// of the model that answered:
//
//	{"memory":{"W3":{"stock":4}},"model":"some-model"}
//
// So a world is rebuilt by reading what was answered, from an episode's log or from a
// cassette, and the model is not asked again.
package llm
