package synth

import (
	"bytes"
	"encoding/json"
)

// JSON is a value as compact JSON: map keys sorted, and nothing escaped that need not be, so
// that equal values have equal bytes and texts stay readable.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
