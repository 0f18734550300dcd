package datasets_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/astra-arenas/astra/trainer/datasets"
)

// What every format writes is loaded by the packages that trainers use, and is what the
// trajectories say: see testdata/peers.py.
func TestPeers(t *testing.T) {
	python := peers(t)
	dir := t.TempDir()
	for _, f := range datasets.Formats() {
		for _, parquet := range []bool{false, true} {
			for _, text := range []bool{false, true} {
				if text && f != datasets.TRL {
					continue
				}
				name := strings.ReplaceAll(string(f), "-", "_") + map[bool]string{true: "_string"}[text] + map[bool]string{true: "-parquet", false: "-jsonl"}[parquet]
				_, err := datasets.Write(filepath.Join(dir, name), sequence(talks(t)), nil,
					datasets.Options{Format: f, Parquet: parquet, StringArguments: text, Eval: 0.3, ShardRows: 2})
				must(t, err)
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), python, "testdata/peers.py", "testdata/talks.jsonl", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	for _, want := range []string{"trl-jsonl 4 rows", "trl-parquet 6 rows", "trl_string-jsonl 6 rows", "llama_factory-parquet 6 rows", "atif-jsonl 6 rows"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in what the peers say", want)
		}
	}
}

// peers is the Python that has them.
func peers(t *testing.T) string {
	t.Helper()
	python, err := filepath.Abs("../../.venv-datasets/bin/python")
	must(t, err)
	if _, err := os.Stat(python); err != nil {
		t.Skip("the datasets package and its kind are not there: make peers")
	}
	return python
}
