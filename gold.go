package astra

import "encoding/json"

// Interpolate replaces references like "$1.value.items.0.id" in a gold call's arguments
// by the values that the gold calls before it returned; values[0] is that of $1.
func Interpolate(args json.RawMessage, values []json.RawMessage) (json.RawMessage, error) {
	panic("todo")
}
