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

// lines yields the lines of a file that have something in them, with their numbers. An
// error that is no *LineError is the file's, and is yielded last.
func lines(r io.Reader) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 64<<10), maxLine)
		n := 0
		for s.Scan() {
			n++
			if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 && !yield(n, line) {
				return
			}
		}
		if s.Err() != nil {
			yield(-n-1, []byte(scanTrouble(s.Err())))
		}
	}
}

func scanTrouble(err error) string {
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Sprintf("it has more than %d bytes", maxLine)
	}
	return err.Error()
}

// read yields what each line holds, as parse reads it.
func read[T any](r io.Reader, parse func([]byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for n, line := range lines(r) {
			if n < 0 { // the file ends here, against its will
				yield(none, &LineError{-n, errors.New(string(line))})
				return
			}
			v, err := parse(line)
			if err != nil {
				v, err = none, &LineError{n, err}
			}
			if !yield(v, err) {
				return
			}
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
