package harness

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
)

// Sessions are those of one face. It is safe for concurrent use.
type Sessions struct {
	house *House
	face  string
	idle  time.Duration
	over  func(id string) // told of sessions that are over; nil: nobody

	seed    maphash.Seed
	opening [64]sync.Mutex // by the hash of an id: a session is opened once at a time

	mu   sync.Mutex
	used map[string]use // by id, of the sessions whose episode this process knows to be open
}

type use struct {
	episode astra.EpisodeID
	at      time.Time
	busy    int // requests that are using it
}

// Sessions returns those of a face, whose name keeps them apart from others'. Sessions that
// nobody uses for idle are ended; 0 leaves that to their episode's time to live.
func (h *House) Sessions(face string, idle time.Duration) *Sessions {
	s := &Sessions{house: h, face: face, idle: idle, seed: maphash.MakeSeed(), used: map[string]use{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faces = append(h.faces, s)
	return s
}

// WhenOver has a face told of each session that is over, one that was idle for too long too where
// sessions have such a limit. It is called before the first session.
func (s *Sessions) WhenOver(tell func(id string)) { s.over = tell }

// MaxID bounds an id that a harness chooses, in bytes.
const MaxID = 256

// NewID mints an id: 128 random bits, signed.
func (s *Sessions) NewID() string {
	var b [16]byte
	rand.Read(b[:])
	id := base64.RawURLEncoding.EncodeToString(b[:])
	return id + "." + s.sign(id)
}

// Minted reports whether NewID made an id, in this process or another of the same secret.
func (s *Sessions) Minted(id string) bool {
	const random, all = 22, 22 + 1 + 22
	return len(id) == all && hmac.Equal([]byte(id[random+1:]), []byte(s.sign(id[:random])))
}

func (s *Sessions) sign(id string) string {
	return base64.RawURLEncoding.EncodeToString(s.mac("id", id)[:16])
}

func (s *Sessions) mac(kind, text string) []byte {
	m := hmac.New(sha256.New, s.house.secret)
	for _, part := range []string{"astra-session", s.face, kind} {
		m.Write([]byte(part))
		m.Write([]byte{0})
	}
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Key is the key of a session's episode, with which agents come in.
func (s *Sessions) Key(id string) astra.Key {
	return astra.Key(hex.EncodeToString(s.mac("key", id)[:16]))
}

// A Choice is what a session plays.
type Choice struct {
	Arena  string // name, or name@digest
	Task   string
	Seed   *int64 // refused where the task has one of its own
	Policy string // version of the policy that plays, if the harness tells
	TTL    time.Duration
}

// Open begins a session, or answers with the episode that it has already; opening it with
// another task is astra.ErrConflict. Tasks to train on are opened as train, others as eval.
// Other errors are those of the gateway.
func (s *Sessions) Open(ctx context.Context, id string, c Choice) (*gateway.Opening, error) {
	a, list, err := s.house.Tasks(ctx, c.Arena)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(e gateway.Entry) bool { return e.Task.ID == c.Task })
	if i < 0 {
		return nil, &Refusal{404, "arena " + a.Name + " has no task " + quote(c.Task) + " for harnesses"}
	}
	req := gateway.OpenRequest{Arena: a.Name + "@" + string(a.Digest), Task: c.Task, Seed: c.Seed, Mode: modeOf(list[i].Split), Policy: c.Policy,
		Principal: s.face, TTL: c.TTL, Key: s.Key(id)}
	lock := &s.opening[maphash.String(s.seed, id)%uint64(len(s.opening))]
	lock.Lock()
	defer lock.Unlock()
	o, err := s.house.Open(ctx, req)
	if err != nil {
		return nil, err
	}
	s.touch(id, o.Episode)
	return o, nil
}

func modeOf(split astra.Split) astra.Mode {
	if split == astra.SplitTrain {
		return astra.Train
	}
	return astra.Eval
}

// Find returns the episode of a session, and notes that somebody uses it. One that was never
// opened, or ended long ago, is astra.ErrNotFound.
func (s *Sessions) Find(ctx context.Context, id string) (astra.EpisodeID, error) {
	ep, known, err := s.resolve(ctx, id)
	if err == nil && !known { // while an episode is being opened its key is known, and nothing else of it
		_, err = s.house.Episode(ctx, ep)
	}
	if err != nil {
		return "", err
	}
	s.touch(id, ep)
	return ep, nil
}

// resolve finds the episode of a session, one that is being opened included. It is known if
// this process knows that it was opened.
func (s *Sessions) resolve(ctx context.Context, id string) (ep astra.EpisodeID, known bool, err error) {
	if id == "" || len(id) > MaxID {
		return "", false, astra.ErrNotFound
	}
	if ep, known = s.episode(id); !known {
		ep, err = s.house.Resolve(ctx, s.Key(id))
	}
	return ep, known, err
}

// Use is Find for as long as a request takes: a session is not idle until done is called.
func (s *Sessions) Use(ctx context.Context, id string) (episode astra.EpisodeID, done func(), err error) {
	if episode, err = s.Find(ctx, id); err != nil {
		return "", nil, err
	}
	s.count(id, 1)
	return episode, func() { s.count(id, -1) }, nil
}

func (s *Sessions) count(id string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, known := s.used[id]; known {
		u.busy = max(0, u.busy+n) // it may have been forgotten, and found again, meanwhile
		u.at = s.house.opts.Now()
		s.used[id] = u
	}
}

func (s *Sessions) touch(id string, ep astra.EpisodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[id]
	u.episode, u.at = ep, s.house.opts.Now()
	s.used[id] = u
}

// Knows reports whether this process knows a session to be open: its episode need not be
// asked.
func (s *Sessions) Knows(id string) bool {
	_, known := s.episode(id)
	return known
}

// Forget says that a session is over: its episode was submitted or aborted. Find still knows
// it, as long as the gateway knows the key.
func (s *Sessions) Forget(id string) {
	s.mu.Lock()
	delete(s.used, id)
	s.mu.Unlock()
	if s.over != nil {
		s.over(id)
	}
}

// Abort ends a session without a score. One that is over already, or unknown, is no error.
// One that could not be ended is tried again when it was idle for long enough.
func (s *Sessions) Abort(ctx context.Context, id, reason string) error {
	ep, known, err := s.resolve(ctx, id)
	if err == nil {
		err = s.house.Abort(ctx, ep, reason)
	}
	switch {
	case errors.Is(err, astra.ErrNotFound) && !known:
		return nil // should it be opened at this moment, it must not be forgotten
	case err == nil, errors.Is(err, astra.ErrNotFound):
		s.Forget(id)
		return nil
	case ep != "":
		s.touch(id, ep)
	}
	return err
}

// Active is how many sessions this process knows to be open.
func (s *Sessions) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.used)
}

// sweep ends sessions that are idle, and forgets those whose episode ended by itself.
func (s *Sessions) sweep(ctx context.Context) {
	then := s.house.opts.Now().Add(-s.idleTime())
	for _, id := range s.idleSince(then) {
		if ctx.Err() != nil {
			return
		}
		if s.playedSince(ctx, id, then) || !s.unused(id, then) { // to end those before it took its time
			continue
		}
		if err := s.Abort(ctx, id, "the session was idle for "+s.idleTime().String()); err != nil {
			s.house.opts.Logger.WarnContext(ctx, "idle session not ended", "face", s.face, "reason", err)
		}
	}
}

// playedSince reports whether the log tells that a session's agent has played, and notes it:
// agents come in over MCP, of which a face hears nothing.
func (s *Sessions) playedSince(ctx context.Context, id string, then time.Time) bool {
	ep, known := s.episode(id)
	if !known {
		return false
	}
	rec, err := s.house.Episode(ctx, ep)
	if err != nil || rec.Over() || !rec.ActiveAt.After(then) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, known := s.used[id]; known {
		u.at = rec.ActiveAt
		s.used[id] = u
	}
	return true
}

// episode is that of a session which this process knows to be open.
func (s *Sessions) episode(id string) (astra.EpisodeID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, known := s.used[id]
	return u.episode, known
}

// forgetAfter is when a session that has no limit of its own is forgotten here: an episode
// lives no longer by default, and Find knows it again if it does.
const forgetAfter = time.Hour

func (s *Sessions) idleTime() time.Duration {
	if s.idle > 0 {
		return s.idle
	}
	return forgetAfter
}

// unused reports whether a session is known, and nobody uses it or has since then.
func (s *Sessions) unused(id string, then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, known := s.used[id]
	return known && u.idle(then)
}

func (u use) idle(then time.Time) bool { return u.busy == 0 && !u.at.After(then) }

func (s *Sessions) idleSince(then time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for id, u := range s.used {
		if !u.idle(then) {
			continue
		}
		if s.idle > 0 {
			ids = append(ids, id)
		} else {
			delete(s.used, id)
		}
	}
	return ids
}
