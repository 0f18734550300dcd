package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/astra-arenas/astra"
)

// Read yields the trajectories of a JSON lines file, which r reads and file names in errors.
// A line that is none is a *RowError, and the next is read. Keys that a trajectory does not
// have are refused, as what they say would be lost; inside of messages they are the
// harness's own.
func Read(file string, r io.Reader) iter.Seq2[astra.Trajectory, error] {
	return read(file, r, parseTrajectory)
}

func parseTrajectory(line []byte) (t astra.Trajectory, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("no trajectory: %w; want {messages, tools, metadata}, as astra writes it", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return t, errors.New("more than one JSON value; write one a line")
	}
	if len(t.Messages) == 0 {
		return t, errors.New("no trajectory: it has no messages; want {messages, tools, metadata}, as astra writes it")
	}
	return t, nil
}
