package gateway

import "errors"

// A hiddenError is trouble whose cause doors must not show: what a tool or setup says
// about hidden arguments may quote them.
type hiddenError struct {
	text  string
	cause error
}

func (e *hiddenError) Error() string { return e.text + "; astra check tells the arena's author why" }
func (e *hiddenError) Unwrap() error { return e.cause }

// Causes spells out an error with what it keeps from doors: for logs, and for the author
// of an arena.
func Causes(err error) string {
	if he, ok := errors.AsType[*hiddenError](err); ok {
		return err.Error() + ": " + he.cause.Error()
	}
	return err.Error()
}
