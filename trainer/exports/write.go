package exports

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/astra-arenas/astra/trainer/datasets"
	"github.com/astra-arenas/astra/trainer/samples"
)

// ErrNothing is that no sample made a row. The manifest says why.
var ErrNothing = errors.New("no sample made a row")

// Write makes the export of some groups in dir, whole or not at all; an export that was there
// is replaced. A group is its samples; each comes once. What a store has that makes none (a
// *samples.Omitted of the sequence) is counted; another error of it, or a group that no scored
// episodes make, ends it. Equal groups and options give equal bytes.
//
// In memory are one group, its rows, and the names of all groups.
func Write(ctx context.Context, dir string, groups iter.Seq2[[]samples.Sample, error], o Options) (*Manifest, error) {
	if err := errors.Join(o.Check(), MayWrite(dir)); err != nil {
		return nil, err
	}
	var m *Manifest
	err := datasets.Whole(dir, func(fresh string) (err error) {
		m, err = writeInto(ctx, fresh, groups, &o)
		return err
	})
	return m, err
}

func writeInto(ctx context.Context, dir string, groups iter.Seq2[[]samples.Sample, error], o *Options) (*Manifest, error) {
	w, err := newWriter(dir, o)
	if err != nil {
		return nil, err
	}
	defer w.abandon()
	for g, err := range groups {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if o, ok := errors.AsType[*samples.Omitted](err); ok {
			w.out.AddMany(because(o.Why, "group %.64q", o.Group).Error(), o.Episodes)
			err = nil
		} else if err == nil {
			err = w.group(g)
		}
		if err != nil {
			return nil, err
		}
	}
	return w.finish()
}

// A writer writes groups into the files of an export.
type writer struct {
	dir         string
	options     *Options
	rows, index *os.File
	sheet       sheet
	buffer      *bufio.Writer // of index
	lines       *json.Encoder
	names       map[string]bool
	manifest    *Manifest
	out, lost   datasets.Tally
}

func newWriter(dir string, o *Options) (*writer, error) {
	f := formOf(o.Format)
	rows, err := os.Create(filepath.Join(dir, f.file()))
	if err != nil {
		return nil, err
	}
	index, err := os.Create(filepath.Join(dir, samplesName))
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	w := &writer{dir: dir, options: o, rows: rows, index: index, sheet: f.write(rows), buffer: bufio.NewWriter(index), names: map[string]bool{},
		manifest: &Manifest{Schema: 1, Settings: *o}, out: datasets.Tally{}, lost: datasets.Tally{}}
	w.lines = json.NewEncoder(w.buffer)
	w.lines.SetEscapeHTML(false)
	return w, nil
}

// abandon closes what an error left open; closing again does nothing.
func (w *writer) abandon() {
	w.rows.Close()
	w.index.Close()
}

func (w *writer) group(all []samples.Sample) error {
	if len(all) == 0 {
		return nil
	}
	g := &group{ordinal: len(w.names), samples: all, options: w.options, told: make([][]bool, len(all)), out: w.out, lost: w.lost}
	for i := range all {
		g.told[i] = make([]bool, len(all[i].Sequences))
	}
	if err := g.check(); err != nil {
		return err
	}
	if w.names[all[0].Group] {
		return fmt.Errorf("the group %.64q comes twice", all[0].Group)
	}
	w.names[all[0].Group] = true
	of, err := w.make(g)
	if err != nil {
		return fmt.Errorf("group %.64q: %w", all[0].Group, err)
	}
	return w.tell(g, of)
}

// make writes the rows of a group, if there is something to learn from it.
func (w *writer) make(g *group) ([][]int, error) {
	if g.flat() && !w.options.Flat {
		for i := range g.samples {
			g.leave(i, because("a group whose rewards are all equal", "%g", g.samples[i].Reward))
		}
		return nil, nil
	}
	return w.sheet.group(g)
}

// tell writes the lines of a group, whose rows follow those before.
func (w *writer) tell(g *group, of [][]int) error {
	rows := make([][]int, len(g.samples))
	for n, list := range of {
		for _, i := range list {
			rows[i] = append(rows[i], w.manifest.Rows+n)
		}
	}
	for i := range g.samples {
		l := lineOf(&g.samples[i], g.told[i])
		l.Rows = append(l.Rows, rows[i]...)
		if err := w.lines.Encode(l); err != nil {
			return err
		}
	}
	w.manifest.Groups++
	w.manifest.Samples += len(g.samples)
	w.manifest.Rows += len(of)
	return nil
}

func (w *writer) finish() (*Manifest, error) {
	m := w.manifest
	m.LeftOut, m.Losses = w.out.List(), w.lost.List()
	if m.Rows == 0 {
		return m, ErrNothing
	}
	err := errors.Join(w.sheet.close(), w.rows.Close(), w.buffer.Flush(), w.index.Close())
	if err != nil {
		return nil, err
	}
	if m.Files, err = datasets.Files(w.dir); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(filepath.Join(w.dir, manifestName), append(text, '\n'), 0o666)
}
