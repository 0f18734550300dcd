package tinker

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/astra-arenas/astra/trainer/samples"
	"github.com/astra-arenas/astra/trainer/sequences"
)

// python is that of the environment with the tinker SDK and SkyRL tx.
func python(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.venv-tinker/bin/python")
	must(t, err)
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "..", ".ready")); err != nil {
		t.Skip("SkyRL tx and the tinker SDK are not there: make peers-tinker")
	}
	return path
}

// skyrl starts SkyRL tx over a random model, and returns its URL and the model's name.
func skyrl(t *testing.T) (url, base string) {
	t.Helper()
	exe := python(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "testdata/skyrltx.py", "serve", dir, fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "JAX_PLATFORMS=cpu", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes the engine with it
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // an interrupted server is no success
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", text[max(0, len(text)-4000):])
		}
	})
	return fmt.Sprintf("http://127.0.0.1:%d", port), filepath.Join(dir, "model")
}

// A model on a server that we did not write learns what its samples are rewarded for, is
// saved, and is loaded again.
func TestSkyRL(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // a server that died is not waited for
	defer cancel()
	url, base := skyrl(t)
	c, err := New(ctx, url, "tml-test", &Options{Attempts: 30})
	must(t, err)
	defer c.Close()
	m, err := c.CreateModel(ctx, base, seeded())
	must(t, err)

	batch := []samples.Sample{{Sequences: []sequences.Sequence{{Tokens: []int32{3, 4, 5, 6, 7, 8}, Mask: []bool{false, false, true, true, false, true}}}}}
	data, err := Data(batch, CrossEntropy, TokenMean)
	must(t, err)
	var before ForwardBackwardOutput
	for range 12 {
		out, err := m.ForwardBackward(ctx, data, CrossEntropy, nil)
		must(t, err)
		if before.Outputs == nil {
			before = out
		}
		_, err = m.OptimStep(ctx, NewAdam(0.02))
		must(t, err)
	}
	if c.form.Load() != jsonMedia {
		t.Error("SkyRL is said to take protobuf: then test that it does")
	}
	after, err := m.Forward(ctx, data, CrossEntropy, nil)
	must(t, err)
	if a, b := likelihood(data[0], before), likelihood(data[0], after); b <= a+1 {
		t.Errorf("log-likelihood of the sequence %g, after training %g", a, b)
	}

	path, err := m.SaveWeights(ctx, "one")
	must(t, err)
	sampler, err := m.SaveWeightsForSampler(ctx, "one")
	must(t, err)
	if !strings.HasPrefix(path, "tinker://") || !strings.HasPrefix(sampler, "tinker://") {
		t.Errorf("saved at %q and %q", path, sampler)
	}
	src, err := c.Source(ctx, sampler)
	must(t, err)
	got, err := src.Sample(ctx, []int32{3, 4}, 2, SamplingParams{MaxTokens: 2, Seed: new(uint64(1)), Temperature: 0, TopK: -1, TopP: 1})
	must(t, err)
	for _, s := range got.Sequences {
		if len(s.Tokens) != 2 || s.Tokens[0] != 5 || len(s.Logprobs) != 2 || s.StopReason != StopReasonLength {
			t.Errorf("sample %+v, want 5 first", s)
		}
	}

	other, err := c.CreateModel(ctx, base, seeded())
	must(t, err)
	must(t, other.LoadWeights(ctx, path, true))
	loaded, err := other.Forward(ctx, data, CrossEntropy, nil)
	must(t, err)
	if a, b := likelihood(data[0], after), likelihood(data[0], loaded); a-b > 1e-3 || b-a > 1e-3 {
		t.Errorf("log-likelihood %g, after loading %g", a, b)
	}
	for _, loss := range []string{ImportanceSampling, PPO, CISPO} {
		fresh, err := c.CreateModel(ctx, base, seeded())
		must(t, err)
		reinforce(t, fresh, loss)
	}
	if _, err := m.ForwardBackward(ctx, []Datum{{ModelInput: Input([]int32{1}), LossFnInputs: map[string]Tensor{"target_tokens": Ints([]int64{2})}}}, "no such loss", nil); !rejected(err) {
		t.Errorf("an unknown loss: %v", err)
	}
}

// seeded is a LoRA whose first weights are the same in every run: the server would draw a seed.
func seeded() LoRA {
	l := NewLoRA(4)
	l.Seed = new(int64(1))
	return l
}

// reinforce raises a sequence by its advantage, and lowers another, with a fresh model: Adam
// goes on for a while where it went before.
func reinforce(t *testing.T, m *Model, loss string) {
	tokens := []int32{20, 21, 22, 23}
	s := func(last int32, advantage float64) samples.Sample {
		all := append(tokens[:3:3], last)
		return samples.Sample{Advantage: advantage, Sequences: []sequences.Sequence{{Tokens: all, Mask: []bool{false, false, false, true}, Logprobs: []float64{0, 0, 0, -4}}}}
	}
	batch := []samples.Sample{s(30, 1), s(31, -1)}
	data, err := Data(batch, loss, TokenMean)
	must(t, err)
	first, err := m.Forward(t.Context(), data, loss, nil)
	must(t, err)
	for range 5 {
		_, err = m.ForwardBackward(t.Context(), data, loss, nil)
		must(t, err)
		_, err = m.OptimStep(t.Context(), NewAdam(0.002))
		must(t, err)
	}
	then, err := m.Forward(t.Context(), data, loss, nil)
	must(t, err)
	gap := func(o ForwardBackwardOutput) float32 {
		return o.Outputs[0]["logprobs"].Floats[2] - o.Outputs[1]["logprobs"].Floats[2]
	}
	if gap(then) < gap(first)+1 {
		t.Errorf("%s: the better one is ahead by %g, then by %g", loss, gap(first), gap(then))
	}
}

// likelihood is that of what was sampled, natural.
func likelihood(d Datum, o ForwardBackwardOutput) (sum float32) {
	for i, m := range d.LossFnInputs["mask"].Floats {
		sum += m * o.Outputs[0]["logprobs"].Floats[i]
	}
	return sum
}
