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

func TestResidency(t *testing.T) {
	look := residency(8 << 20)
	if look == nil {
		t.Skip("this system does not tell how much memory a process has")
	}
	if used, most := look(); used < 1<<20 || most != 7<<20 {
		t.Errorf("%d bytes of at most %d", used, most)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"512MiB": 512 << 20, "6GiB": 6 << 30, "6": 0, "GiB": 0, "-1GiB": 0, "0MiB": 0, "6GB": 0, "99999999999GiB": 0} {
		if got, err := size(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("size(%q) = %d, %v", text, got, err)
		}
	}
}
