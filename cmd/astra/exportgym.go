package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/astra-arenas/astra"
	"github.com/astra-arenas/astra/synth/rows"
)

// A gymTarget is the configuration that has NeMo Gym play exported rows at a server of ours.
type gymTarget struct {
	file, url string
	older     bool
}

func (t *gymTarget) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.file, "config", "", "YAML `FILE` to write for NeMo Gym; needs --url and --out")
	cmd.Flags().BoolVar(&t.older, "older", false, "the configuration is for a NeMo Gym before 0.7")
	cmd.Flags().StringVar(&t.url, "url", "", "`URL` of the faces, such as http://127.0.0.1:8082")
}

func (t *gymTarget) check(f *rowsFlags) error {
	switch {
	case t.file == "" && t.older:
		return failf("Say with --config where the YAML goes, or leave --older out.", "--older: no configuration is written")
	case t.file == "" && t.url == "":
		return nil
	case t.file == "":
		return failf("Say with --config where the YAML goes, or leave --url out.", "--url %s: no configuration is written", t.url)
	case filepath.Base(t.file) == "astra.yaml": // every command would read it, and refuse it
		return failf("Choose another name, such as nemo-gym.yaml.", "--config %s: astra reads its own settings from a file of that name", t.file)
	case t.url == "":
		return failf("Say with --url where astra serve --faces listens.", "--config %s needs a URL", t.file)
	case f.out == "":
		return failf("Write the rows to a file with --out.", "--config %s: NeMo Gym reads rows from a file", t.file)
	}
	if err := rows.WriteGymConfig(io.Discard, t.config(f, nil)); err != nil {
		return failf("Give the address that astra serve --faces told.", "--url: %w", err)
	}
	return nil
}

// steps is how many responses of a model the Gymnasium agent takes of a task at least. It gives
// a rollout that it cuts off a reward of 0 and does not tell the server, so where a task has a
// larger budget there are as many as its calls and turns: each response may be one of these.
const steps = 100

func (t *gymTarget) config(f *rowsFlags, arenas []*astra.Arena) *rows.GymConfig {
	c := &rows.GymConfig{URL: t.url, Rows: f.out, Split: astra.Split(f.split), Agent: f.opts.Agent, Gymnasium: f.opts.Gymnasium, Steps: steps, Older: t.older}
	for n, a := range arenas {
		for i := range a.Tasks {
			c.Steps = max(c.Steps, a.Tasks[i].Calls()+len(a.Tasks[i].Turns))
		}
		if n == 0 {
			c.License = a.License
		} else if c.License != a.License {
			c.License = ""
		}
	}
	return c
}

// write writes the configuration, if one is asked for.
func (t *gymTarget) write(a *app, refs []string, f *rowsFlags) error {
	if t.file == "" {
		return nil
	}
	var arenas []*astra.Arena
	for _, ref := range refs {
		_, arena, err := a.arenaAt(ref)
		if err != nil {
			return err
		}
		arenas = append(arenas, arena)
	}
	c := t.config(f, arenas)
	if err := writeWhole(t.file, func(w io.Writer) error { return rows.WriteGymConfig(w, c) }); err != nil {
		return err
	}
	a.note("the configuration is written to %s", t.file)
	return nil
}
