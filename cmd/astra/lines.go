package main

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/astra-arenas/astra/synth"
)

// A lineFile is a file of JSON lines in the making, which takes its place when it is whole.
type lineFile struct {
	path string
	file *os.File
	w    *bufio.Writer
}

func newLines(path string) (*lineFile, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return nil, err
	}
	return &lineFile{path, f, bufio.NewWriter(f)}, nil
}

func (l *lineFile) write(v any) error {
	b, err := synth.JSON(v)
	if err == nil {
		_, err = l.w.Write(append(b, '\n'))
	}
	return err
}

// again begins anew: what was written is forgotten.
func (l *lineFile) again() error {
	_, err := l.file.Seek(0, io.SeekStart)
	l.w.Reset(l.file)
	return errors.Join(err, l.file.Truncate(0))
}

// finish puts the file in its place.
func (l *lineFile) finish() error {
	err := errors.Join(l.w.Flush(), l.file.Chmod(0o644), l.file.Close())
	if err != nil {
		return err
	}
	return os.Rename(l.file.Name(), l.path)
}

// abandon takes the file away, if it did not take its place.
func (l *lineFile) abandon() {
	l.file.Close()
	os.Remove(l.file.Name()) // fails after finish
}

// tee writes values on their way. Ranging anew begins the file anew.
func tee[T any](l *lineFile, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := l.again(); err != nil {
			var none T
			yield(none, err)
			return
		}
		for v, err := range all {
			if err == nil {
				err = l.write(v)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// writeLines writes values as JSON lines, whole or not at all.
func writeLines[T any](path string, all iter.Seq[T]) error {
	return writeSeq(path, func(yield func(T, error) bool) {
		for v := range all {
			if !yield(v, nil) {
				return
			}
		}
	})
}

// writeSeq writes values as JSON lines, whole or not at all.
func writeSeq[T any](path string, all iter.Seq2[T, error]) error {
	l, err := newLines(path)
	if err != nil {
		return err
	}
	defer l.abandon()
	for v, err := range all {
		if err != nil {
			return err
		}
		if err := l.write(v); err != nil {
			return err
		}
	}
	return l.finish()
}

// mapped are values made of others on their way.
func mapped[In, Out any](all iter.Seq2[In, error], of func(In) Out) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		for v, err := range all {
			if !yield(of(v), err) || err != nil {
				return
			}
		}
	}
}
