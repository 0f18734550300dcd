package ray

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	yaml "go.yaml.in/yaml/v3"
)

// A Run is what runs of verl and of NeMo RL have in common.
type Run struct {
	Model string // the policy, as the trainer finds it
	Group int    // episodes a task
	Batch int    // tasks a step
	Steps int
}

// check says what is wrong with a run on so many tasks.
func (r *Run) check(tasks int) error {
	if tasks == 0 || r.Model == "" {
		return errors.New("a run has a model and one task or more to train on")
	}
	if r.Group < 2 || r.Batch < 1 || r.Steps < 1 {
		return errors.New("a run has groups of two or more, a batch and steps")
	}
	if r.Batch > tasks {
		return fmt.Errorf("a batch of %d is more than the %d tasks to train on: trainers leave out what does not fill one", r.Batch, tasks)
	}
	return nil
}

// epochs are how often so many tasks are gone through for all steps.
func (r *Run) epochs(tasks int) int {
	each := tasks / r.Batch
	return (r.Steps + each - 1) / each
}

// evalRows are the rows to evaluate on; trainers do not start without.
func evalRows[R any](train, eval []R) []R {
	if len(eval) == 0 {
		return train[:1]
	}
	return eval
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
