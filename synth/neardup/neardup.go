// Package neardup finds texts that are nearly the same as one before: MinHash over
// shingles, looked up by bands of the signature.
//
// A shingle is two neighbouring words, or, in scripts that do not part words, two
// characters. The share of equal places of two signatures estimates the share of shingles
// that two texts have in common (their Jaccard similarity) to within some 4 %.
package neardup

import (
	"hash/fnv"
	"math"
	"strings"
	"unicode"
)

// places of a signature: the estimate's standard error is √(s(1−s)/128), 4 % at most.
const places = 128

type signature [places]uint64

// An Index knows the texts so far. It takes about 2 KiB a text, and is not safe for
// concurrent use.
type Index struct {
	threshold float64
	rows      int // places of a band
	bands     []map[uint64][]int
	names     []string
	known     []signature
}

// New returns an index that takes texts for nearly the same from a similarity on, which is
// above 0 and at most 1.
func New(threshold float64) *Index {
	x := &Index{threshold: threshold, rows: rowsFor(threshold)}
	x.bands = make([]map[uint64][]int, places/x.rows)
	for i := range x.bands {
		x.bands[i] = map[uint64][]int{}
	}
	return x
}

// rowsFor is how many places a band has. Texts at the threshold should share a band with
// near certainty: half of those at (1/bands)^(1/rows) do, so that point lies well below.
func rowsFor(threshold float64) int {
	best := 1
	for _, rows := range []int{2, 4, 8, 16} {
		if math.Pow(float64(rows)/places, 1/float64(rows)) <= threshold-0.15 {
			best = rows
		}
	}
	return best
}

// Add names the text before that this one is most like, and how much, if it is like enough;
// such a text is not kept. Of equally similar ones it is the first.
func (x *Index) Add(name, text string) (like string, similarity float64) {
	sig := sign(text)
	seen := map[int]bool{}
	for b := range x.bands {
		for _, i := range x.bands[b][x.band(&sig, b)] {
			if seen[i] {
				continue
			}
			seen[i] = true
			if s := alike(&sig, &x.known[i]); s >= x.threshold && (s > similarity || s == similarity && i < x.number(like)) {
				like, similarity = x.names[i], s
			}
		}
	}
	if like == "" {
		x.keep(name, sig)
	}
	return like, similarity
}

// number is where a name stands. Few are looked for: those as similar as another.
func (x *Index) number(name string) int {
	for i, n := range x.names {
		if n == name {
			return i
		}
	}
	return len(x.names)
}

func (x *Index) keep(name string, sig signature) {
	i := len(x.known)
	x.names, x.known = append(x.names, name), append(x.known, sig)
	for b := range x.bands {
		key := x.band(&sig, b)
		x.bands[b][key] = append(x.bands[b][key], i)
	}
}

func (x *Index) band(sig *signature, b int) uint64 {
	h := uint64(b)
	for _, v := range sig[b*x.rows : (b+1)*x.rows] {
		h = mix(h ^ v)
	}
	return h
}

func alike(a, b *signature) float64 {
	n := 0
	for i := range a {
		if a[i] == b[i] {
			n++
		}
	}
	return float64(n) / places
}

func sign(text string) (sig signature) {
	for i := range sig {
		sig[i] = math.MaxUint64
	}
	for _, s := range shingles(text) {
		h := fnv.New64a()
		h.Write([]byte(s))
		sum := h.Sum64()
		for i := range sig {
			sig[i] = min(sig[i], mix(sum^uint64(i)*0x9e3779b97f4a7c15))
		}
	}
	return sig
}

// mix spreads the bits of a number (the finaliser of SplitMix64).
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// shingles are the neighbours in a text: of words without case and punctuation, and of
// characters that are each a word.
func shingles(text string) []string {
	words := split(text)
	if len(words) < 2 {
		return words
	}
	all := make([]string, len(words)-1)
	for i := range all {
		all[i] = words[i] + " " + words[i+1]
	}
	return all
}

func split(text string) (words []string) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			end()
			words = append(words, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(unicode.ToLower(r))
		default:
			end()
		}
	}
	end()
	return words
}
