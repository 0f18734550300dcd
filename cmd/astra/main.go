// Command astra serves arenas to agents, rolls them out, scores, keeps and exports their
// episodes. `astra help` tells the rest.
//
// One process owns a store. Every command that needs it calls connect: it becomes the
// owner, with both doors open on loopback, or finds out who is; either way it then
// speaks to the control side as a client. Only this package wires the others together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(Main()) }

// Main runs astra with the arguments of the process and returns its exit code: 0, 1 for
// what went wrong, 2 for a command line that makes no sense.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "astra: finishing what runs; ^C again ends at once")
		cancel(errInterrupted)
		<-signals
		os.Exit(130)
	}()
	// A reader that has seen enough (`astra episodes | head -1`) is no reason to die without
	// giving the store back: writing fails instead.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err == nil || context.Cause(ctx) != errInterrupted {
		return report(os.Stderr, err)
	}
	if !errors.Is(err, errInterrupted) && !errors.Is(err, context.Canceled) {
		report(os.Stderr, err)
	}
	return 130
}

var errInterrupted = errors.New("interrupted")

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	out := &output{w: stdout}
	a := newApp(stdin, out, stderr, os.LookupEnv)
	root := a.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return out.err
}

// output keeps the first error of writing: half of what was asked for is not success.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// A problem is an error with what to do about it.
type problem struct {
	err    error
	remedy string
	code   int // of the process; 0 is 1
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func failf(remedy, format string, args ...any) error {
	return &problem{err: fmt.Errorf(format, args...), remedy: remedy}
}

// errQuiet ends a command with exit code 1 whose output has already said why.
var errQuiet = errors.New("failed")
