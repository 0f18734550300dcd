package ray

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	yaml "go.yaml.in/yaml/v3"
)

// A Row is a task as a trainer draws it: what its episode is opened with, and its public view.
// It has nothing that decides a score, which the gateway gives.
type Row struct {
	Arena  string // name@digest
	Task   string
	Seed   int64     // of the world; NeMo Gym's face takes the task's own
	Prompt []Message // what the policy sees before it acts
	Tools  []Tool    // in view at first
}

// A Message is one of a chat.
type Message struct {
	Role    string `json:"role" parquet:"role"`
	Content string `json:"content" parquet:"content"`
}

// A Tool is what the policy is shown of one.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON Schema
}

// A Run is what WriteVerl and WriteNeMoRL write.
type Run struct {
	Train, Eval []Row
	Model       string // the policy, as the trainer finds it
	Group       int    // episodes a task
	Batch       int    // tasks a step
	Steps       int
	Rate        float64 // of verl; NeMo RL's base has its own
}

// check says what is wrong with a run.
func (r *Run) check() error {
	if len(r.Train) == 0 || r.Model == "" {
		return errors.New("a run has a model and one task or more to train on")
	}
	if r.Group < 2 || r.Batch < 1 || r.Steps < 1 || !(r.Rate > 0) {
		return errors.New("a run has groups of two or more, a batch, steps and a rate above 0")
	}
	if r.Batch > len(r.Train) {
		return fmt.Errorf("a batch of %d is more than the %d tasks to train on: trainers leave out what does not fill one", r.Batch, len(r.Train))
	}
	for i, row := range slices.Concat(r.Train, r.Eval) {
		if row.Arena == "" || row.Task == "" || len(row.Prompt) == 0 {
			return fmt.Errorf("row %d: want an arena, a task and a prompt", i)
		}
		for _, t := range row.Tools {
			if !json.Valid(t.Parameters) {
				return fmt.Errorf("row %d: the parameters of %.60q are no JSON", i, t.Name)
			}
		}
	}
	return nil
}

// eval are the rows to evaluate on; trainers do not start without.
func (r *Run) eval() []Row {
	if len(r.Eval) == 0 {
		return r.Train[:1]
	}
	return r.Eval
}

// epochs are how often the rows are gone through for all steps.
func (r *Run) epochs() int {
	each := len(r.Train) / r.Batch
	return (r.Steps + each - 1) / each
}

// dotted is a Python class by its module: what verl makes an object of.
var dotted = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$`)

func writeYAML(dir, name string, v any) error {
	b, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}
