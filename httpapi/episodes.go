package httpapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

const (
	idempotencyKey = "Idempotency-Key"
	maxPage        = 1000
)

// What query parameters may say.
var (
	splits   = []astra.Split{astra.SplitTrain, astra.SplitValidation, astra.SplitTest}
	modes    = []astra.Mode{astra.Practice, astra.Train, astra.Eval}
	statuses = []astra.Status{astra.StatusOpen, astra.StatusSubmitted, astra.StatusScored, astra.StatusExpired, astra.StatusAborted, astra.StatusInvalid}
)

func episodeID(c echo.Context) astra.EpisodeID { return astra.EpisodeID(path(c, "id")) }

func (a *api) open(c echo.Context) error {
	var body OpenBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	req, err := body.request()
	if err != nil {
		return err
	}
	opening, err := a.eps.Open(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return a.opened(c, opening)
}

func (a *api) opened(c echo.Context, opening *gateway.Opening) error {
	c.Response().Header().Set("Location", "/v1/episodes/"+string(opening.Episode))
	return a.write(c, http.StatusCreated, plainJSON, opening)
}

func (a *api) resolve(c echo.Context) error {
	var body ResolveBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	id, err := a.eps.Resolve(c.Request().Context(), body.Key)
	if err != nil {
		return err
	}
	return a.ok(c, EpisodeReply{id})
}

func (a *api) list(c echo.Context) error {
	q, err := query(c)
	if err != nil {
		return err
	}
	page, err := a.eps.List(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return a.ok(c, page)
}

func query(c echo.Context) (q astra.Query, err error) {
	q = astra.Query{Arena: c.QueryParam("arena"), Task: c.QueryParam("task"), Group: c.QueryParam("group"), Cursor: c.QueryParam("cursor")}
	if q.Mode, err = oneOf(c, "mode", modes...); err != nil {
		return q, err
	}
	if q.Status, err = oneOf(c, "status", statuses...); err != nil {
		return q, err
	}
	if limit := c.QueryParam("limit"); limit != "" {
		q.Limit, err = strconv.Atoi(limit)
		if err != nil || q.Limit < 1 || q.Limit > maxPage {
			return q, fmt.Errorf("%w: limit is a number from 1 to %d", errMalformed, maxPage)
		}
	}
	return q, nil
}

func (a *api) episode(c echo.Context) error {
	ep, err := a.eps.Episode(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	ep.KeyHash = "" // a hash of the key is still of use to nobody
	return a.ok(c, ep)
}

func (a *api) public(c echo.Context) error {
	task, err := a.eps.Public(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	return a.ok(c, task)
}

func (a *api) tools(c echo.Context) error {
	tools, err := a.eps.Tools(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	return a.ok(c, ToolsReply{tools})
}

func (a *api) call(c echo.Context) error {
	var body CallBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	key, err := callKey(c.Request().Header.Get(idempotencyKey), body.Key)
	if err != nil {
		return err
	}
	if len(body.Args) == 0 {
		body.Args = []byte("{}")
	}
	step, err := a.eps.Call(c.Request().Context(), episodeID(c), astra.Call{Tool: body.Tool, Args: body.Args, Key: key})
	if err != nil {
		return err
	}
	return a.ok(c, step)
}

// callKey is the one key that header and body give; how long it may be is the gateway's rule.
func callKey(header, body string) (string, error) {
	switch {
	case header != "" && body != "" && header != body:
		return "", fmt.Errorf("%w: header and body have different idempotency keys", errMalformed)
	case header != "":
		return header, nil
	}
	return body, nil
}

func (a *api) turn(c echo.Context) error {
	var body TurnBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	var next *gateway.NextTurn
	var err error
	if body.Message == "" {
		next, err = a.eps.Turn(c.Request().Context(), episodeID(c), body.Reply)
	} else {
		next, err = a.eps.Say(c.Request().Context(), episodeID(c), body.Reply, body.Message)
	}
	if err != nil {
		return err
	}
	return a.ok(c, next)
}

func (a *api) submit(c echo.Context) error {
	var body SubmitBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	score, err := a.eps.Submit(c.Request().Context(), episodeID(c), body.submitted())
	if err != nil {
		return err
	}
	return a.ok(c, ScoreReply{score})
}

func (a *api) fork(c echo.Context) error {
	var body ForkBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	req, err := body.request()
	if err != nil {
		return err
	}
	forks, err := a.eps.Fork(c.Request().Context(), episodeID(c), req)
	if err != nil {
		return err
	}
	return a.write(c, http.StatusCreated, plainJSON, ForkReply{forks})
}

func (a *api) rewind(c echo.Context) error {
	var body RewindBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	req, err := body.request()
	if err != nil {
		return err
	}
	opening, err := a.eps.Rewind(c.Request().Context(), episodeID(c), req)
	if err != nil {
		return err
	}
	return a.opened(c, opening)
}

func (a *api) state(c echo.Context) error {
	at, err := stepParam(c)
	if err != nil {
		return err
	}
	state, err := a.eps.StateAt(c.Request().Context(), episodeID(c), at)
	if err != nil {
		return err
	}
	return a.ok(c, state)
}

// stepParam reads at; absent is the last step.
func stepParam(c echo.Context) (*int, error) {
	at := c.QueryParam("at")
	if at == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(at)
	if err != nil {
		return nil, fmt.Errorf("%w: at is the number of a step", errMalformed)
	}
	return &n, nil
}

func (a *api) abort(c echo.Context) error {
	var body AbortBody
	if err := a.read(c, &body); err != nil {
		return err
	}
	if err := a.eps.Abort(c.Request().Context(), episodeID(c), body.Reason); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) replay(c echo.Context) error {
	replay, err := a.eps.Replay(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	return a.ok(c, replay)
}

func (a *api) rescore(c echo.Context) error {
	score, err := a.eps.Rescore(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	return a.ok(c, score)
}

func (a *api) score(c echo.Context) error {
	ep, err := a.eps.Episode(c.Request().Context(), episodeID(c))
	if err != nil {
		return err
	}
	switch {
	case ep.Score != nil:
		return a.ok(c, ep.Score)
	case ep.Status == astra.StatusInvalid && ep.Ended != nil:
		return fmt.Errorf("%w: %w", astra.ErrInvalid, &astra.ScoreError{Fault: ep.Ended.Fault, Err: fmt.Errorf("%s", ep.Ended.Reason)})
	}
	return fmt.Errorf("%w: it is %s", astra.ErrUnscored, ep.Status)
}

func (a *api) trajectory(c echo.Context) error {
	ctx, id := c.Request().Context(), episodeID(c)
	ep, err := a.eps.Episode(ctx, id)
	if err != nil {
		return err
	}
	tools, err := a.eps.Tools(ctx, id)
	if err != nil {
		return err
	}
	t, err := astra.NewTrajectory(ep, tools)
	if err != nil {
		return err
	}
	return a.ok(c, t)
}
