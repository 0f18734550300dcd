package distractors

import (
	"context"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Lexical embeds by the words of a text alone: words, and the three-letter parts of words,
// weighted by how rare they are among the texts (TF-IDF), hashed into a vector. It needs no
// model and no network, and knows nothing of meaning: see RATIONALE.md, "Why a lexical
// vector of our own?".
type Lexical struct{}

// dimensions is the length of a lexical vector: collisions of some thousand features are few.
const dimensions = 4096

// Embed implements Embedder. Vectors are comparable within one call.
func (Lexical) Embed(_ context.Context, texts []string) ([][]float32, error) {
	counts := make([]map[string]int, len(texts))
	in := map[string]int{}
	for i, text := range texts {
		counts[i] = features(text)
		for f := range counts[i] {
			in[f]++
		}
	}
	vectors := make([][]float32, len(texts))
	for i := range counts {
		sums := make([]float64, dimensions)
		for _, f := range slices.Sorted(maps.Keys(counts[i])) { // a sum of floats depends on its order
			at, sign := place(f)
			sums[at] += sign * (1 + math.Log(float64(counts[i][f]))) * math.Log(float64(1+len(texts))/float64(in[f]))
		}
		vectors[i] = make([]float32, dimensions)
		for j, s := range sums {
			vectors[i][j] = float32(s)
		}
	}
	return vectors, nil
}

// features are a text's words and their parts, with how often each comes.
func features(text string) map[string]int {
	counts := map[string]int{}
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		counts[word]++
		padded := []rune("^" + word + "$")
		for i := 0; i+3 <= len(padded); i++ {
			counts[string(padded[i:i+3])]++
		}
	}
	return counts
}

// place is where a feature is counted, and with what sign: collisions cancel out on average.
func place(feature string) (at int, sign float64) {
	h := fnv.New64a()
	h.Write([]byte(feature))
	sum := h.Sum64()
	if sum>>63 == 1 {
		sign = -1
	} else {
		sign = 1
	}
	return int(sum % dimensions), sign
}

var _ Embedder = Lexical{}
