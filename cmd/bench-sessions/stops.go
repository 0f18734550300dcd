package main

import (
	"encoding/binary"
	"io"
	"os"
	"strconv"
	"strings"
)

// stops are how long a server's garbage collector held it up, in milliseconds.
type stops struct {
	Total   float64 `json:"total_ms"`
	Longest float64 `json:"longest_ms"`
}

func (s *stops) add(ms float64) {
	s.Total += ms
	s.Longest = max(s.Longest, ms)
}

// goStops reads what Go's gctrace has added to a log since it was asked last.
func goStops(log string) func() stops {
	var at int64
	return func() (s stops) {
		f, err := os.Open(log)
		if err != nil {
			return s
		}
		defer f.Close()
		b, _ := io.ReadAll(io.NewSectionReader(f, at, 1<<30))
		whole := strings.LastIndexByte(string(b), '\n') + 1
		at += int64(whole)
		for line := range strings.Lines(string(b[:whole])) {
			s.trace(line)
		}
		return s
	}
}

// trace adds the two stops of a cycle, before and after it marks beside the program:
//
//	gc 7 @0.41s 1%: 0.02+1.8+0.004 ms clock, …
func (s *stops) trace(line string) {
	if !strings.HasPrefix(line, "gc ") {
		return
	}
	_, clock, _ := strings.Cut(line, ": ")
	clock, _, ok := strings.Cut(clock, " ms clock")
	parts := strings.Split(clock, "+")
	if !ok || len(parts) != 3 {
		return
	}
	for _, part := range []string{parts[0], parts[2]} {
		if ms, err := strconv.ParseFloat(part, 64); err == nil {
			s.add(ms)
		}
	}
}

// pythonStops reads what testdata/stops.py keeps in a file, and sets it to zero.
func pythonStops(file string) func() stops {
	return func() stops {
		b, err := os.ReadFile(file)
		if err != nil || len(b) != stopsSize {
			return stops{}
		}
		clearStops(file)
		return stops{float64(binary.LittleEndian.Uint64(b)) / 1e6, float64(binary.LittleEndian.Uint64(b[8:])) / 1e6}
	}
}

const stopsSize = 16

// clearStops writes in place: the server has the file mapped.
func clearStops(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, stopsSize), 0)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
