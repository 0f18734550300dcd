package nemogym

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// reverifyMode says whether rollouts can be judged without their session. They can where an
// episode is a pure function: its calls played again give what they gave.
func (s *Server) reverifyMode(_ http.ResponseWriter, r *http.Request) (reply, error) {
	ref := r.PathValue("arena")
	if ref == "" {
		return "stateless", nil
	}
	a, err := s.house.PublicArena(r.Context(), ref)
	if err != nil {
		return nil, err
	}
	if !pure(a.Runtime) {
		return "unsupported", nil
	}
	return "stateless", nil
}

// pure reports whether playing a call again asks nobody.
func pure(k astra.RuntimeKind) bool {
	return k != astra.Upstream && k != astra.Emulated
}

// reverify plays a finished rollout again in an episode of its own, and judges that. It is
// opened as eval whatever the task's split: a second look at a rollout is no second sample.
func (s *Server) reverify(ctx context.Context, ref string, data row, played *response) (verdict, error) {
	p, err := data.place()
	if err != nil {
		return verdict{}, err
	}
	if p, err = p.at(ref); err != nil {
		return verdict{}, err
	}
	if _, err := s.entry(ctx, p); err != nil {
		return verdict{}, err
	}
	a, err := s.house.PublicArena(ctx, p.ref())
	if err != nil {
		return verdict{}, err
	}
	if !pure(a.Runtime) {
		return verdict{lost: &loss{sessionLost, "there is no session, and the tools of arena " + a.Name + " answer from outside: its rollouts cannot be played again"}}, nil
	}
	o, err := s.house.Open(ctx, gateway.OpenRequest{Arena: p.ref(), Task: p.Task, Mode: astra.Eval, Principal: "nemo-gym reverify"})
	if err != nil {
		return verdict{}, err
	}
	if err := s.replay(ctx, o.Episode, played); err != nil {
		return verdict{}, errors.Join(err, s.house.Abort(ctx, o.Episode, "the rollout could not be played again"))
	}
	return s.settle(ctx, o.Episode, played.answer())
}

// replay plays a rollout's outputs: calls that came to something, as agents make none of a
// response that was cut off, and users' messages, each of which closes the turn with what the
// model had said. An episode that ends by it is left to be judged.
func (s *Server) replay(ctx context.Context, ep astra.EpisodeID, played *response) error {
	said, made := "", played.made()
	for n := range played.Output {
		var err error
		switch i := &played.Output[n]; {
		case i.Type == "function_call" && made[i.CallID]:
			err = s.again(ctx, ep, i)
		case i.message("assistant"):
			said = harness.Clip(string(i.Content))
		case i.message("user"):
			_, err = s.house.Turn(ctx, ep, said)
		}
		if errors.Is(err, astra.ErrInvalid) || errors.Is(err, astra.ErrEnded) {
			return nil
		}
		if err != nil && !errors.Is(err, astra.ErrBudget) {
			return err
		}
	}
	return nil
}

// again makes a call of a rollout.
func (s *Server) again(ctx context.Context, ep astra.EpisodeID, i *item) error {
	if !i.sent() {
		return nil // there was no step
	}
	name, err := s.toolName(ctx, ep, i.Name)
	if err != nil {
		return err
	}
	_, err = s.house.Call(ctx, ep, astra.Call{Tool: name, Args: json.RawMessage(i.Arguments)})
	return err
}
