package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/sandbox"
	"github.com/astra-arenas/astra/store"
	"github.com/astra-arenas/astra/synth/tables"
	"github.com/astra-arenas/astra/verifiers"
)

// A certifier examines arenas that are kept nowhere: each in a gateway of its own, so that
// any number of them takes the memory of one. Runtimes are shared. It implements
// tables.Certifier.
type certifier struct {
	*app
	house    *house // runtimes, taken down at close
	runtimes []gateway.Runtime
	dir      string // of throwaway stores
	made     *atomic.Int64
}

func (a *app) newCertifier(ctx context.Context) (*certifier, error) {
	dir, err := os.MkdirTemp("", "astra-certify-*")
	if err != nil {
		return nil, err
	}
	c := &certifier{app: a, house: &house{}, dir: dir, made: new(atomic.Int64)}
	pool := sandbox.NewPool(nil)
	c.house.undo = append(c.house.undo, func() error { pool.Close(); return nil })
	if c.runtimes, err = a.runtimes(ctx, c.house, pool); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *certifier) close() error {
	return errors.Join(c.house.close(), os.RemoveAll(c.dir))
}

// Certify examines an arena.
func (c *certifier) Certify(ctx context.Context, a *astra.Arena) (tables.Examination, error) {
	cert, err := c.certificate(ctx, a, nil)
	if err != nil {
		return tables.Examination{}, err
	}
	found := tables.Examination{Mutation: cert.Mutation.Score(), Findings: reasons(cert)}
	if cert.Passed {
		found.Certificate = cert.JSON()
	}
	return found, nil
}

// reasons are a certificate's findings by task, those of no task under "".
func reasons(cert *astra.Certificate) map[string]string {
	found := map[string]string{}
	for _, check := range cert.Checks {
		for _, f := range check.Findings {
			if found[f.Task] == "" {
				found[f.Task] = check.Name + ": " + f.Text
			}
		}
		if !check.Passed && len(check.Findings) == 0 {
			found[""] = check.Name + ": " + strconv.Itoa(check.Unknown) + " could not be checked"
		}
	}
	return found
}

func (c *certifier) certificate(ctx context.Context, a *astra.Arena, opts *certify.Options) (cert *astra.Certificate, err error) {
	err = c.inGateway(ctx, func(gw *gateway.Gateway) error {
		if _, err := gw.AddArena(ctx, a.Bundle); err != nil {
			return err
		}
		cert, err = certify.Arena(ctx, gw, a.Ref(), opts)
		return err
	})
	return cert, err
}

// inGateway runs f with a gateway that is thrown away.
func (c *certifier) inGateway(ctx context.Context, f func(*gateway.Gateway) error) (err error) {
	dir := filepath.Join(c.dir, strconv.FormatInt(c.made.Add(1), 10))
	st, err := store.Open(dir, &store.Options{Logger: c.logger()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(), os.RemoveAll(dir)) }()
	judge, err := verifiers.New()
	if err != nil {
		return err
	}
	gw, err := gateway.New(ctx, st, judge, c.runtimes, nil)
	if err != nil {
		return err
	}
	return errors.Join(f(gw), gw.Close())
}
