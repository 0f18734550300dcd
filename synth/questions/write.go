package questions

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth"
	"github.com/astra-arenas/astra/synth/ask"
)

// An Arena is one that came out, with the instances that it asks.
type Arena struct {
	Bundle *astra.Bundle
	Drafts []Draft
}

// FileSources are the lines of a file, as ReadSources reads them; it is opened anew each
// time they are ranged over.
func FileSources(path string, language synth.Language) iter.Seq2[Source, error] {
	return func(yield func(Source, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Source{}, err)
			return
		}
		defer f.Close()
		for s, err := range ReadSources(f, language) {
			if !yield(s, err) {
				return
			}
		}
	}
}

// Write makes arenas of sources, in their order. The run's Yields and the author's ask.Spent
// say what became of the others. A percentile needs every instance's quality before the
// first is taken, so the sources are ranged over twice then. An error is yielded last: the
// run can go on from there.
func (a *Author) Write(ctx context.Context, run *synth.Run, sources iter.Seq2[Source, error]) iter.Seq2[Arena, error] {
	return func(yield func(Arena, error) bool) {
		cut, verified := a.opts.Threshold, a.verified(ctx, run, sources, &a.tally)
		if cut == 0 {
			var err error
			if cut, err = a.cut(verified); err != nil {
				yield(Arena{}, err)
				return
			}
			verified = a.verified(ctx, run.Again(), sources, new(ask.Tally))
		}
		for arena, err := range a.arenas(ctx, run, a.built(ctx, run, verified, cut)) {
			if !yield(arena, err) || err != nil {
				return
			}
		}
	}
}

// cut is the percentile of the run's qualities. Nothing but the scores is held.
func (a *Author) cut(verified iter.Seq2[Draft, error]) (float64, error) {
	var scores []float64
	for d, err := range verified {
		if err != nil {
			return 0, err
		}
		scores = append(scores, d.Quality.QS)
	}
	return synth.Percentile(scores, a.opts.Percentile), nil
}

// verified are the instances that have a quality.
func (a *Author) verified(ctx context.Context, run *synth.Run, sources iter.Seq2[Source, error], t *ask.Tally) iter.Seq2[Draft, error] {
	proposed := ask.Stage(ctx, run, t, "instances", a.orders(sources), orderKey, a.propose)
	distinct := ask.Stage(ctx, run, t, "distinct", once(proposed), occurrenceKey, func(_ context.Context, o occurrence) (synth.Result[Draft], error) {
		if o.Draft.Spent = (ask.Spent{}); o.number > 0 {
			return spoiled(o.Draft, "duplicate", "the same question came before"), nil
		}
		return synth.Passed(o.Draft), nil
	})
	return ask.Stage(ctx, run, t, "verification", ask.Stage(ctx, run, t, "necessity", distinct, draftKey, a.necessity), draftKey, a.verify)
}

// built are the instances whose arenas were certified.
func (a *Author) built(ctx context.Context, run *synth.Run, verified iter.Seq2[Draft, error], cut float64) iter.Seq2[Draft, error] {
	quality := ask.Stage(ctx, run, &a.tally, "quality", verified, func(d Draft) string {
		return d.Instance.ID + " " + strconv.FormatFloat(cut, 'g', -1, 64) // another cut is another question
	}, func(_ context.Context, d Draft) (synth.Result[Draft], error) { return good(d, cut), nil })
	environments := ask.Stage(ctx, run, &a.tally, "environments", quality, draftKey, a.build)
	merged := ask.Stage(ctx, run, &a.tally, "merging", environments, draftKey, a.merge)
	return ask.Stage(ctx, run, &a.tally, "arenas", merged, draftKey, func(ctx context.Context, d Draft) (synth.Result[Draft], error) {
		return a.finish(ctx, run.ID(), d)
	})
}

// orders asks for some samples of each source. A source that comes again is asked for
// others.
func (a *Author) orders(sources iter.Seq2[Source, error]) iter.Seq2[order, error] {
	return func(yield func(order, error) bool) {
		before := map[[8]byte]int{}
		for s, err := range sources {
			if err != nil {
				yield(order{}, err)
				return
			}
			if s.Arena != nil {
				a.arenasKnown.Store(s.Arena.Digest, s.Arena)
			}
			key := brief(s.key())
			for range a.opts.Samples {
				if !yield(order{s, before[key]}, nil) {
					return
				}
				before[key]++
			}
		}
	}
}

func orderKey(o order) string { return o.source.key() + " " + strconv.Itoa(o.sample) }

func draftKey(d Draft) string { return d.Instance.ID }

// An occurrence is an instance, and how often its question came before.
type occurrence struct {
	Draft
	number int
}

func occurrenceKey(o occurrence) string { return o.Instance.ID + " " + strconv.Itoa(o.number) }

// once numbers instances that ask the same.
func once(drafts iter.Seq2[Draft, error]) iter.Seq2[occurrence, error] {
	return func(yield func(occurrence, error) bool) {
		before := map[[8]byte]int{}
		for d, err := range drafts {
			if err != nil {
				yield(occurrence{}, err)
				return
			}
			key := brief(fold(d.Instance.Question))
			if !yield(occurrence{d, before[key]}, nil) {
				return
			}
			before[key]++
		}
	}
}

// brief is enough of a digest to tell a few million texts apart.
func brief(s string) (b [8]byte) {
	h := sha256.Sum256([]byte(s))
	binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(h[:8]))
	return b
}

// arenas writes what was built: an instance each, or some of one domain together. Those of
// a group that is not certified stand alone.
func (a *Author) arenas(ctx context.Context, run *synth.Run, built iter.Seq2[Draft, error]) iter.Seq2[Arena, error] {
	return func(yield func(Arena, error) bool) {
		for group, err := range a.groups(built) {
			if err != nil {
				yield(Arena{}, err)
				return
			}
			together, err := a.together(ctx, run, group)
			if err != nil {
				yield(Arena{}, err)
				return
			}
			for _, drafts := range together {
				b, f := a.bundleOf(run.ID(), drafts)
				if f != nil {
					yield(Arena{}, errors.New("an arena that was certified cannot be written: "+f.text))
					return
				}
				if !yield(Arena{b, drafts}, nil) {
					return
				}
			}
		}
	}
}

// groups holds at most PerArena instances of each domain and language.
func (a *Author) groups(built iter.Seq2[Draft, error]) iter.Seq2[[]Draft, error] {
	return func(yield func([]Draft, error) bool) {
		open := map[string][]Draft{}
		var order []string
		for d, err := range built {
			if err != nil {
				yield(nil, err)
				return
			}
			key, most := string(d.Instance.Language)+" "+d.Instance.Domain, a.opts.PerArena
			if madeOfCalls(&d) { // all that are asked of one arena belong in it
				key, most = string(d.Arena), mostTogether
			}
			if open[key] == nil {
				order = append(order, key)
			}
			if open[key] = append(open[key], d); len(open[key]) < most {
				continue
			}
			full := open[key]
			delete(open, key)
			order = slices.DeleteFunc(order, func(k string) bool { return k == key })
			if !yield(full, nil) {
				return
			}
		}
		for _, key := range order {
			if !yield(open[key], nil) {
				return
			}
		}
	}
}

// together has the arena of a group certified, which is more than the sum of its parts:
// each task's tools are now the others' neighbours.
func (a *Author) together(ctx context.Context, run *synth.Run, group []Draft) ([][]Draft, error) {
	alone := [][]Draft{}
	var ids []string
	for i := range group {
		alone = append(alone, group[i:i+1])
		ids = append(ids, group[i].Instance.ID)
	}
	if len(group) == 1 {
		return alone, nil
	}
	one := func(yield func(synth.Keyed[[]Draft]) bool) {
		yield(synth.Keyed[[]Draft]{Key: strings.Join(ids, " "), Item: group})
	}
	for r, err := range synth.Stage(ctx, run, "groups", one, func(ctx context.Context, group []Draft) (synth.Result[int], error) {
		b, f, err := a.arena(ctx, run.ID(), group)
		if f == nil && err == nil {
			f, err = a.certified(ctx, b)
		}
		if err != nil || f == nil {
			return synth.Passed(len(group)), err
		}
		return synth.Rejected[int](f.reason, "%s", f.text), nil
	}) {
		if err != nil {
			return nil, err
		}
		if r.Verdict == synth.Pass {
			return [][]Draft{group}, nil
		}
	}
	return alone, nil
}
