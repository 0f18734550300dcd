package astra

import "encoding/json"

// A Schema is a compiled JSON Schema.
type Schema struct{}

// CheckArgs holds arguments to the tool's input schema. The error is for the agent to
// read: it names the argument and what was expected.
func (t *Tool) CheckArgs(args json.RawMessage) error { panic("todo") }

// CheckResult holds a value to the tool's output schema, if there is one.
func (t *Tool) CheckResult(value json.RawMessage) error { panic("todo") }
