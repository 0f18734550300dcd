package datasets

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxRowBytes is what one row may have. The longest conversations have a few hundred KB; a
// file that is no JSON lines must not be taken into memory whole.
const MaxRowBytes = 16 << 20

// A RowError says what is wrong with one row, where, and what to do. The rows after it can
// be read all the same.
type RowError struct {
	File string
	Line int // from 1
	Msg  string
}

// Error reads "file.jsonl:3: what is wrong".
func (e *RowError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

var errTooLong = errors.New("too long")

// read yields what f makes of each line that is not empty. An error of f is placed and
// yielded for its line; an error of the reader is yielded last.
func read[T any](file string, r io.Reader, f func(line []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		br := bufio.NewReaderSize(r, 64<<10)
		for n := 1; ; n++ {
			line, err := nextLine(br)
			if err == io.EOF {
				return
			}
			if err != nil && err != errTooLong {
				yield(none, fmt.Errorf("%s: %w", file, err))
				return
			}
			if err == nil && len(line) == 0 {
				continue
			}
			v := none
			if err == errTooLong {
				err = &RowError{file, n, fmt.Sprintf("more than %d bytes; write one JSON object a line", MaxRowBytes)}
			} else if v, err = f(line); err != nil {
				v, err = none, &RowError{file, n, err.Error()}
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// nextLine is a line without white space around it. A longer one is passed over.
func nextLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
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
