package ors

import (
	"bytes"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A stream is an answer of server-sent events.
type stream struct {
	w    http.ResponseWriter
	gone bool // the client is
	buf  bytes.Buffer
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w}
}

// event adds an event, whose data may have several lines.
func (s *stream) event(name, data string) {
	fmt.Fprintf(&s.buf, "event: %s\n", name)
	for line := range strings.SplitSeq(data, "\n") {
		fmt.Fprintf(&s.buf, "data: %s\n", line)
	}
	s.buf.WriteByte('\n')
}

// ping adds a comment: clients give up if they read nothing for 30 seconds.
func (s *stream) ping() { s.buf.WriteString(": ping\n\n") }

// flush sends what was added.
func (s *stream) flush() {
	if !s.gone {
		_, err := s.w.Write(s.buf.Bytes())
		s.gone = err != nil || http.NewResponseController(s.w).Flush() != nil
	}
	s.buf.Reset()
}

// send sends compact JSON in pieces; the last of them is the event end.
func (s *stream) send(text string) {
	last := ""
	for piece := range pieces(text) {
		if last != "" {
			s.event("chunk", last)
		}
		last = piece
	}
	s.event("end", last)
	s.flush()
}

const (
	maxPiece = 4096 // bytes
	escape   = len(`\u0020`)
)

// pieces cuts compact JSON. A client decodes each piece by itself and trims what it begins with,
// so none ends in the middle of a character, and none begins with white space: this can only
// stand in a string, where it may be escaped.
func pieces(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for len(text) > maxPiece-escape {
			n := maxPiece - escape
			for !utf8.RuneStart(text[n]) {
				n--
			}
			if !yield(shielded(text[:n])) {
				return
			}
			text = text[n:]
		}
		yield(shielded(text))
	}
}

func shielded(piece string) string {
	if r, size := utf8.DecodeRuneInString(piece); unicode.IsSpace(r) {
		return fmt.Sprintf(`\u%04x`, r) + piece[size:]
	}
	return piece
}
