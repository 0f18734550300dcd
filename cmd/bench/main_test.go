package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	i := 0
	ts, err := measure(101, func(int) error { return nil }, func() { i++ })
	if err != nil || len(ts) != 101 || i != 101 {
		t.Fatalf("measure timed %d runs and did %d things between, %v", len(ts), i, err)
	}
	for i := range ts {
		ts[i] = time.Duration(i) * time.Microsecond
	}
	if ts.at(.5) != 50 || ts.at(.99) != 99 {
		t.Errorf("of 0 to 100 µs p50 is %v and p99 %v", ts.at(.5), ts.at(.99))
	}
	broken := errors.New("broken")
	if _, err := measure(3, func(int) error { return broken }); err != broken {
		t.Errorf("measure(broken) error = %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, v := range [][3]float64{{1, 2, 3}, {3, 1, 2}, {2, 3, 1}, {3, 2, 1}, {2, 2, 9}} {
		if median(v) != 2 {
			t.Errorf("median(%v) = %v, want 2", v, median(v))
		}
	}
}

// A peer that cannot be had is a row that says so, and takes no other row away.
func TestEpisodeRow(t *testing.T) {
	for _, test := range []struct {
		rate, process float64
		err           error
		want          string
	}{
		{20, 5, nil, "20/s, 4 × that"},
		{20, 0, nil, "20/s"},
		{0, 5, errors.New("no python3"), "not measured: no python3"},
	} {
		if r := episodeRow("x", test.rate, test.process, test.err); r.Measured != test.want || r.Met != nil {
			t.Errorf("episodeRow(%v, %v, %v) = %+v, want %q", test.rate, test.process, test.err, r, test.want)
		}
	}
}

func TestPrint(t *testing.T) {
	for want, r := range map[string]row{"missed\n": judged("x", "9", "≤ 5", false), "met\n": judged("x", "4", "≤ 5", true), "-  ": info("x", "4")} {
		var out bytes.Buffer
		if print(&out, r); !strings.Contains(out.String(), want) {
			t.Errorf("%+v prints as %q, without %q", r, out.String(), want)
		}
	}
}
