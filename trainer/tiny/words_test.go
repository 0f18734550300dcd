package tiny

import (
	"slices"
	"testing"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "Golden Plover", "F179", "get_port_opened", "opening", "openin g", " a  bc", "x AB cd", "Ångström 12.5", "1234567", "ABCDEFg", "\xff\x00", "aB cD EfG"} {
		f.Add(s, "port opening AB 2026-03-02 12.5 2026 03 12")
	}
	f.Add("2026-03-03 12.51 2026-03 12. 5-2026-03-02", "2026-03-02 12.5 2026 03 12")
	f.Add("5-2026-03-0262", "2026-03-02 02")
	f.Add("12.513", "12.51 51")
	f.Fuzz(func(t *testing.T, s, shown string) {
		seen := map[int32]bool{}
		for _, id := range encode(nil, shown, nil) {
			seen[id] = true
		}
		for _, seen := range []map[int32]bool{nil, seen} {
			tokens := encode(nil, s, seen)
			if got := decode(tokens); got != s {
				t.Fatalf("decode(encode(%q)) = %q", s, got)
			}
			if !utf8.ValidString(s) {
				continue
			}
			var written tail
			for i, id := range tokens {
				if !written.takes(id, seen) {
					t.Fatalf("token %d of %q may not be written", i, s)
				}
				written.write(id)
			}
			if !written.settled(seen) {
				t.Fatalf("%q does not settle", s)
			}
		}
	})
}

// What may be written reads back as the same tokens, however it was come by.
func FuzzWritten(f *testing.F) {
	f.Add("port opening AB 12", []byte("abcdefgh"))
	f.Add("2026-03-02 12.5 2026 03 12", []byte("abcdefghijklmnop"))
	f.Fuzz(func(t *testing.T, shown string, dice []byte) {
		seen := map[int32]bool{}
		choice := []int32{' ', 'a', 'o', 'p', 'e', 'A', '1', '2', '0', '-', '.', '_'}
		for _, id := range encode(nil, shown, nil) {
			seen[id] = true
			choice = append(choice, id)
		}
		var written tail
		var tokens []int32
		for _, d := range dice[:min(len(dice), 256)] { // each reads back all before it
			id := choice[int(d)%len(choice)]
			if !written.takes(id, seen) {
				continue
			}
			written.write(id)
			tokens = append(tokens, id)
			if written.settled(seen) && !slices.Equal(encode(nil, decode(tokens), seen), tokens) {
				t.Fatalf("%v is written %v", tokens, encode(nil, decode(tokens), seen))
			}
		}
	})
}

func TestWords(t *testing.T) {
	for text, n := range map[string]int{"F179": 1, "Golden Plover": 2, "opening": 2, "get_port": 3, "2026-03-02": 1, "2026-13-02": 5, "37.81": 1, "1.234": 3, "a b": 3, "M8 bolt": 2} {
		if got := encode(nil, text, nil); len(got) != n {
			t.Errorf("encode(%q) = %v, want %d tokens", text, got, n)
		}
	}
}
