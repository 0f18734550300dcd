// Package client speaks to the control side of an astra that runs elsewhere. A Client has
// the gateway's methods, and its errors are the gateway's: errors.Is finds the same
// sentinels, errors.As the same *astra.StepError, *astra.ScoreError and *astra.Disagreement.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/httpapi"
	"github.com/astra-arenas/astra/trainer/groups"
)

// maxReply bounds an answer that is read into memory: a record with its longest log.
const maxReply = 256 << 20

// A Client is one control side. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New returns a client for the control side at baseURL (scheme, host and port). A nil
// hc means one that keeps 128 connections open.
func New(baseURL, token string, hc *http.Client) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("control address %q: want http://host:port", baseURL)
	}
	if token == "" {
		return nil, errors.New("the control side needs a token")
	}
	if hc == nil {
		hc = &http.Client{Transport: &http.Transport{MaxIdleConns: 128, MaxIdleConnsPerHost: 128, IdleConnTimeout: time.Minute},
			// A redirect would carry the token to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{base: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), token: token, http: hc}, nil
}

// String names the client without its token.
func (c *Client) String() string { return "astra control at " + c.base }

// Capacity tells how many more episodes can be open.
func (c *Client) Capacity(ctx context.Context) (gateway.Capacity, error) {
	return get[gateway.Capacity](ctx, c, "/v1/capacity")
}

// AddArena sends a bundle and returns what may be shown of the arena.
func (c *Client) AddArena(ctx context.Context, b *astra.Bundle) (astra.PublicArena, error) {
	var packed bytes.Buffer
	if err := b.Pack(&packed); err != nil {
		return astra.PublicArena{}, err
	}
	return fetch[astra.PublicArena](ctx, c, http.MethodPost, "/v1/arenas", "application/vnd.astra.arena", &packed)
}

// PublicArenas lists the newest version of each arena, by name.
func (c *Client) PublicArenas(ctx context.Context) ([]astra.PublicArena, error) {
	r, err := get[httpapi.ArenasReply](ctx, c, "/v1/arenas")
	return r.Arenas, err
}

// PublicArena describes an arena named name or name@digest.
func (c *Client) PublicArena(ctx context.Context, ref string) (astra.PublicArena, error) {
	return get[astra.PublicArena](ctx, c, "/v1/arenas/"+url.PathEscape(ref))
}

// Certificate is what the server's store was found to know of an arena; astra.ErrNotFound if
// it was not certified.
func (c *Client) Certificate(ctx context.Context, ref string) (*astra.Certificate, error) {
	return get[*astra.Certificate](ctx, c, "/v1/arenas/"+url.PathEscape(ref)+"/certificate")
}

// Tasks lists the public views of an arena's tasks; split "" is all.
func (c *Client) Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error) {
	r, err := get[httpapi.TasksReply](ctx, c, "/v1/arenas/"+url.PathEscape(ref)+"/tasks"+search("split", string(split)))
	return r.Tasks, err
}

// Open starts an episode.
func (c *Client) Open(ctx context.Context, req gateway.OpenRequest) (*gateway.Opening, error) {
	body := httpapi.OpenBody{OpenRequest: req, Principal: req.Principal, TTL: seconds(req.TTL)}
	return post[*gateway.Opening](ctx, c, "/v1/episodes", body)
}

// seconds rounds up: an episode must not expire before it was asked to.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// Resolve finds the episode of a key.
func (c *Client) Resolve(ctx context.Context, key astra.Key) (astra.EpisodeID, error) {
	r, err := post[httpapi.EpisodeReply](ctx, c, "/v1/keys/resolve", httpapi.ResolveBody{Key: key})
	return r.Episode, err
}

// Tools returns the tools in view.
func (c *Client) Tools(ctx context.Context, id astra.EpisodeID) ([]astra.PublicTool, error) {
	r, err := get[httpapi.ToolsReply](ctx, c, episode(id, "/tools"))
	return r.Tools, err
}

// Call runs one tool.
func (c *Client) Call(ctx context.Context, id astra.EpisodeID, call astra.Call) (astra.Step, error) {
	// The key goes into the body: as a header it could not be any text.
	return post[astra.Step](ctx, c, episode(id, "/calls"), httpapi.CallBody{Tool: call.Tool, Args: sendable(call.Args), Key: call.Key})
}

// sendable makes a string of arguments that are no JSON, so that they arrive and become
// the failed step that they are.
func sendable(args json.RawMessage) json.RawMessage {
	if len(args) == 0 || json.Valid(args) {
		return args
	}
	text, err := json.Marshal(string(args))
	if err != nil {
		return nil // cannot be: it is a string
	}
	return text
}

// Turn closes the turn being played and hands out the next message.
func (c *Client) Turn(ctx context.Context, id astra.EpisodeID, reply string) (*gateway.NextTurn, error) {
	return post[*gateway.NextTurn](ctx, c, episode(id, "/turns"), httpapi.TurnBody{Reply: reply})
}

// Submit ends the agent's part and scores the episode; free play has no score: nil, nil.
func (c *Client) Submit(ctx context.Context, id astra.EpisodeID, s astra.Submitted) (*astra.Score, error) {
	body := httpapi.SubmitBody{Messages: s.Messages}
	if s.Answer != nil {
		var err error
		if body.Answer, err = json.Marshal(*s.Answer); err != nil {
			return nil, err
		}
	}
	r, err := post[httpapi.ScoreReply](ctx, c, episode(id, "/submit"), body)
	return r.Score, err
}

// Fork makes episodes that share the history up to a step.
func (c *Client) Fork(ctx context.Context, id astra.EpisodeID, req gateway.ForkRequest) ([]*gateway.Opening, error) {
	body := httpapi.ForkBody{ForkRequest: req, Principal: req.Principal, TTL: seconds(req.TTL)}
	r, err := post[httpapi.ForkReply](ctx, c, episode(id, "/fork"), body)
	return r.Episodes, err
}

// Rewind takes an episode up again after a step, as a fork.
func (c *Client) Rewind(ctx context.Context, id astra.EpisodeID, req gateway.RewindRequest) (*gateway.Opening, error) {
	body := httpapi.RewindBody{Step: &req.Step, Principal: req.Principal, TTL: seconds(req.TTL)}
	return post[*gateway.Opening](ctx, c, episode(id, "/rewind"), body)
}

// StateAt is the state of the world after a step; a nil at is after the last.
func (c *Client) StateAt(ctx context.Context, id astra.EpisodeID, at *int) (*gateway.State, error) {
	step := ""
	if at != nil {
		step = strconv.Itoa(*at)
	}
	return get[*gateway.State](ctx, c, episode(id, "/state"+search("at", step)))
}

// Abort ends an episode without a score.
func (c *Client) Abort(ctx context.Context, id astra.EpisodeID, reason string) error {
	_, err := post[struct{}](ctx, c, episode(id, "/abort"), httpapi.AbortBody{Reason: reason})
	return err
}

// Episode returns the record of an episode.
func (c *Client) Episode(ctx context.Context, id astra.EpisodeID) (*astra.Episode, error) {
	return get[*astra.Episode](ctx, c, episode(id, ""))
}

// Public returns the public view of an episode's task, with the turns handed out so far.
func (c *Client) Public(ctx context.Context, id astra.EpisodeID) (astra.PublicTask, error) {
	return get[astra.PublicTask](ctx, c, episode(id, "/task"))
}

// Trajectory returns the episode as chat messages and tools.
func (c *Client) Trajectory(ctx context.Context, id astra.EpisodeID) (*astra.Trajectory, error) {
	return get[*astra.Trajectory](ctx, c, episode(id, "/trajectory"))
}

// List returns a page of episodes, newest first.
func (c *Client) List(ctx context.Context, q astra.Query) (astra.Page, error) {
	limit := ""
	if q.Limit != 0 {
		limit = strconv.Itoa(q.Limit)
	}
	return get[astra.Page](ctx, c, "/v1/episodes"+search("arena", q.Arena, "task", q.Task, "group", q.Group,
		"mode", string(q.Mode), "status", string(q.Status), "cursor", q.Cursor, "limit", limit))
}

// Replay plays an episode's log again and compares every result.
func (c *Client) Replay(ctx context.Context, id astra.EpisodeID) (*gateway.Replay, error) {
	return post[*gateway.Replay](ctx, c, episode(id, "/replay"), nil)
}

// Rescore judges a scored episode again.
func (c *Client) Rescore(ctx context.Context, id astra.EpisodeID) (*astra.Score, error) {
	return post[*astra.Score](ctx, c, episode(id, "/rescore"), nil)
}

// Stats returns the gateway's counters.
func (c *Client) Stats(ctx context.Context) (gateway.Stats, error) {
	return get[gateway.Stats](ctx, c, "/v1/stats")
}

// Health reports whether the process answers.
func (c *Client) Health(ctx context.Context) error {
	_, err := get[struct{}](ctx, c, "/healthz")
	return err
}

// ExportSFT copies the chat rows of the episodes that q and the least reward select to w.
// An export that broke off is an error, and what was written of it is no whole file.
func (c *Client) ExportSFT(ctx context.Context, w io.Writer, q astra.Query, minReward float64) error {
	return c.export(ctx, w, "/v1/export/sft"+search("arena", q.Arena, "task", q.Task, "group", q.Group,
		"min_reward", strconv.FormatFloat(minReward, 'g', -1, 64)))
}

// ExportRL copies the samples of the groups that q selects to w, with advantages above b; see
// samples.ReadExport. An export that broke off is an error.
func (c *Client) ExportRL(ctx context.Context, w io.Writer, q astra.Query, b groups.Baseline) error {
	return c.export(ctx, w, "/v1/export/rl"+search("arena", q.Arena, "task", q.Task, "group", q.Group, "advantage", string(b)))
}

func (c *Client) export(ctx context.Context, w io.Writer, path string) error {
	res, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("the export broke off: %w", err)
	}
	return nil
}

func episode(id astra.EpisodeID, rest string) string {
	return "/v1/episodes/" + url.PathEscape(string(id)) + rest
}

// search makes a query of names and values, leaving out what is empty.
func search(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
