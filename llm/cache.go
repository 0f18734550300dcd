package llm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// cacheSchema is the version of what a cache keeps, and part of its keys.
const cacheSchema = 1

// A Cache is a model that says the same again. What it keeps of a reply is
//
//	{"schema": 1, "model": …, "request": …, "reply": …}
//
// under the SHA-256, in hex, of the same without the reply. The same request is asked once,
// also by several who ask at the same time. A failure is not kept.
type Cache struct {
	kept  keeper
	name  string
	model Model // nil: what is kept, and nothing else
	turns *turns
}

// A keeper keeps entries by their keys. Of two for one key the first may stand.
type keeper interface {
	get(ctx context.Context, key string) ([]byte, error) // nil: there is none
	put(ctx context.Context, key string, entry []byte) error
	remedy(key string) string // what to do about an entry that cannot be read
}

// NewCache keeps what model says in files DIR/KEY.json of a directory, which is made if it
// is not there. Several processes may share one. With a nil model it replays: it answers for
// the model of that name what is kept, and ErrRequest for all else.
func NewCache(dir, name string, model Model) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // requests show what arenas hide from agents
		return nil, fmt.Errorf("llm: cache: %w", err)
	}
	return newCache(folder(dir), name, model), nil
}

// Notes keep small values by key: a store does. They are safe for concurrent use.
type Notes interface {
	// Note returns what is kept under a key, nil if nothing is.
	Note(ctx context.Context, key string) ([]byte, error)
	// PutNote keeps a value, which survives kill -9 when it returns.
	PutNote(ctx context.Context, key string, value []byte) error
}

// NewNotedCache keeps what model says in notes, as NewCache does in files, under "llm/KEY".
func NewNotedCache(notes Notes, name string, model Model) *Cache {
	return newCache(noted{notes}, name, model)
}

func newCache(kept keeper, name string, model Model) *Cache {
	if model != nil {
		name = model.Name()
	}
	return &Cache{kept: kept, name: name, model: model, turns: newTurns()}
}

// Name is the name of the model that it answers for.
func (c *Cache) Name() string { return c.name }

// A cached is one entry.
type cached struct {
	Schema  int     `json:"schema"`
	Model   string  `json:"model"`
	Request Request `json:"request"`
	Reply   *Reply  `json:"reply,omitempty"`
}

// Complete returns what is kept, else what the model says.
func (c *Cache) Complete(ctx context.Context, r Request) (Reply, error) {
	key, err := c.key(r)
	if err != nil {
		return Reply{}, cacheTrouble(err)
	}
	done, err := c.turns.take(ctx, key)
	if err != nil {
		return Reply{}, cacheTrouble(err)
	}
	defer done()
	reply, err := c.read(ctx, key)
	if reply != nil || err != nil {
		return deref(reply), cacheTrouble(err)
	}
	if c.model == nil {
		return Reply{}, cacheTrouble(ErrReplay)
	}
	said, err := c.model.Complete(ctx, r)
	if err != nil {
		return Reply{}, err
	}
	ctx = context.WithoutCancel(ctx) // what was answered is not asked for again
	if err = c.write(ctx, key, r, said); err == nil {
		reply, err = c.read(ctx, key) // another process may have been first
	}
	return deref(reply), cacheTrouble(err)
}

func deref(r *Reply) Reply {
	if r == nil {
		return Reply{}
	}
	return *r
}

func cacheTrouble(err error) error {
	if err == nil {
		return nil
	}
	return &modelError{err: err, text: "cache: " + err.Error()}
}

func (c *Cache) key(r Request) (string, error) {
	b, err := json.Marshal(cached{Schema: cacheSchema, Model: c.name, Request: r})
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

func (c *Cache) read(ctx context.Context, key string) (*Reply, error) {
	b, err := c.kept.get(ctx, key)
	if b == nil || err != nil {
		return nil, err
	}
	var entry cached
	if err := json.Unmarshal(b, &entry); err != nil || entry.Schema != cacheSchema || entry.Reply == nil {
		return nil, errors.New(c.kept.remedy(key))
	}
	return entry.Reply, nil
}

func (c *Cache) write(ctx context.Context, key string, r Request, reply Reply) error {
	b, err := json.Marshal(cached{cacheSchema, c.name, r, &reply})
	if err != nil {
		return err
	}
	return c.kept.put(ctx, key, b)
}

// A folder keeps entries in files.
type folder string

func (f folder) path(key string) string { return filepath.Join(string(f), key+".json") }

func (f folder) get(_ context.Context, key string) ([]byte, error) {
	b, err := os.ReadFile(f.path(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err == nil && b == nil:
		b = []byte{}
	}
	return b, err
}

func (f folder) remedy(key string) string { return f.path(key) + " cannot be read; remove it" }

// put puts a whole file in its place, unless one is there.
func (f folder) put(_ context.Context, key string, entry []byte) error {
	file, err := os.CreateTemp(string(f), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(entry)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), f.path(key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// noted entries are in a store.
type noted struct{ Notes }

func (n noted) get(ctx context.Context, key string) ([]byte, error) { return n.Note(ctx, "llm/"+key) }

func (n noted) put(ctx context.Context, key string, entry []byte) error {
	return n.PutNote(ctx, "llm/"+key, entry)
}

func (n noted) remedy(key string) string { return "the note llm/" + key + " cannot be read" }

var _ Model = (*Cache)(nil)
