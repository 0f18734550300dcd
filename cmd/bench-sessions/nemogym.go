package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
)

// A nemoGym is a session with a resources server of NeMo Gym: a cookie names it.
type nemoGym struct {
	meter      *meter
	addr, path string
	id         string
	row        object // of seed_session
	link       *link
	header     http.Header
}

// nemoGyms makes sessions at addr, under path. A row has the seed for the peer, and for astra
// the task and the session's id, without which it closes none.
func nemoGyms(m *meter, addr, path string) func(i int) session {
	return func(i int) session {
		id := rand.Text()
		task := object{"verifier_metadata": object{"arena": arenaName, "task": taskOf(seedOf(i))}}
		row := object{"seed": seedOf(i), "resources_session_id": id, "task_data": task}
		return &nemoGym{meter: m, addr: addr, path: path, id: id, row: row, header: http.Header{"Content-Type": {"application/json"}}}
	}
}

func (s *nemoGym) opening() []act { return []act{{connecting, s.connect}, {resetting, s.reset}} }

// connect asks whether the server is alive, as its clients do first.
func (s *nemoGym) connect(ctx context.Context) (err error) {
	if s.link, err = dialLink(ctx, s.meter, s.addr); err != nil {
		return err
	}
	_, _, err = s.link.do(ctx, http.MethodGet, s.path+"/", http.Header{}, nil)
	return err
}

func (s *nemoGym) reset(ctx context.Context) error {
	_, err := s.post(ctx, "/seed_session", s.row)
	return err
}

func (s *nemoGym) call(ctx context.Context, query string) (*finding, error) {
	b, err := s.post(ctx, "/find_items", object{"query": query})
	if err != nil {
		return nil, err
	}
	var f finding
	return &f, json.Unmarshal(b, &f)
}

func (s *nemoGym) end(ctx context.Context) error {
	_, err := s.post(ctx, "/close_session", object{"resources_session_id": s.id})
	return err
}

// post keeps the cookie of each answer in place of the one before, as simple_agent does.
func (s *nemoGym) post(ctx context.Context, path string, body any) ([]byte, error) {
	header, b, err := s.link.do(ctx, http.MethodPost, s.path+path, s.header, marshal(body))
	if cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";"); cookie != "" {
		s.header.Set("Cookie", cookie)
	}
	return b, err
}

func (s *nemoGym) hangUp() { s.link.close() }
