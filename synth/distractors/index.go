package distractors

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/astra-arenas/astra"
)

// An Embedder makes vectors of texts, all of one length, of which the cosine says how near
// two texts are. It is safe for concurrent use.
type Embedder interface {
	Embed(ctx context.Context, texts []string) ([][]float32, error)
}

// An Index knows the tools of many arenas. It is immutable and may be shared by goroutines.
type Index struct {
	tools  []indexed // by name
	byName map[string]int
}

// indexed is one tool, with its document's vector, of length 1.
type indexed struct {
	name, arena, domain string
	vector              []float32
}

// maxTools bounds what is held: a vector takes some kilobytes.
const maxTools = 200_000

// NewIndex embeds the tools of arenas. Of tools of one name the first counts, by the names
// of their arenas: which of them an agent calls must not depend on the order of a list.
func NewIndex(ctx context.Context, arenas []*astra.Arena, e Embedder) (*Index, error) {
	x := &Index{byName: map[string]int{}}
	var documents []string
	sorted := slices.SortedFunc(slices.Values(arenas), func(a, b *astra.Arena) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest, b.Digest))
	})
	seen := map[string]bool{}
	for _, a := range sorted {
		for i := range a.Tools {
			t := &a.Tools[i]
			if seen[t.Name] {
				continue
			}
			seen[t.Name] = true
			x.tools = append(x.tools, indexed{name: t.Name, arena: a.Name, domain: a.Domain})
			documents = append(documents, Document(t))
		}
	}
	if len(x.tools) > maxTools {
		return nil, fmt.Errorf("%d tools; an index has at most %d", len(x.tools), maxTools)
	}
	vectors, err := e.Embed(ctx, documents)
	if err != nil {
		return nil, err
	}
	return x, x.take(vectors, len(documents))
}

func (x *Index) take(vectors [][]float32, n int) error {
	if len(vectors) != n {
		return fmt.Errorf("%d vectors for %d documents", len(vectors), n)
	}
	for i, v := range vectors {
		if len(v) == 0 || len(v) != len(vectors[0]) {
			return fmt.Errorf("the vector of document %d has %d numbers, the first has %d", i+1, len(v), len(vectors[0]))
		}
		x.tools[i].vector = unit(v)
	}
	slices.SortFunc(x.tools, func(a, b indexed) int { return cmp.Compare(a.name, b.name) })
	for i := range x.tools {
		x.byName[x.tools[i].name] = i
	}
	return nil
}

// Document is a tool as trainers write it: the OpenAI form, as text (ASTRA's d(τ)).
func Document(t *astra.Tool) string {
	b, err := json.Marshal(map[string]any{"type": "function", "function": map[string]any{"name": t.Name, "description": t.Description, "parameters": t.Input}})
	if err != nil {
		return t.Name + " " + t.Description // an input schema is JSON once it was loaded
	}
	return string(b)
}

// unit is a vector of length 1 in the same direction.
func unit(v []float32) []float32 {
	sum := 0.0
	for _, f := range v {
		sum += float64(f) * float64(f)
	}
	out := make([]float32, len(v))
	if length := math.Sqrt(sum); length > 0 {
		for i, f := range v {
			out[i] = float32(float64(f) / length)
		}
	}
	return out
}

func cosine(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// Len is the number of tools, each name once.
func (x *Index) Len() int { return len(x.tools) }

// A Band says how near a tool is.
type Band string

// The bands of the similarity after row-wise min–max (ASTRA eq. 26): above 0.85, from 0.4
// to 0.85, below 0.4.
const (
	High   Band = "high"
	Medium Band = "medium"
	Low    Band = "low"
)

// Bands is their order, the nearest first.
var Bands = []Band{High, Medium, Low}

func bandOf(similarity float64) Band {
	switch {
	case similarity > 0.85:
		return High
	case similarity >= 0.4:
		return Medium
	}
	return Low
}

// Row puts all other tools into bands by how near they are to the tool of that name; those
// of a domain among excluded are left out, after the row was put between 0 and 1. It is nil
// for a tool that the index does not know.
func (x *Index) Row(name string, excluded map[string]bool) map[Band][]string {
	i, ok := x.byName[name]
	if !ok {
		return nil
	}
	row := make([]float64, len(x.tools))
	least, most := math.Inf(1), math.Inf(-1)
	for j := range x.tools {
		if j != i {
			row[j] = cosine(x.tools[i].vector, x.tools[j].vector)
			least, most = min(least, row[j]), max(most, row[j])
		}
	}
	bands := map[Band][]string{}
	for j := range x.tools {
		if j == i || excluded[x.tools[j].domain] {
			continue
		}
		s := 0.0
		if most > least {
			s = (row[j] - least) / (most - least)
		}
		bands[bandOf(s)] = append(bands[bandOf(s)], x.tools[j].name)
	}
	return bands
}

// Sizes counts, over all tools, how many others fall into each band, those of the tool's
// own domain left out: how embedders are compared.
func (x *Index) Sizes() map[Band]int {
	sizes := map[Band]int{}
	for i := range x.tools {
		for band, names := range x.Row(x.tools[i].name, map[string]bool{x.tools[i].domain: true}) {
			sizes[band] += len(names)
		}
	}
	return sizes
}
