package main

import (
	"math"
	"testing"
)

func TestMemTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       24689912 kB\nMemFree: 1 kB\n": 24689912 << 10,
		"MemFree: 1 kB\n": math.MaxInt64,
		"MemTotal: x kB":  math.MaxInt64,
		"":                math.MaxInt64,
	} {
		if got := memTotal([]byte(text)); got != want {
			t.Errorf("memTotal(%q) = %d, want %d", text, got, want)
		}
	}
	if n := machineMemory(); n < 64<<20 {
		t.Errorf("this machine has %d bytes of memory", n)
	}
}
