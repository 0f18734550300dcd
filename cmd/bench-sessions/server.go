package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A server is a process that is measured.
type server struct {
	cmd  *exec.Cmd
	dir  string // its own, with its log
	gone chan struct{}

	stops func() stops // since it was asked last; nil if nobody knows
}

// startTime is how long a server may take until it listens; NeMo Gym imports for seconds.
const startTime = time.Minute

// start runs a command until stop, and returns once all addrs are listened on.
func start(ctx context.Context, dir string, env []string, addrs []string, name string, args ...string) (*server, error) {
	s := &server{cmd: exec.CommandContext(ctx, name, args...), dir: dir, gone: make(chan struct{})}
	log, err := os.Create(s.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.gone)
	}()
	for _, addr := range addrs {
		if err := s.listens(ctx, addr); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

func (s *server) listens(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it did not listen on %s within %v", addr, startTime))
	defer cancel()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-s.gone:
			return fmt.Errorf("%s ended: %s", s.cmd.Path, s.lastWords())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) log() string { return filepath.Join(s.dir, "log") }

// lastWords is the end of its log.
func (s *server) lastWords() string {
	const most = 600
	b, _ := os.ReadFile(s.log())
	return strings.TrimSpace(string(b[max(len(b)-most, 0):]))
}

// stop kills it: whatever it would save is measured no more.
func (s *server) stop() {
	s.cmd.Process.Kill()
	<-s.gone
}

// resident is its memory in KiB, as RSS, and 0 where the system does not tell. Pages that it
// maps in several places, as forks of an image are, count once for each.
func (s *server) resident() float64 {
	b, _ := os.ReadFile(s.proc("status"))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kib
		}
	}
	return 0
}

// busy is how long it has kept cores busy, as far as the system tells.
func (s *server) busy() time.Duration {
	const tick = time.Second / 100 // the kernel's unit for user space, on every architecture of Go's
	b, _ := os.ReadFile(s.proc("stat"))
	_, rest, _ := strings.Cut(string(b), ") ") // after the command, which may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// stopped is how long its garbage collector held it up since this was asked last.
func (s *server) stopped() stops {
	if s.stops == nil {
		return stops{}
	}
	return s.stops()
}

// files is how many it has open, sockets included.
func (s *server) files() int {
	names, _ := os.ReadDir(s.proc("fd"))
	return len(names)
}

func (s *server) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name)
}

// A peak is the most that a server had of each while it was watched.
type peak struct {
	resident float64 // KiB
	files    int
}

// watch looks every so often until the function that it returns is called.
func (s *server) watch() (stop func() peak) {
	const every = 50 * time.Millisecond
	done, result := make(chan struct{}), make(chan peak)
	look := func(p peak) peak { return peak{max(p.resident, s.resident()), max(p.files, s.files())} }
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for p := look(peak{}); ; {
			select {
			case <-done:
				result <- look(p)
				return
			case <-tick.C:
				p = look(p)
			}
		}
	}()
	return func() peak {
		close(done)
		return <-result
	}
}

// freeAddrs are addresses of this machine that nobody listens on. Their ports are below those
// that systems give to whoever asks for any, which would be taken before a server starts there.
func freeAddrs(n int) (addrs []string, err error) {
	const from, to, tries = 10_000, 32_000, 100
	for range n * tries {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(from+rand.IntN(to-from)))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err != nil {
			continue
		}
		defer l.Close() // when all are found, so that they differ
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, err
}
