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

// cacheSchema is the version of a cache's files, and part of their names.
const cacheSchema = 1

// A Cache is a model that says the same again. It keeps each reply in a file of its
// directory, named by the SHA-256 of the model's name and the request:
//
//	DIR/<64 hex digits>.json -> {"schema": 1, "model": …, "request": …, "reply": …}
//
// Several processes may share one. Of two replies to one request the first stands.
type Cache struct {
	dir   string
	name  string
	model Model
}

// NewCache keeps what model says in dir, which is made if it is not there. With a nil model
// it answers for the model of that name what is kept, and ErrModel for all else.
func NewCache(dir, name string, model Model) (*Cache, error) {
	if model != nil {
		name = model.Name()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { // requests show what arenas hide from agents
		return nil, fmt.Errorf("llm: cache: %w", err)
	}
	return &Cache{dir: dir, name: name, model: model}, nil
}

// Name is the name of the model that it answers for.
func (c *Cache) Name() string { return c.name }

// A cached is one file.
type cached struct {
	Schema  int     `json:"schema"`
	Model   string  `json:"model"`
	Request Request `json:"request"`
	Reply   *Reply  `json:"reply,omitempty"`
}

// Complete returns what is kept, else what the model says.
func (c *Cache) Complete(ctx context.Context, r Request) (Reply, error) {
	path, err := c.path(r)
	if err != nil {
		return Reply{}, c.trouble(err)
	}
	reply, err := c.read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return reply, c.trouble(err)
	}
	if c.model == nil {
		return Reply{}, c.trouble(errors.New("the cache does not know this request"))
	}
	if reply, err = c.model.Complete(ctx, r); err != nil {
		return Reply{}, err
	}
	if err = c.write(path, r, reply); err == nil {
		reply, err = c.read(path)
	}
	return reply, c.trouble(err)
}

func (c *Cache) trouble(err error) error {
	if err == nil {
		return nil
	}
	return &modelError{err: err, text: "cache: " + err.Error()}
}

func (c *Cache) path(r Request) (string, error) {
	b, err := json.Marshal(cached{Schema: cacheSchema, Model: c.name, Request: r})
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return filepath.Join(c.dir, hex.EncodeToString(h[:])+".json"), nil
}

func (c *Cache) read(path string) (Reply, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Reply{}, err
	}
	var kept cached
	if err := json.Unmarshal(b, &kept); err != nil || kept.Schema != cacheSchema || kept.Reply == nil {
		return Reply{}, fmt.Errorf("%s cannot be read; remove it", path)
	}
	return *kept.Reply, nil
}

// write puts a whole file in its place, unless one is there.
func (c *Cache) write(path string, r Request, reply Reply) error {
	b, err := json.Marshal(cached{cacheSchema, c.name, r, &reply})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

var _ Model = (*Cache)(nil)
