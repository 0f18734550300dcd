package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

const (
	patience  = 2 * time.Second // for a process that was told to end
	maxStderr = 256 << 10       // bytes that are logged of one process
	maxLine   = 4 << 10         // bytes that are logged of one line
)

// A process is a server that was started for one session.
type process struct {
	cmd           *exec.Cmd
	stdin, stdout *os.File
	stderr        *complaints
	silent        chan struct{} // closed when nobody can write to stdout any more
	done          chan struct{} // closed when the process has ended; then err is how
	err           error
}

// start runs a target's command in a process group of its own, with PATH, HOME and what
// the operator gave it, and nothing else of our environment.
func (t *target) start(own scratch) (*process, error) {
	words := make([]string, len(t.Command))
	for i, word := range t.Command {
		words[i] = own.fill(word)
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = t.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		cmd.Env = append(cmd.Env, name+"="+own.fill(t.Env[name]))
	}
	ownGroup(cmd)
	cmd.WaitDelay = patience // a grandchild may hold stderr open
	p := &process{cmd: cmd, silent: make(chan struct{}), done: make(chan struct{}),
		stderr: &complaints{left: maxStderr, clean: t.clean, log: t.rt.opts.Logger.With("upstream", t.alias)}}
	cmd.Stderr = p.stderr
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("its command does not start: %w", err)
	}
	go func() {
		p.err = cmd.Wait()
		p.kill() // whom it left behind; later the group's number may be another's
		close(p.done)
	}()
	return p, nil
}

// start makes pipes that are ours alone to close: those of os/exec are closed when the
// process ends, read or not.
func (p *process) start() error {
	in, stdin, err := os.Pipe()
	if err != nil {
		return err
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		return errors.Join(err, in.Close(), stdin.Close())
	}
	p.cmd.Stdin, p.cmd.Stdout, p.stdin, p.stdout = in, out, stdin, stdout
	err = p.cmd.Start()
	err = errors.Join(err, in.Close(), out.Close())
	if err != nil {
		stdin.Close()
		stdout.Close()
	}
	return err
}

// end waits a little for a process whose input was closed, and then kills all that it started.
func (p *process) end() {
	p.stdin.Close() // again, if the client did not come to it
	select {
	case <-p.done:
	case <-time.After(patience):
		p.kill()
	}
	<-p.done
	p.stdout.Close() // a process that left the group may still hold the other end
}

func (p *process) kill() { killGroup(p.cmd.Process) }

// fate says how the process ended; "" if it has not.
func (p *process) fate() string {
	select {
	case <-p.silent:
	case <-p.done:
	default:
		return ""
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		return "it closed its output"
	}
	how := "its process ended"
	if p.err != nil {
		how += ": " + p.err.Error()
	}
	if last := p.stderr.lastLine(); last != "" {
		how += "; its last words: " + last
	}
	return how
}

// spawn begins a session with a process.
func (s *session) spawn() (transport.Interface, error) {
	var err error
	if s.own, err = s.newScratch(); err != nil {
		return nil, err
	}
	p, err := s.start(s.own)
	if err != nil {
		s.own.remove()
		return nil, err
	}
	s.hangUp = func() {
		p.end()
		s.own.remove()
	}
	stdio := transport.NewIO(&lines{r: bufio.NewReaderSize(p.stdout, 64<<10), tooLong: s.ear.giveUp, ended: p.silent}, p.stdin, nil)
	transport.WithCommandLogger(slog.New(slog.DiscardHandler))(stdio)
	return &pipe{stdio, s.ear, p}, nil
}

// A pipe is the library's transport to a process, with our ear on it.
type pipe struct {
	*transport.Stdio
	ear *ear
	p   *process
}

// SendRequest kills the process when ctx ends: one that does not read its input would
// otherwise keep the library writing for ever.
func (p *pipe) SendRequest(ctx context.Context, r transport.JSONRPCRequest) (*transport.JSONRPCResponse, error) {
	defer context.AfterFunc(ctx, p.p.kill)()
	answer, err := p.ear.hear(ctx, p.Stdio.SendRequest, r)
	if err != nil && ctx.Err() == nil && !errors.Is(err, errTooLong) {
		if how := p.p.fate(); how != "" {
			err = errors.New(how)
		}
	}
	return answer, err
}

// SendNotification is bounded as SendRequest is.
func (p *pipe) SendNotification(ctx context.Context, n mcp.JSONRPCNotification) error {
	defer context.AfterFunc(ctx, p.p.kill)()
	return p.Stdio.SendNotification(ctx, n)
}

// lines passes on what may be messages: lines that begin with {, up to maxMessage bytes.
// Servers print banners; the library would read a line of any length.
type lines struct {
	r       *bufio.Reader
	tooLong func()
	ended   chan struct{} // closed at the end
	over    bool
	line    []byte
	rest    []byte // of line
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.next(); err != nil {
			if !l.over {
				l.over = true
				close(l.ended)
			}
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// next reads one line. One that is too long is dropped.
func (l *lines) next() error {
	l.line = l.line[:0]
	dropped := false
	for {
		part, err := l.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return io.EOF // whatever it was: the library would log it
		}
		if !dropped && len(l.line)+len(part) > maxMessage {
			dropped = true
			l.line = nil
			l.tooLong()
		}
		if !dropped {
			l.line = append(l.line, part...)
		}
		if err == nil {
			break
		}
	}
	if bytes.HasPrefix(bytes.TrimSpace(l.line), []byte("{")) {
		l.rest = l.line
	}
	return nil
}

// complaints logs what a process writes to stderr, line by line, up to a bound.
type complaints struct {
	clean *scrubber
	log   *slog.Logger

	mu   sync.Mutex
	left int
	line []byte
	last string
}

// Write implements io.Writer. It takes everything, so that the process does not wait.
func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for part := range bytes.Lines(b) {
		if c.left -= len(part); c.left < 0 {
			break
		}
		c.line = append(c.line, part...)
		if part[len(part)-1] == '\n' {
			c.say()
		}
	}
	return len(b), nil
}

// say logs a line as a whole: a secret in two halves would not be recognized.
func (c *complaints) say() {
	if line := clip(c.clean.text(string(bytes.TrimSpace(c.line))), maxLine); line != "" {
		c.last = line
		c.log.Debug("upstream says", "text", line)
	}
	c.line = c.line[:0]
}

func (c *complaints) lastLine() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) > 0 {
		c.say()
	}
	return c.last
}
