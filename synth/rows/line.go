package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

// maxLine is the length of a row: the released ones have up to 250,000 characters.
const maxLine = 16 << 20

// A LineError says which row of a file could not be read, and why.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the row.
func (e *LineError) Unwrap() error { return e.Err }

// read yields what each line holds, as parse reads it; empty ones hold nothing. A line
// that is too long, or trouble with the file, ends it.
func read[T any](r io.Reader, parse func([]byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 64<<10), maxLine)
		n := 0
		for s.Scan() {
			n++
			line := bytes.TrimSpace(s.Bytes())
			if len(line) == 0 {
				continue
			}
			v, err := parse(line)
			if err != nil {
				v, err = none, &LineError{n, err}
			}
			if !yield(v, err) {
				return
			}
		}
		if err := s.Err(); err != nil {
			if errors.Is(err, bufio.ErrTooLong) {
				err = fmt.Errorf("it has more than %d bytes", maxLine)
			}
			yield(none, &LineError{n + 1, err})
		}
	}
}

// decode reads JSON that may stand in a string, as the released data has it.
func decode(raw json.RawMessage, v any) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	return json.Unmarshal(raw, v)
}

// encode is compact JSON without escapes of <, > and &.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// clip bounds what messages quote.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
