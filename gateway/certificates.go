package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/astra-arenas/astra"
)

// A Certifier finds out what an arena does, by rehearsals. It is safe for concurrent use.
type Certifier interface {
	// Certify runs its checks on a served arena. astra.ErrUnsupported says that it cannot
	// be certified at all.
	Certify(ctx context.Context, g *Gateway, ref string) (*astra.Certificate, error)
	// Current reports whether a certificate of the same arena and runtime is what Certify
	// would find: the same checks, and as much asked of them.
	Current(c *astra.Certificate) bool
}

// Certificate returns what the owner of this store found out about an arena. What a bundle
// says of itself is not looked at. It is astra.ErrNotFound if the arena was not certified.
func (g *Gateway) Certificate(ctx context.Context, ref string) (*astra.Certificate, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return nil, err
	}
	if g.opts.Certifier != nil {
		return g.certificate(ctx, l)
	}
	c, err := g.store.Certificate(ctx, l.Digest)
	if err == nil && c == nil {
		err = fmt.Errorf("certificate of arena %s, which is not required here: %w", l.Name, astra.ErrNotFound)
	}
	return c, err
}

// certificate is the arena's, from memory, from the store if it is of this runtime and of the
// certifier as it is now, or else new. Whoever asks meanwhile waits for it.
func (g *Gateway) certificate(ctx context.Context, l *loaded) (*astra.Certificate, error) {
	select {
	case l.certifying <- struct{}{}:
		defer func() { <-l.certifying }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.certificate != nil {
		return l.certificate, nil
	}
	c, err := g.store.Certificate(ctx, l.Digest)
	if err != nil { // it can be made again
		g.opts.Logger.WarnContext(ctx, "certificate not read", "arena", l.Name, "digest", l.Digest, "reason", err)
	}
	if c == nil || c.RuntimeDigest != l.runtime.Digest() || !g.opts.Certifier.Current(c) {
		if c, err = g.certifyNow(ctx, l); err != nil {
			return nil, err
		}
	}
	l.certificate = c
	return c, nil
}

func (g *Gateway) certifyNow(ctx context.Context, l *loaded) (*astra.Certificate, error) {
	g.opts.Logger.InfoContext(ctx, "certifying an arena, which takes some time", "arena", l.Name, "digest", l.Digest)
	c, err := g.opts.Certifier.Certify(ctx, g, l.Ref())
	if err != nil {
		return nil, err
	}
	g.opts.Logger.InfoContext(ctx, "arena certified", "arena", l.Name, "digest", l.Digest, "passed", c.Passed)
	return c, g.store.PutCertificate(ctx, c)
}

// certifyServed sees to it that an arena that is served has a certificate, where they are
// required. One that gets none is served for practice.
func (g *Gateway) certifyServed(ctx context.Context, l *loaded) {
	if g.opts.Certifier == nil {
		return
	}
	if err := g.mustBeCertified(ctx, l); err != nil {
		attrs := []any{"arena", l.Name, "digest", l.Digest, "reason", err}
		if u, ok := errors.AsType[*uncertified](err); ok {
			attrs = append(attrs, "found", u.found)
		}
		g.opts.Logger.WarnContext(ctx, "arena served for practice alone", attrs...)
	}
}

// mustBeCertified refuses an arena that nobody should train on or be measured by.
func (g *Gateway) mustBeCertified(ctx context.Context, l *loaded) error {
	c, err := g.certificate(ctx, l)
	switch {
	case errors.Is(err, astra.ErrUnsupported):
		return refuse("this server requires certificates, and arena %s gets none: %v", l.Name, err)
	case err != nil:
		return fmt.Errorf("certify arena %s: %w", l.Name, err)
	case c.Passed:
		return nil
	}
	check, f := c.First()
	if f == nil {
		return refuse("this server requires certificates, and not all of arena %s could be checked; `astra certify` tells what", l.Name)
	}
	return fmt.Errorf("%w: this server requires certificates, and %w", astra.ErrRefused, &uncertified{"arena " + l.Name + " does not pass the check " + check + whose(f), f.Text})
}

// An uncertified is that an arena does not pass a check. What was found may quote gold and
// answers, which no door may show.
type uncertified struct{ text, found string }

func (e *uncertified) Error() string { return e.text + "; `astra certify` tells why" }

func whose(f *astra.Finding) string {
	switch {
	case f.Task != "":
		return " at task " + f.Task
	case f.Tool != "":
		return " at tool " + f.Tool
	}
	return ""
}
