package verifiers

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/astra-arenas/astra"
)

// Bounds on the inputs of the functions that are more than linear.
const (
	MaxSimilar = 2048 // characters of each text, after normalize: 4 million steps, 9 ms
	MaxSet     = 256  // elements of each list
	maxElement = 1024 // bytes of an element that set_f1 compares with tolerance; larger ones as written
)

// ownFunctions declares what we add to CEL.
func ownFunctions() []cel.EnvOption {
	str, dyn := cel.StringType, cel.DynType
	list := cel.ListType(dyn)
	return []cel.EnvOption{
		cel.Function("normalize", cel.Overload("astra_normalize", []*cel.Type{str}, str, cel.UnaryBinding(celNormalize))),
		cel.Function("number", cel.Overload("astra_number", []*cel.Type{dyn}, cel.DoubleType, cel.UnaryBinding(celNumber))),
		cel.Function("approx",
			cel.Overload("astra_approx", []*cel.Type{dyn, dyn}, cel.BoolType,
				cel.BinaryBinding(func(a, b ref.Val) ref.Val { return celApprox(a, b) })),
			cel.Overload("astra_approx_tolerance", []*cel.Type{dyn, dyn, dyn}, cel.BoolType, cel.FunctionBinding(celApprox))),
		cel.Function("json", cel.Overload("astra_json", []*cel.Type{str}, dyn, cel.UnaryBinding(celJSON))),
		cel.Function("date", cel.Overload("astra_date", []*cel.Type{str}, cel.TimestampType, cel.UnaryBinding(celDate))),
		cel.Function("similar", cel.Overload("astra_similar", []*cel.Type{str, str}, cel.DoubleType, cel.BinaryBinding(celSimilar))),
		cel.Function("set_f1", cel.Overload("astra_set_f1", []*cel.Type{list, list}, cel.DoubleType, cel.BinaryBinding(celSetF1))),
	}
}

func celNormalize(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.String(normalize(string(s)))
}

// normalize is text as astra.Same compares it.
func normalize(s string) string {
	s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	return strings.Join(strings.Fields(s), " ")
}

func celNumber(v ref.Val) ref.Val {
	f, ok := number(v)
	if !ok {
		return types.NewErr("type conversion error: not a number")
	}
	return types.Double(f)
}

// number reads what astra.Same takes for a number: a number, or text that is one as a whole.
func number(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
	case types.String:
		if len(v) > 400 { // longer than any double
			return 0, false
		}
		s := strings.TrimSpace(norm.NFKC.String(string(v)))
		if s == "" || (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || !json.Valid([]byte(s)) {
			return 0, false
		}
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	return 0, false
}

func celApprox(args ...ref.Val) ref.Val {
	var n [3]float64
	for i, a := range args {
		f, ok := number(a)
		if !ok {
			return types.NewErr("type conversion error: not a number")
		}
		n[i] = f
	}
	margin := n[2]
	if len(args) == 2 {
		margin = 1e-6 * max(1, math.Abs(n[1]))
	}
	return types.Bool(math.Abs(n[0]-n[1]) <= margin)
}

func celJSON(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return decode(json.RawMessage(s), MaxState)
}

var dateLayouts = []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04"}

func celDate(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if len(s) <= 64 {
		for _, layout := range dateLayouts {
			if t, err := time.Parse(layout, strings.TrimSpace(string(s))); err == nil {
				return types.Timestamp{Time: t.UTC()}
			}
		}
	}
	return types.NewErr("type conversion error: not a date")
}

func celSimilar(a, b ref.Val) ref.Val {
	s, ok := a.(types.String)
	t, ok2 := b.(types.String)
	if !ok || !ok2 {
		return types.NewErr("no such overload")
	}
	// Normalizing shortens by at most a fixed factor, so this spares it for what is too large anyway.
	if len(s) > 64*MaxSimilar || len(t) > 64*MaxSimilar {
		return errTooLarge
	}
	x, y := normalize(string(s)), normalize(string(t))
	if utf8.RuneCountInString(x) > MaxSimilar || utf8.RuneCountInString(y) > MaxSimilar {
		return errTooLarge
	}
	return types.Double(similar([]rune(x), []rune(y)))
}

// similar is 1 − Levenshtein distance / length of the longer; 1 for two empty texts.
func similar(a, b []rune) float64 {
	longer := max(len(a), len(b))
	if longer == 0 {
		return 1
	}
	row := make([]int, len(b)+1) // distances of a[:i] from each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return 1 - float64(row[len(b)])/float64(longer)
}

func celSetF1(got, want ref.Val) ref.Val {
	g, err := elements(got)
	if err != nil {
		return err
	}
	w, err := elements(want)
	if err != nil {
		return err
	}
	if len(g)+len(w) == 0 {
		return types.Double(1)
	}
	found := func(x json.RawMessage, in []json.RawMessage, swap bool) bool {
		for _, y := range in {
			if string(x) == string(y) || len(x) <= maxElement && len(y) <= maxElement && sameEither(x, y, swap) {
				return true
			}
		}
		return false
	}
	hits, recalled := 0, 0
	for _, x := range g {
		if found(x, w, true) {
			hits++
		}
	}
	for _, x := range w {
		if found(x, g, false) {
			recalled++
		}
	}
	if hits == 0 || recalled == 0 {
		return types.Double(0)
	}
	p, r := float64(hits)/float64(len(g)), float64(recalled)/float64(len(w))
	return types.Double(2 * p * r / (p + r))
}

// sameEither keeps the expected value first: tolerance is relative to it.
func sameEither(x, y json.RawMessage, swap bool) bool {
	if swap {
		x, y = y, x
	}
	return astra.Same(x, y, nil)
}

// elements are a list's, as JSON, each once.
func elements(v ref.Val) ([]json.RawMessage, ref.Val) {
	list, ok := v.(traits.Lister)
	if !ok {
		return nil, types.MaybeNoSuchOverloadErr(v)
	}
	if list.Size().(types.Int) > MaxSet {
		return nil, errTooLarge
	}
	var out []json.RawMessage
	seen := map[string]bool{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		b, ok := appendJSON(nil, it.Next(), maxNesting)
		if !ok {
			return nil, types.NewErr("no such overload: not JSON")
		}
		if !seen[string(b)] {
			seen[string(b)] = true
			out = append(out, b)
		}
	}
	return out, nil
}

// appendJSON writes a value that came from JSON, or could have. Keys are sorted.
func appendJSON(b []byte, v ref.Val, depth int) ([]byte, bool) {
	if depth == 0 {
		return nil, false
	}
	switch v := v.(type) {
	case types.Null:
		return append(b, "null"...), true
	case types.Bool, types.Int, types.Uint, types.String:
		text, err := json.Marshal(v.Value())
		return append(b, text...), err == nil
	case types.Double:
		text, err := json.Marshal(float64(v)) // fails for NaN and infinities
		return append(b, text...), err == nil
	case *dict:
		return appendDict(b, v, depth)
	case traits.Lister:
		ok := true
		b = append(b, '[')
		for it, sep := v.Iterator(), false; ok && it.HasNext() == types.True; sep = true {
			if sep {
				b = append(b, ',')
			}
			b, ok = appendJSON(b, it.Next(), depth-1)
		}
		return append(b, ']'), ok
	}
	return nil, false
}

func appendDict(b []byte, d *dict, depth int) ([]byte, bool) {
	b = append(b, '{')
	for i, k := range d.keys {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(k)
		if err != nil {
			return nil, false
		}
		var ok bool
		if b, ok = appendJSON(append(append(b, name...), ':'), d.values[k], depth-1); !ok {
			return nil, false
		}
	}
	return append(b, '}'), true
}
