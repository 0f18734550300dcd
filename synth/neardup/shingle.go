package neardup

import (
	"hash/fnv"
	"slices"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// width is how many words a shingle has. A shorter text is one shingle.
const width = 3

// shingles hashes the shingles of a text, each once, in order.
func shingles(s string) []uint64 {
	w := words(s)
	if len(w) == 0 {
		return nil
	}
	hashes := make([]uint64, 0, len(w))
	for i := 0; i == 0 || i+width <= len(w); i++ {
		h := uint64(0)
		for _, word := range w[i:min(i+width, len(w))] {
			h = mix(h ^ word)
		}
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	return slices.Compact(hashes)
}

// words hashes the words of a text: runs of letters, marks and digits in lower case, and
// single characters of scripts that put no spaces between words.
func words(s string) []uint64 {
	var all []uint64
	h := fnv.New64a()
	var buf []byte
	flush := func() {
		if len(buf) == 0 {
			return
		}
		h.Reset()
		h.Write(buf)
		all, buf = append(all, mix(h.Sum64())), buf[:0]
	}
	for _, r := range norm.NFKC.String(s) {
		alone := unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
		if alone || !unicode.In(r, unicode.L, unicode.M, unicode.N) {
			flush()
		}
		if alone || unicode.In(r, unicode.L, unicode.M, unicode.N) {
			buf = append(buf, string(unicode.ToLower(r))...)
		}
		if alone {
			flush()
		}
	}
	flush()
	return all
}

// mix spreads a hash's bits: the last step of SplitMix64.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
