package servers

import (
	"strings"
	"unicode"

	"github.com/astra-arenas/astra/synth"
)

// speak sets the language: that of most descriptions. One example in another script is no
// reason to ask in it.
func (s *Server) speak() {
	han := 0
	for i := range s.Tools {
		if hasHan(s.Tools[i].Description) {
			han++
		}
	}
	if s.Language = synth.English; 2*han > len(s.Tools) {
		s.Language = synth.Chinese
	}
}

func hasHan(s string) bool { return strings.ContainsFunc(s, isHan) }

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }
