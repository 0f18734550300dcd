package astra

import (
	"errors"
	"fmt"
)

// A Fault says whose doing a failure was. It is attributed once, where it is noticed.
type Fault string

// Whose doing it was. Agent and tool faults are steps; the others end an episode invalid.
const (
	FaultAgent    Fault = "agent"
	FaultTool     Fault = "tool"
	FaultSandbox  Fault = "sandbox"
	FaultVerifier Fault = "verifier"
	FaultUpstream Fault = "upstream"
	FaultGateway  Fault = "gateway"
)

// A StepError is what kept a step from completing: there is no step, and it was not the
// agent's doing. Pure runtimes are tried once more on an instance rebuilt from the log.
type StepError struct {
	Step  int // the number the step would have had
	Fault Fault
	Err   error
}

func (e *StepError) Error() string { return fmt.Sprintf("step %d: %s: %v", e.Step, e.Fault, e.Err) }
func (e *StepError) Unwrap() error { return e.Err }

// A ScoreError says that an episode cannot be scored. It is never a reward of 0.
type ScoreError struct {
	Fault Fault
	Err   error
}

func (e *ScoreError) Error() string { return fmt.Sprintf("cannot score: %s: %v", e.Fault, e.Err) }
func (e *ScoreError) Unwrap() error { return e.Err }

// What callers branch on. Doors map each to their protocol in one table.
var (
	ErrNotFound     = errors.New("not found")
	ErrEnded        = errors.New("the episode is over")
	ErrBudget       = errors.New("the call budget is spent")
	ErrBusy         = errors.New("too many calls are waiting for this episode")
	ErrConflict     = errors.New("the idempotency key was used with other arguments")
	ErrInvalid      = errors.New("the episode is invalid")
	ErrUnscored     = errors.New("the episode has no score")
	ErrFull         = errors.New("no more episodes can be opened now")
	ErrRefused      = errors.New("refused")
	ErrToolTimeout  = errors.New("wall clock ran out")
	ErrDisagrees    = errors.New("the messages disagree with the log")
	ErrUnsupported  = errors.New("not supported here")
	ErrStoreCorrupt = errors.New("the store is damaged")
)
