package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A level is so many sessions at once: all are open before the first calls, and all call
// before the first ends.
type level struct {
	sessions, calls int
	patience        time.Duration // with connecting, as clients have it
	limit           time.Duration // of all of it
}

// A player has one session and keeps what became of it.
type player struct {
	session
	index    int
	patience time.Duration
	took     map[phase][]time.Duration
	right    int // answers
	err      error
}

// do times one thing; after the first that fails, a session does no more.
func (p *player) do(ctx context.Context, a act) {
	if p.err != nil {
		return
	}
	if a.phase == connecting {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, p.patience)
		defer cancel()
	}
	begun := time.Now()
	if err := a.do(ctx); err != nil {
		p.err = fmt.Errorf("%s: %s", a.phase, kind(err))
		return
	}
	p.took[a.phase] = append(p.took[a.phase], time.Since(begun))
}

func (p *player) open(ctx context.Context) {
	for _, a := range p.opening() {
		p.do(ctx, a)
	}
}

// search makes the player's calls; every player begins elsewhere in the catalogue.
func (p *player) search(ctx context.Context, c *catalogue, calls int) {
	for i := range calls {
		query := c.query(p.index + i)
		p.do(ctx, act{calling, func(ctx context.Context) error {
			got, err := p.call(ctx, query)
			if err == nil {
				err = c.check(query, got)
			}
			return err
		}})
		if p.err == nil {
			p.right++
		}
	}
}

// play has the sessions of a level open, call and end, and tells how that went.
func (l level) play(ctx context.Context, h *host, c *catalogue) result {
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	players := l.players(h)
	defer each(players, func(p *player) { p.hangUp() })
	r := result{Sessions: l.sessions, base: h.resident()}
	sent, received := h.meter.sent.Load(), h.meter.received.Load()
	busy := h.busy()
	h.stopped()
	opening := each(players, func(p *player) { p.open(ctx) })
	r.idle = h.resident()
	stop, lag := h.watch(), h.knock(ctx)
	searching := each(players, func(p *player) { p.search(ctx, c, l.calls) })
	most := stop()
	r.Lag = lag()
	r.active, r.Files = most.resident, most.files
	each(players, func(p *player) { p.do(ctx, act{ending, p.end}) })
	r.Stops, r.Busy = h.stopped(), (h.busy() - busy).Seconds()
	r.Sent, r.Received = h.meter.sent.Load()-sent, h.meter.received.Load()-received
	r.add(players, opening, searching, l.calls)
	return r
}

func (l level) players(h *host) []*player {
	players := make([]*player, l.sessions)
	for i := range players {
		players[i] = &player{session: h.session(i), index: i, patience: l.patience, took: map[phase][]time.Duration{}}
	}
	return players
}

// each does f for all players at once, and says how long that took.
func each(players []*player, f func(*player)) time.Duration {
	begun := time.Now()
	var wg sync.WaitGroup
	for _, p := range players {
		wg.Go(func() { f(p) })
	}
	wg.Wait()
	return time.Since(begun)
}

// A result is a row of the table. Times are of what succeeded.
type result struct {
	Server   string         `json:"server"`
	Sessions int            `json:"sessions"`
	Success  float64        `json:"success"` // share of the sessions whose answers were all right and in time
	Connect  quantiles      `json:"connect"`
	Reset    quantiles      `json:"reset"`
	Call     quantiles      `json:"call"`
	Close    quantiles      `json:"close"`
	Opened   float64        `json:"opened_per_s"`  // sessions
	Offered  float64        `json:"offered_per_s"` // calls that the sessions would have made, had none failed
	Achieved float64        `json:"achieved_per_s"`
	Base     float64        `json:"base_mib"`               // resident before the sessions
	Idle     float64        `json:"idle_kib_per_session"`   // more of it, per session, when all are open
	Active   float64        `json:"active_kib_per_session"` // and while they call
	Files    int            `json:"files"`                  // that the server has open
	Sent     int64          `json:"sent_bytes"`             // by the sessions
	Received int64          `json:"received_bytes"`
	Lag      quantiles      `json:"lag"`   // how long the server takes to say that there is nothing at a path, while it is called
	Stops    stops          `json:"stops"` // its garbage collector's, from the first connection to the last close
	Busy     float64        `json:"busy_s"`
	Errors   map[string]int `json:"errors,omitempty"` // sessions, by what ended them

	base, idle, active float64 // KiB
}

func (r *result) add(players []*player, opening, searching time.Duration, calls int) {
	took := map[phase][]time.Duration{}
	opened, right, good := 0, 0, 0
	r.Errors = map[string]int{}
	for _, p := range players {
		for ph, ts := range p.took {
			took[ph] = append(took[ph], ts...)
		}
		if len(p.took[connecting]) > 0 && len(p.took[resetting]) > 0 {
			opened++
		}
		right += p.right
		if p.err == nil {
			good++
		} else {
			r.Errors[p.err.Error()]++
		}
	}
	n := float64(len(players))
	r.Success = float64(good) / n
	r.Connect, r.Reset, r.Call, r.Close = quantilesOf(took[connecting]), quantilesOf(took[resetting]), quantilesOf(took[calling]), quantilesOf(took[ending])
	r.Opened = float64(opened) / opening.Seconds()
	r.Offered, r.Achieved = n*float64(calls)/searching.Seconds(), float64(right)/searching.Seconds()
	r.Base = r.base / 1024
	if opened > 0 {
		r.Idle, r.Active = (r.idle-r.base)/float64(opened), (r.active-r.base)/float64(opened)
	}
}

// Quantiles of durations, in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func quantilesOf(ts []time.Duration) quantiles {
	if len(ts) == 0 {
		return quantiles{}
	}
	slices.Sort(ts)
	at := func(q float64) float64 {
		return float64(ts[int(float64(len(ts)-1)*q)].Microseconds()) / 1000
	}
	return quantiles{at(.5), at(.95), at(.99), at(1)}
}
