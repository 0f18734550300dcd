package verifiers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// maxNesting bounds the JSON a verifier may read; arenas allow their tools far less.
const maxNesting = 256

var errTooLarge = types.NewErr("too large")

// lazy decodes JSON when first asked. Text that is no JSON, too large or nested too
// deeply gives an error value; nil (nothing there) gives null.
func lazy(text json.RawMessage, limit int64) func() ref.Val {
	var v ref.Val
	return func() ref.Val {
		if v == nil {
			v = decode(text, limit)
		}
		return v
	}
}

func decode(text json.RawMessage, limit int64) ref.Val {
	switch {
	case text == nil:
		return types.NullValue
	case int64(len(text)) > limit:
		return errTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return types.NewErr("not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return types.NewErr("not JSON: more than one value")
	}
	return fromJSON(v, maxNesting)
}

// fromJSON turns what encoding/json decoded into CEL values.
func fromJSON(v any, depth int) ref.Val {
	if depth == 0 {
		return types.NewErr("too large: nested too deeply")
	}
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case bool:
		return types.Bool(v)
	case string:
		return types.String(v)
	case json.Number:
		return fromNumber(string(v))
	case []any:
		list := make([]ref.Val, len(v))
		for i := range v {
			if list[i] = fromJSON(v[i], depth-1); types.IsError(list[i]) {
				return list[i]
			}
		}
		return newList(list)
	case map[string]any:
		m := &dict{values: make(map[string]ref.Val, len(v)), keys: make([]string, 0, len(v))}
		for k := range v {
			m.keys = append(m.keys, k)
		}
		slices.Sort(m.keys)
		for _, k := range m.keys {
			e := fromJSON(v[k], depth-1)
			if types.IsError(e) {
				return e
			}
			m.values[k] = e
		}
		return m
	}
	return types.NewErr("not JSON: %T", v)
}

// fromNumber makes an int of a whole number that fits, however it is written, else a double.
func fromNumber(s string) ref.Val {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return types.NewErr("a number beyond all bounds")
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return types.Int(int64(f))
	}
	return types.Double(f)
}

// A dict is a JSON object. CEL's own map of a Go map iterates at random; this one
// iterates in the order of its keys, so that no verdict depends on chance.
type dict struct {
	values map[string]ref.Val
	keys   []string // sorted
}

func (d *dict) Type() ref.Type { return types.MapType }
func (d *dict) Value() any     { return d.values }
func (d *dict) Size() ref.Val  { return types.Int(len(d.keys)) }

// Contains is the `in` operator.
func (d *dict) Contains(key ref.Val) ref.Val {
	_, found := d.Find(key)
	return types.Bool(found)
}

// Find looks a key up; a key that is no string is never found.
func (d *dict) Find(key ref.Val) (ref.Val, bool) {
	k, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v, found := d.values[string(k)]
	return v, found
}

// Get is indexing; a missing key is an error value.
func (d *dict) Get(key ref.Val) ref.Val {
	if v, found := d.Find(key); found {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

// Equal compares key by key, with any kind of map.
func (d *dict) Equal(other ref.Val) ref.Val {
	m, ok := other.(traits.Mapper)
	if !ok || m.Size() != d.Size() {
		return types.False
	}
	for _, k := range d.keys {
		v, found := m.Find(types.String(k))
		if !found || types.Equal(d.values[k], v) != types.True {
			return types.False
		}
	}
	return types.True
}

// Iterator goes through the keys in order.
func (d *dict) Iterator() traits.Iterator { return &keyIterator{keys: d.keys} }

// Fold goes through keys and values in order, for comprehensions of two variables.
func (d *dict) Fold(f traits.Folder) {
	for _, k := range d.keys {
		if !f.FoldEntry(types.String(k), d.values[k]) {
			return
		}
	}
}

func (d *dict) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return d
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from map to %s", t.TypeName())
}

// ConvertToNative supports what CEL's own functions ask for: nothing so far.
func (d *dict) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("type conversion error from map to %v", t)
}

var (
	_ traits.Mapper   = (*dict)(nil)
	_ traits.Foldable = (*dict)(nil)
)

type keyIterator struct {
	keys []string
	next int
}

func (k *keyIterator) HasNext() ref.Val { return types.Bool(k.next < len(k.keys)) }

func (k *keyIterator) Next() ref.Val {
	if k.next == len(k.keys) {
		return nil
	}
	k.next++
	return types.String(k.keys[k.next-1])
}

func (k *keyIterator) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("type conversion error from iterator to %v", t)
}
func (k *keyIterator) ConvertToType(ref.Type) ref.Val { return types.NoSuchOverloadErr() }
func (k *keyIterator) Equal(ref.Val) ref.Val          { return types.NoSuchOverloadErr() }
func (k *keyIterator) Type() ref.Type                 { return types.IteratorType }
func (k *keyIterator) Value() any                     { return nil }
