package nemogym

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/httpapi/harness"
)

// A verdict is what verify says of a rollout.
type verdict struct {
	*astra.Score        // nil: there is none
	lost         *loss  // why there is none
	arena        string // name@digest
	episode      astra.EpisodeID
}

// verify closes the last turn with the last message, submits it as the answer, and echoes the
// row with the reward. It may be repeated.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) (reply, error) {
	var body row
	if err := readBody(r, maxBody, &body); err != nil {
		return nil, err
	}
	data, err := verified(body)
	if err != nil {
		return nil, err
	}
	played, err := readResponse(data["response"])
	if err != nil {
		return nil, err
	}
	v, err := s.judge(r, data, played)
	if err != nil {
		return nil, err
	}
	if v.lost != nil && !(knowsMask(r) && body.takesMask() && data.takesMask()) {
		return nil, v.lost
	}
	return v.echo(body, data), nil
}

// verified is the row of a body: the body, or in the later generation what is in its
// verification_input, and the body's task_id.
func verified(body row) (row, error) {
	input := row{}
	if err := member(body, "verification_input", &input); err != nil || len(input) == 0 {
		return body, err
	}
	return input.named(body["task_id"]), nil
}

// knowsMask reports whether a client reads mask_sample. verifiers does not, and is the one
// that asks with httpx, which NeMo Gym bans: it would take the 0 beside the mask for a reward.
func knowsMask(r *http.Request) bool {
	return !strings.HasPrefix(r.UserAgent(), "python-httpx/")
}

// judge scores the session's episode, or, without a session, the rollout played again.
func (s *Server) judge(r *http.Request, data row, played *response) (verdict, error) {
	id := sessionOf(r)
	if id == "" {
		return s.reverify(detached(r), r.PathValue("arena"), data, played)
	}
	ep, done, err := s.sessions.use(r.Context(), id)
	if lost, ok := errors.AsType[*loss](err); ok {
		return verdict{lost: lost}, nil
	}
	if err != nil {
		return verdict{}, err
	}
	defer done()
	if err := s.mustBeOf(r.Context(), ep, data); err != nil {
		return verdict{}, err
	}
	v, err := s.settle(detached(r), ep, played.answer())
	if err == nil {
		s.sessions.Forget(id)
	}
	return v, err
}

// mustBeOf refuses a row that is not the session's. A harness may have mixed up its cookies; or
// it is no harness: simple agents send a call of any name here, and the model that calls verify
// must not read a reward. It cannot name its task, and is not told.
func (s *Server) mustBeOf(ctx context.Context, ep astra.EpisodeID, data row) error {
	p, err := data.place()
	if err != nil {
		return err
	}
	rec, err := s.house.Episode(ctx, ep)
	if err != nil {
		return err
	}
	if p.Task != rec.Task || p.Arena != "" && p.Arena != rec.Arena {
		return harness.Refuse(http.StatusConflict, "the row is of task %.80q, and this session plays another", p.Task)
	}
	return nil
}

// settle closes the last turn and submits. An episode that cannot be judged is no error.
func (s *Server) settle(ctx context.Context, ep astra.EpisodeID, answer *string) (verdict, error) {
	if answer != nil {
		if err := s.closeTurn(ctx, ep, *answer); err != nil {
			return verdict{}, err
		}
	}
	score, err := s.house.Submit(ctx, ep, astra.Submitted{Answer: answer})
	rec, recErr := s.house.Episode(ctx, ep)
	if recErr != nil {
		return verdict{}, errors.Join(err, recErr)
	}
	v := verdict{Score: score, episode: ep, arena: rec.Arena + "@" + string(rec.Digest)}
	if err == nil {
		return v, nil
	}
	if v.lost = lossOf(rec); v.lost != nil {
		return v, nil
	}
	if errors.Is(err, astra.ErrEnded) {
		return v, harness.Refuse(http.StatusConflict, "this session was verified already, with another answer")
	}
	return v, err
}

// closeTurn closes the turn as the built-in agents do before they submit. One that is closed,
// or an episode that is over, is what a repeat finds.
func (s *Server) closeTurn(ctx context.Context, ep astra.EpisodeID, reply string) error {
	_, err := s.house.Turn(ctx, ep, reply)
	if errors.Is(err, astra.ErrRefused) || errors.Is(err, astra.ErrEnded) || errors.Is(err, astra.ErrInvalid) {
		return nil // submitting says what is the matter
	}
	return err
}

// echo is the body with what verify found. What is not ours stays as it came; recall and
// precision, which become metrics, stand where harnesses look for these.
func (v verdict) echo(body, data row) map[string]any {
	out := make(map[string]any, len(body)+12)
	for k, raw := range body {
		out[k] = raw
	}
	for _, k := range []string{"responses_create_params", "response"} {
		if raw, there := data[k]; there {
			out[k] = raw
		}
	}
	maps.Copy(out, v.members())
	if config := masked(body["instance_config"], v.lost != nil); len(config) > 0 {
		out["instance_config"] = config
	}
	return out
}

// masked has the mask where NeMo RL looks for it, beside what was there: one of before does not
// stay, as a rollout that was lost may be judged again.
func masked(raw json.RawMessage, lost bool) row {
	var config row
	if json.Unmarshal(raw, &config) != nil || config == nil {
		config = row{}
	}
	if _, said := config["mask_sample"]; said || lost {
		config["mask_sample"] = json.RawMessage(strconv.FormatBool(lost))
	}
	return config
}

func (v verdict) members() map[string]any {
	if v.lost != nil {
		return map[string]any{"reward": 0.0, "reward_components": map[string]float64{}, "mask_sample": true,
			"failure_kind": v.lost.kind, "failure_reason": v.lost.reason, "astra": v.origin()}
	}
	return map[string]any{"reward": v.Reward, "reward_components": v.components(), "recall": v.Recall, "precision": v.Precision,
		"mask_sample": false, "failure_kind": nil, "failure_reason": nil, "astra": v.origin()}
}

// components are what the parts contribute to the reward. NeMo RL ends a step where they do not
// sum to it, and takes each for an objective of its own, so what is not averaged is none.
func (v verdict) components() map[string]float64 {
	total := 0.0
	for _, p := range v.Parts {
		if !p.Gate {
			total += p.Weight
		}
	}
	parts := make(map[string]float64, len(v.Parts))
	for _, p := range v.Parts {
		switch {
		case p.Gate || p.Weight == 0:
		case v.Reward == 0: // by a gate, or by each part
			parts[p.Name] = 0
		default:
			parts[p.Name] = p.Weight * p.Value / total
		}
	}
	return parts
}

// origin says which record a row of results came from.
func (v verdict) origin() json.RawMessage {
	if v.episode == "" {
		return json.RawMessage("null")
	}
	b, err := json.Marshal(map[string]string{"episode": string(v.episode), "arena": v.arena})
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}
