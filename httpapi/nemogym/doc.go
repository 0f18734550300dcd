// Package nemogym is a resources server of NeMo Gym (nemo_gym/base_resources_server.py, 0.7.0
// and 0.4.0): its agents, and the trainers that read its rows, play arenas by setting a URL.
//
// A row names its task in verifier_metadata, as `astra export nemo-gym` writes it, or by
// task_id. NeMo Gym builds a server's URL of host and port alone, so paths may leave the arena
// out and the row says which; where a URL can have a path, /{arena} comes first, a name or
// name@digest, and rows of others are refused.
//
//	POST /seed_session      opens an episode: of a row, or under an id that the harness chose
//	POST /{tool}            a call; what the model is to read is the body, whatever the status
//	POST /verify            closes the last turn, submits the last message, tells the reward
//	POST /close_session     aborts what was not verified
//	POST /reset, /step, /close   the same for its Gymnasium agent: tasks with several messages
//	POST /aggregate_metrics      what the base class makes of verify's answers
//	GET  /reverify_mode          a rollout without a session is played again from its response
//	     /mcp                    the agents' door, by the token that seed_session tells
//
// The session is a cookie, which is set on every response, as agents take the cookies of the
// last one for all there are. The agents' token is another thing, and cannot verify.
//
// What cannot be judged is masked: mask_sample, with NeMo Gym's own word for why. The reward
// beside it is 0.0, since the protocol has no answer without one; to clients that do not know
// the mask, the answer is an error.
package nemogym
