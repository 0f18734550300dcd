package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/astra-arenas/astra"
)

// arenas are the bundles that are served, and their programs.
type arenas struct {
	judge    Judge
	runtimes map[astra.RuntimeKind]Runtime

	mu       sync.RWMutex
	byDigest map[astra.Digest]*loaded
	byName   map[string]*loaded // newest version
	added    int
}

// loaded is an arena and, once it was needed, its program.
type loaded struct {
	*astra.Arena
	runtime Runtime
	public  astra.PublicArena
	order   int // of adding

	certifying  chan struct{}      // of capacity 1: holds it who looks at certificate
	certificate *astra.Certificate // nil until it was asked for; see Gateway.certificate

	mu      sync.Mutex
	program Program // nil until loaded
	closed  bool
}

func newArenas(judge Judge, rts []Runtime) (*arenas, error) {
	r := &arenas{judge: judge, runtimes: map[astra.RuntimeKind]Runtime{}, byDigest: map[astra.Digest]*loaded{}, byName: map[string]*loaded{}}
	for _, rt := range rts {
		if r.runtimes[rt.Kind()] != nil {
			return nil, fmt.Errorf("two runtimes of kind %s", rt.Kind())
		}
		r.runtimes[rt.Kind()] = rt
	}
	return r, nil
}

// add serves an arena from now on. Equal content is served once.
func (r *arenas) add(a *astra.Arena) (*loaded, error) {
	rt := r.runtimes[a.Runtime]
	if rt == nil {
		return nil, refuse("arena %s needs the runtime %s, which this astra does not have", a.Name, a.Runtime)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.byDigest[a.Digest]
	if l == nil {
		l = &loaded{Arena: a, runtime: rt, public: a.Public(), certifying: make(chan struct{}, 1)}
		r.byDigest[a.Digest] = l
	}
	r.added++
	l.order = r.added
	if old := r.byName[a.Name]; old == nil || newer(l, old) {
		r.byName[a.Name] = l
	}
	return l, nil
}

// newer orders versions of an arena: by number, then by which was added last.
func newer(a, b *loaded) bool {
	return cmp.Or(compareVersions(a.Version, b.Version), cmp.Compare(a.order, b.order)) > 0
}

// compareVersions compares dotted numbers; parts that are none compare as text.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, errM := strconv.Atoi(x)
		n, errN := strconv.Atoi(y)
		if errM != nil || errN != nil {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(m, n)
	})
}

// find resolves name, name@digest or a digest.
func (r *arenas) find(ref string) (*loaded, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	name, digest, pinned := strings.Cut(ref, "@")
	l := r.byName[name]
	if pinned {
		l = r.byDigest[astra.Digest(digest)]
	}
	if l == nil || l.Name != name {
		return nil, fmt.Errorf("arena %q: %w", ref, astra.ErrNotFound)
	}
	return l, nil
}

func (r *arenas) exact(d astra.Digest) (*loaded, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if l := r.byDigest[d]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("arena %s is not served any more, add it again: %w", d, astra.ErrNotFound)
}

func (r *arenas) newest() []*loaded {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*loaded
	for _, l := range r.byName {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *loaded) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (r *arenas) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byName)
}

func (r *arenas) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, l := range r.byDigest {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

func (l *loaded) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.program == nil {
		return nil
	}
	return l.program.Close()
}

// start makes a world from its beginning.
func (g *Gateway) start(ctx context.Context, l *loaded, w World) (Instance, error) {
	return g.making(func() (Instance, error) { return l.start(ctx, w) })
}

// making makes a world; where the runtime has no room for it, idle ones give way.
func (g *Gateway) making(make func() (Instance, error)) (Instance, error) {
	inst, err := make()
	if errors.Is(err, astra.ErrFull) {
		g.live.rest()
		inst, err = make()
	}
	return inst, err
}

// start loads the program on first use and starts a world in it.
func (l *loaded) start(ctx context.Context, w World) (Instance, error) {
	p, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	return p.Start(ctx, w)
}

// load keeps no error: what was loaded when it was added does not load now because of
// trouble that may pass.
func (l *loaded) load(ctx context.Context) (Program, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosing
	}
	if l.program != nil {
		return l.program, nil
	}
	p, err := l.runtime.Load(context.WithoutCancel(ctx), l.Arena)
	if err != nil {
		return nil, err
	}
	l.program = p
	return p, nil
}

func (g *Gateway) loadStored(ctx context.Context) error {
	for kept, err := range g.store.Arenas(ctx) {
		if err != nil {
			return err
		}
		if err := g.addStored(ctx, kept); err != nil {
			// One unreadable arena must not keep the others from being served.
			g.opts.Logger.WarnContext(ctx, "arena not served", "arena", kept.Name, "digest", kept.Digest, "reason", err)
		}
	}
	return nil
}

func (g *Gateway) addStored(ctx context.Context, kept StoredArena) error {
	b, err := astra.UnpackBundle(kept.Bundle)
	if err != nil {
		return err
	}
	a, err := b.Load()
	if err != nil {
		return err
	}
	if a.Digest != kept.Digest {
		return fmt.Errorf("%w: arena %s has the digest %s and is kept as %s", astra.ErrStoreCorrupt, a.Name, a.Digest, kept.Digest)
	}
	if a.Derives() {
		if a, err = g.described(ctx, a, func(Program) error { return nil }); err != nil {
			return err
		}
	}
	l, err := g.arenas.add(a)
	if err == nil {
		g.certifyServed(ctx, l)
	}
	return err
}

// AddArena loads a bundle, checks it, keeps it in the store and serves it. Adding equal
// content twice is no error. Where certificates are required it waits for the arena's; one
// that does not pass is served all the same, for practice.
func (g *Gateway) AddArena(ctx context.Context, b *astra.Bundle) (*astra.Arena, error) {
	a, err := b.Load()
	if err != nil {
		return nil, err
	}
	known, err := g.arenas.exact(a.Digest)
	if err == nil {
		_, err = g.arenas.add(known.Arena)
		return known.Arena, err
	}
	if a, err = g.check(ctx, a); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	if err := b.Pack(&packed); err != nil {
		return nil, err
	}
	if err := g.store.PutArena(ctx, a.Name, a.Digest, packed.Bytes()); err != nil {
		return nil, err
	}
	l, err := g.arenas.add(a)
	if err != nil {
		return nil, err
	}
	g.certifyServed(ctx, l)
	return a, nil
}

// check runs the arena's module code and compiles its verifiers before it is kept, and
// returns it as the runtime describes it.
func (g *Gateway) check(ctx context.Context, a *astra.Arena) (*astra.Arena, error) {
	return g.described(ctx, a, func(p Program) error {
		if err := g.judge.Check(a, p.HasState()); err != nil {
			return refuse("arena %s: %v", a.Name, err)
		}
		return nil
	})
}

// described loads an arena once to learn the schemas that the bundle leaves to its code.
func (g *Gateway) described(ctx context.Context, a *astra.Arena, check func(Program) error) (*astra.Arena, error) {
	rt := g.arenas.runtimes[a.Runtime]
	if rt == nil {
		return nil, refuse("arena %s needs the runtime %s, which this astra does not have", a.Name, a.Runtime)
	}
	p, err := rt.Load(ctx, a)
	if err != nil {
		return nil, refuse("arena %s does not load: %v", a.Name, err)
	}
	defer p.Close()
	if err := check(p); err != nil || !a.Derives() {
		return a, err
	}
	d, ok := p.(Describer)
	if !ok {
		return nil, refuse("arena %s: write the input schema of every tool in arena.yaml: its runtime does not derive them", a.Name)
	}
	described, err := a.WithInputs(d.Schemas())
	if err != nil {
		return nil, refuse("arena %s: %v", a.Name, err)
	}
	return described, nil
}

// Served changes when another arena, or version, is served: what was made of a catalog may
// then be made again, as distractors are other arenas' tools.
func (g *Gateway) Served() int {
	g.arenas.mu.RLock()
	defer g.arenas.mu.RUnlock()
	return g.arenas.added
}

// Arenas lists the newest version of each arena, by name.
func (g *Gateway) Arenas() []*astra.Arena {
	var all []*astra.Arena
	for _, l := range g.arenas.newest() {
		all = append(all, l.Arena)
	}
	return all
}

// Arena finds an arena by name (its newest version) or name@digest; astra.ErrNotFound.
func (g *Gateway) Arena(ref string) (*astra.Arena, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return nil, err
	}
	return l.Arena, nil
}

// PublicArenas lists what any door may show of the newest version of each arena, by name.
func (g *Gateway) PublicArenas(ctx context.Context) ([]astra.PublicArena, error) {
	all := []astra.PublicArena{}
	for _, l := range g.arenas.newest() {
		all = append(all, l.public)
	}
	return all, nil
}

// PublicArena is what any door may show of an arena.
func (g *Gateway) PublicArena(ctx context.Context, ref string) (astra.PublicArena, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return astra.PublicArena{}, err
	}
	return l.public, nil
}

// Tasks lists the public views of an arena's tasks, in the author's order; split "" is all.
func (g *Gateway) Tasks(ctx context.Context, ref string, split astra.Split) ([]astra.PublicTask, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return nil, err
	}
	tasks := []astra.PublicTask{}
	for i := range l.Arena.Tasks {
		if t := &l.Arena.Tasks[i]; split == "" || t.Split == split {
			tasks = append(tasks, t.Public(l.Arena))
		}
	}
	return tasks, nil
}

// A RuntimeInfo is what runs an arena's tools.
type RuntimeInfo struct {
	Kind   astra.RuntimeKind
	Digest string // see Runtime.Digest
	Pure   bool   // see Runtime.Pure
}

// RuntimeOf tells what runs the tools of an arena; astra.ErrNotFound.
func (g *Gateway) RuntimeOf(ref string) (RuntimeInfo, error) {
	l, err := g.arenas.find(ref)
	if err != nil {
		return RuntimeInfo{}, err
	}
	return RuntimeInfo{Kind: l.runtime.Kind(), Digest: l.runtime.Digest(), Pure: l.runtime.Pure()}, nil
}
