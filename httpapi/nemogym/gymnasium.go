package nemogym

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// NeMo Gym's Gymnasium flavour (resources_servers/gymnasium/base.py): a step hands in one
// response of the model. Its calls are made; a response without calls is the reply that
// closes the turn, and the next message is the observation. The reply to the last message
// ends the episode, and its score is that step's reward.

// observed answers reset.
type observed struct {
	Observation *string        `json:"observation"`
	Info        map[string]any `json:"info"`
}

// stepped answers step.
type stepped struct {
	Observation *string        `json:"observation"`
	Reward      float64        `json:"reward"`
	Terminated  bool           `json:"terminated"`
	Truncated   bool           `json:"truncated"`
	Info        map[string]any `json:"info"`
}

// A toolOutput is what a call came to.
type toolOutput struct {
	CallID string `json:"call_id"`
	Output string `json:"output"`
}

// reset opens a session and tells the first message, unless the row has it already.
func (s *Server) reset(w http.ResponseWriter, r *http.Request) (reply, error) {
	var body row
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	p, err := body.place()
	if err != nil {
		return nil, err
	}
	o, err := s.open(w, r, s.games, s.games.NewID(), p, anyMessages)
	if err != nil {
		return nil, err
	}
	out := observed{Info: map[string]any{"supports_explicit_close": true, "supports_step_idempotency": true, "episode": o.Episode, "arena": o.Arena}}
	if !body.says(o.Message) {
		out.Observation = &o.Message
	}
	return out, nil
}

func anyMessages(gateway.Entry) error { return nil }

// says reports whether a row's input has a user's message with that text.
func (w row) says(message string) bool {
	var params struct {
		Input json.RawMessage `json:"input"`
	}
	if json.Unmarshal(w["responses_create_params"], &params) != nil {
		return false
	}
	var text string
	if json.Unmarshal(params.Input, &text) == nil {
		return text == message
	}
	var items []item
	if json.Unmarshal(params.Input, &items) != nil {
		return false
	}
	for n := range items {
		if items[n].message("user") && string(items[n].Content) == message {
			return true
		}
	}
	return false
}

// A round is the turn that a session closed last: a repeat of that step is answered alike.
type round struct {
	stepping sync.Mutex // held while a step is made: they come one after the other
	request  string     // _ng_step_request_id
	last     reply
}

// maxRequest bounds a step's name: keys of calls are made of it, and these have 256 bytes.
const maxRequest = 128

func (s *Server) step(w http.ResponseWriter, r *http.Request) (reply, error) {
	var body row
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	said, err := readResponse(body["response"])
	if err != nil {
		return nil, err
	}
	request, err := text(body, "_ng_step_request_id")
	if err != nil {
		return nil, err
	}
	if request != nil && (*request == "" || len(*request) > maxRequest) {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "a _ng_step_request_id has 1 to %d bytes", maxRequest)
	}
	id := sessionOf(r)
	ep, done, err := s.games.use(r.Context(), id)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.stepOnce(detached(r), id, ep, request, said)
}

func (s *Server) stepOnce(ctx context.Context, id string, ep astra.EpisodeID, request *string, said *response) (reply, error) {
	v := s.games.visits.of(id)
	v.stepping.Lock()
	defer v.stepping.Unlock()
	if request != nil && v.last != nil && v.request == *request {
		return v.last, nil
	}
	out, err := s.play(ctx, v, ep, request, said)
	if err != nil {
		return nil, err
	}
	if out.Terminated {
		s.games.Forget(id)
	}
	if request != nil && len(said.calls()) == 0 { // calls are found in the log, and may have told much
		v.request, v.last = *request, out
	}
	return out, nil
}

// play makes a response's calls, or closes the turn with its text.
func (s *Server) play(ctx context.Context, v *visit, ep astra.EpisodeID, request *string, said *response) (*stepped, error) {
	if calls := said.calls(); len(calls) > 0 {
		v.begin()
		return s.callAll(ctx, ep, request, calls)
	}
	reply := ""
	if a := said.answer(); a != nil {
		reply = *a
	}
	if v.isNew() && request != nil {
		if next, err := s.handedOut(ctx, ep, reply); next != nil || err != nil {
			v.begin()
			return next, err
		}
	}
	v.begin()
	next, err := s.house.Turn(ctx, ep, reply)
	switch {
	case err == nil && !next.Done:
		return &stepped{Observation: &next.Message, Info: map[string]any{}}, nil
	case err == nil, errors.Is(err, astra.ErrRefused), errors.Is(err, astra.ErrEnded), errors.Is(err, astra.ErrInvalid):
		return s.finish(ctx, ep, reply)
	}
	return nil, err
}

// handedOut is the message that was handed out for a reply before this process began, if
// nothing came after it: a step whose answer was lost comes again.
func (s *Server) handedOut(ctx context.Context, ep astra.EpisodeID, reply string) (*stepped, error) {
	rec, err := s.house.Episode(ctx, ep)
	if err != nil {
		return nil, err
	}
	n := len(rec.Turns)
	if n < 2 || rec.Over() || rec.Turns[n-1].Reply != nil || *rec.Turns[n-2].Reply != reply {
		return nil, nil
	}
	if steps := len(rec.Steps); steps > 0 && rec.Steps[steps-1].Turn == n {
		return nil, nil
	}
	return &stepped{Observation: &rec.Turns[n-1].Prompt, Info: map[string]any{}}, nil
}

// callAll makes the calls of a response, in order. Where the harness numbers its steps, their
// keys are made of that, so that a repeat after a restart finds them in the log.
func (s *Server) callAll(ctx context.Context, ep astra.EpisodeID, request *string, calls []item) (*stepped, error) {
	outputs := []toolOutput{}
	for n := range calls {
		key := ""
		if request != nil {
			key = fmt.Sprintf("ng-step/%s/%d", *request, n)
		}
		text, err := s.callOne(ctx, ep, key, &calls[n])
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, toolOutput{calls[n].CallID, text})
	}
	return &stepped{Info: map[string]any{"tool_outputs": outputs}}, nil
}

func (s *Server) callOne(ctx context.Context, ep astra.EpisodeID, key string, i *item) (string, error) {
	if !i.sent() {
		return failed(0, "the arguments of the call are no JSON").text, nil
	}
	name, err := s.toolName(ctx, ep, i.Name)
	if err != nil {
		return "", err
	}
	step, err := s.house.Call(ctx, ep, astra.Call{Tool: name, Args: json.RawMessage(i.Arguments), Key: key})
	if errors.Is(err, astra.ErrBudget) {
		return s.trouble(ctx, err).text, nil
	}
	if err != nil {
		return "", err
	}
	return s.told(ctx, ep, step).text, nil
}

// finish scores the episode. A step has no mask, so what cannot be judged is an error, and
// the harness drops the rollout.
func (s *Server) finish(ctx context.Context, ep astra.EpisodeID, answer string) (*stepped, error) {
	v, err := s.settle(ctx, ep, &answer)
	if err != nil {
		return nil, err
	}
	if v.lost != nil {
		return nil, v.lost
	}
	return &stepped{Reward: v.Reward, Terminated: true, Info: map[string]any{"reward_components": v.components(), "recall": v.Recall, "precision": v.Precision, "astra": v.origin()}}, nil
}

// closeGame ends a session that came to no end.
func (s *Server) closeGame(_ http.ResponseWriter, r *http.Request) (reply, error) {
	id := sessionOf(r)
	if id == "" {
		return nil, harness.Refuse(http.StatusUnprocessableEntity, "the request has no session's cookie")
	}
	if err := s.games.end(detached(r), id); err != nil {
		return nil, err
	}
	return map[string]bool{"closed": true}, nil
}
