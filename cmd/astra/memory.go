package main

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/astra-arenas/astra/gateway"
	"github.com/astra-arenas/astra/gateway/certify"
	"github.com/astra-arenas/astra/sandbox"
)

// What an idle episode's world takes that is not put away, about: 110 KiB of JavaScript,
// 220 KiB of Python.
const worldSize = 256 << 10

// unknownMemory stands for that of a machine which does not tell.
const unknownMemory = 4 << 30

// machineMemory is how many bytes this process may use: what its control group allows, or
// what the machine has.
func machineMemory() int64 {
	least := int64(math.MaxInt64)
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(file); err == nil {
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil && n > 0 {
				least = min(least, n)
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		least = min(least, memTotal(b))
	}
	if least == math.MaxInt64 {
		return unknownMemory
	}
	return least
}

// residency is how many bytes of memory this process has, looked up at most every tenth of a
// second, and how many it may have before it takes no more episodes: seven eighths of most, as
// what is open grows. Nil where the system does not tell.
func residency(most int64) gateway.Memory {
	if resident() == 0 {
		return nil
	}
	var mu sync.Mutex
	var used int64
	var at time.Time
	return func() (int64, int64) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(at) > 100*time.Millisecond {
			used, at = resident(), time.Now()
		}
		return used, most - most/8
	}
}

// resident reads the second number of "35021 2101 1431 …", in pages; 0 if it cannot.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// memTotal reads the line "MemTotal: 24689912 kB".
func memTotal(meminfo []byte) int64 {
	for line := range bytes.Lines(meminfo) {
		f := bytes.Fields(line)
		if len(f) == 3 && string(f[0]) == "MemTotal:" {
			if kb, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil && kb > 0 {
				return kb << 10
			}
		}
	}
	return math.MaxInt64
}

// bodies is what requests' bodies may take at once: a sixteenth of the memory, as the rows that
// a verify is made of take four times as much, and no less than the largest two.
func (a *app) bodies() int64 {
	return max(cmp.Or(a.config.MaxMemory, machineMemory())/16, 128<<20)
}

// bounds are what idle episodes may take: a quarter of the memory for worlds, an eighth for
// records and worlds put away (Go's collector doubles that). The kernel's bound on
// mappings may be lower; then it is said once what to raise.
func (a *app) bounds(ctx context.Context, pool *sandbox.Pool) gateway.Options {
	memory := cmp.Or(a.config.MaxMemory, machineMemory())
	most := int(memory / 4 / worldSize)
	room, why := pool.Room()
	room -= room / 8 // for worlds that are being called, and arenas' own
	o := gateway.Options{TTL: a.config.TTL, MaxOpen: a.config.MaxOpen, MaxLive: a.config.MaxLive, MaxBytes: memory / 8, Memory: residency(memory), Logger: a.logger()}
	if a.config.Certified {
		o.Certifier = certify.Certifier{}
	}
	if o.MaxLive == 0 {
		o.MaxLive = max(min(most, room), 1)
	}
	if why != "" && (room < most || room < o.MaxLive) {
		a.logger().InfoContext(ctx, "fewer worlds stay live than memory has room for", "room", room, "max_live", o.MaxLive, "reason", why)
	}
	o.MaxLive = min(o.MaxLive, max(room, 1))
	return o
}
