// Package neardup finds texts that say nearly the same.
//
// A text is taken as the set of its shingles: three words in a row, where each Han or kana
// character is a word of its own. Two texts are as alike as their sets (Jaccard: shared
// shingles by all shingles). Order matters within a shingle, case and width do not.
package neardup

import (
	"math"
	"slices"
)

// Default is the likeness that is usual for training data: of fifty words in a row about
// four may be others.
const Default = 0.8

// An Index holds texts no two of which are near-duplicates. It is not for use by several
// goroutines at once; equal texts in equal order give equal answers.
type Index struct {
	threshold float64
	rows      int
	kept      []text
	bands     [bands]map[uint64]int32 // a band's hash -> the last kept text that has it
}

// A text is what is left of one: some 2.2 KB, however long it was.
type text struct {
	id     string
	sketch sketch
	before [bands]int32 // the kept text before it with the same hash of that band, or none
}

const none = -1

// The bands of MinHash decide which texts are compared at all. Rows are as many as leave a
// pair at the threshold a chance of one in a hundred to be missed, but no more than
// maxRows: each costs a hash a shingle. At 0.8 and above it is less than 0.003.
const (
	bands   = 32
	maxRows = 8
	missed  = 0.01
)

// New returns an empty index that takes texts for near-duplicates when they are at least as
// alike as threshold, in (0, 1].
func New(threshold float64) *Index {
	if !(threshold > 0 && threshold <= 1) {
		panic("neardup: the threshold must be above 0, and at most 1")
	}
	x := &Index{threshold: threshold, rows: rowsFor(threshold)}
	for b := range x.bands {
		x.bands[b] = map[uint64]int32{}
	}
	return x
}

func rowsFor(threshold float64) int {
	if threshold == 1 {
		return maxRows
	}
	same := 1 - math.Pow(missed, 1.0/bands) // how likely a band must be the same
	return min(max(int(math.Log(same)/math.Log(threshold)), 1), maxRows)
}

// Add compares a text with those that were kept. Where none is as alike as the threshold it
// keeps the text and returns "" and 0; else the text is forgotten, and Add returns the id of
// the one that is most alike (the earliest of equals) and how alike it is: exactly where
// both have fewer than 256 shingles, to some 0.03 beyond. A text without letters and digits
// is like no other.
func (x *Index) Add(id, s string) (like string, similarity float64) {
	hashes := shingles(s)
	if len(hashes) == 0 {
		return "", 0
	}
	t := text{id: id, sketch: sketchOf(hashes)}
	keys := x.keys(hashes)
	best, at := 0.0, none
	for i := range x.candidates(keys) {
		if j := t.sketch.jaccard(x.kept[i].sketch); j > best || j == best && i < at {
			best, at = j, i
		}
	}
	if at != none && best >= x.threshold {
		return x.kept[at].id, best
	}
	x.keep(t, keys)
	return "", 0
}

// Len is how many texts are kept.
func (x *Index) Len() int { return len(x.kept) }

// keys are the hashes of the bands: of the least of the shingles under each of rows
// permutations.
func (x *Index) keys(hashes []uint64) (keys [bands]uint64) {
	for b := range keys {
		for r := range x.rows {
			salt := mix(uint64(b*maxRows + r + 1))
			least := uint64(math.MaxUint64)
			for _, h := range hashes {
				least = min(least, mix(h^salt))
			}
			keys[b] = mix(keys[b] ^ least)
		}
	}
	return keys
}

// candidates are the kept texts that share a band.
func (x *Index) candidates(keys [bands]uint64) map[int]bool {
	found := map[int]bool{}
	for b, key := range keys {
		i, ok := x.bands[b][key]
		for ; ok && i != none; i = x.kept[i].before[b] {
			found[int(i)] = true
		}
	}
	return found
}

func (x *Index) keep(t text, keys [bands]uint64) {
	n := int32(len(x.kept))
	for b, key := range keys {
		last, ok := x.bands[b][key]
		if !ok {
			last = none
		}
		t.before[b], x.bands[b][key] = last, n
	}
	x.kept = append(x.kept, t)
}

// A sketch is the least of a text's hashes, in order: all if they are fewer than sketchSize.
type sketch []uint64

const sketchSize = 256

// sketchOf takes hashes that are in order.
func sketchOf(hashes []uint64) sketch { return slices.Clone(hashes[:min(len(hashes), sketchSize)]) }

// jaccard is shared by all, over the whole of both sets or over the least of their union.
func (s sketch) jaccard(o sketch) float64 {
	limit := len(s) + len(o)
	if len(s) == sketchSize || len(o) == sketchSize {
		limit = sketchSize
	}
	both, all, i, j := 0, 0, 0, 0
	for ; all < limit && i < len(s) && j < len(o); all++ {
		switch {
		case s[i] == o[j]:
			both, i, j = both+1, i+1, j+1
		case s[i] < o[j]:
			i++
		default:
			j++
		}
	}
	return float64(both) / float64(min(all+len(s)-i+len(o)-j, limit))
}
