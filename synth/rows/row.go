package rows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxRowBytes is what one row may have. The largest published ones have some 250 KB; merged
// environments, which carry each step's model output, a few MB.
const MaxRowBytes = 16 << 20

// A RowError says what is wrong with one row, where, and what to do.
type RowError struct {
	File string
	Line int // from 1: where the row begins
	Msg  string
	Fix  string // "" if there is nothing to do but leave the row out
}

// Error reads "file.jsonl:3: what is wrong; what to do".
func (e *RowError) Error() string {
	text := fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	if e.Fix != "" {
		text += "; " + e.Fix
	}
	return text
}

// complain makes an error of a row whose place is not known yet.
func complain(fix, format string, args ...any) *RowError {
	return &RowError{Msg: fmt.Sprintf(format, args...), Fix: fix}
}

// An Object is one row of a file.
type Object struct {
	Line int // from 1: where the row begins
	Data json.RawMessage
}

// Objects yields a file's rows: an object a line, a list of objects a line, or one indented
// document, which is what the paper's last step writes. What cannot be read of one line is
// an error there; an error of the reader is yielded last.
func Objects(file string, r io.Reader) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		l := &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
		for {
			line, err := l.next()
			if err == io.EOF {
				return
			}
			if err != nil && !errors.Is(err, errTooLong) {
				yield(Object{Line: l.n}, fmt.Errorf("%s: %w", file, err))
				return
			}
			at := l.n
			if err == nil && (string(line) == "{" || string(line) == "[") {
				line, err = l.rest(line)
			}
			if !yieldRows(file, at, line, err, yield) {
				return
			}
		}
	}
}

// yieldRows yields what stands in one line; false is the end.
func yieldRows(file string, at int, line []byte, err error, yield func(Object, error) bool) bool {
	found, why := splitRows(line, err)
	if why != nil {
		why.File, why.Line = file, at
		return yield(Object{Line: at}, why)
	}
	for _, data := range found {
		if !yield(Object{at, data}, nil) {
			return false
		}
	}
	return true
}

// splitRows are the objects of one line.
func splitRows(line []byte, err error) ([]json.RawMessage, *RowError) {
	switch {
	case err != nil:
		return nil, complain("write an object a line", "more than %d bytes", MaxRowBytes)
	case len(line) == 0:
		return nil, nil
	case line[0] == '{' && json.Valid(line):
		return []json.RawMessage{line}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(line, &list); err != nil {
		return nil, complain("write one JSON object a line", "%v", jsonTrouble(line, err))
	}
	for i, item := range list {
		if item = bytes.TrimSpace(item); item[0] != '{' {
			return nil, complain("write one JSON object a line", "item %d of a list is no object", i+1)
		}
	}
	return list, nil
}

// jsonTrouble says what is wrong in terms of JSON, not of Go's types.
func jsonTrouble(line []byte, err error) error {
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a %s where an object was expected", bad.Value)
	}
	if line[0] == '{' { // it was read as a list
		err = json.Unmarshal(line, &map[string]json.RawMessage{})
	}
	return fmt.Errorf("no JSON: %w", err)
}

var errTooLong = errors.New("too long")

// A lineReader reads lines of bounded length. A longer one is passed over and told.
type lineReader struct {
	r *bufio.Reader
	n int // of the line that was read last
}

// next is the next line without white space around it, which must not be kept: rows are.
func (l *lineReader) next() ([]byte, error) {
	l.n++
	var line []byte
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		if long = long || len(line)+len(part) > MaxRowBytes; !long {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) == 0 && !long:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			return nil, errTooLong
		}
		return bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\uFEFF"))), nil
	}
}

// rest is a first line with all that comes after it.
func (l *lineReader) rest(first []byte) ([]byte, error) {
	more, err := io.ReadAll(io.LimitReader(l.r, MaxRowBytes+1))
	if err != nil {
		return nil, err
	}
	if len(more) > MaxRowBytes {
		if _, err := io.Copy(io.Discard, l.r); err != nil {
			return nil, err
		}
		return nil, errTooLong
	}
	return bytes.TrimSpace(append(append(first, '\n'), more...)), nil
}

// read yields what f makes of each row. An error of f is placed and yielded for its row.
func read[T any](file string, r io.Reader, f func(json.RawMessage) (T, *RowError)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range Objects(file, r) {
			var v T
			if err == nil {
				var why *RowError
				if v, why = f(row.Data); why != nil {
					why.File, why.Line = file, row.Line
					err = why
				}
			}
			if !yield(v, err) {
				return
			}
		}
	}
}
