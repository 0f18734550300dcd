package astra

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A byteSize is written 64MiB, 256KiB or as a number of bytes.
type byteSize int64

// A filler reads values into Go data by the names in its json tags, as encoding/json does, but reports every problem
// with its place, and takes keys as they are written: encoding/json would take "ID" for "id".
type filler struct {
	bad  *refusals
	file string
}

func (f *filler) refuse(v *value, path, fix, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if path != "" {
		msg = path + ": " + msg
	}
	f.bad.add(f.file, v.line, fix, "%s", msg)
}

var (
	rawType      = reflect.TypeFor[json.RawMessage]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[byteSize]()
)

// fill reads v into dst, which is settable. path says in messages where v stands.
func (f *filler) fill(v *value, path string, dst reflect.Value) {
	switch dst.Type() {
	case rawType:
		dst.SetBytes(v.json())
		return
	case timeType:
		f.time(v, path, dst)
		return
	case durationType:
		f.duration(v, path, dst)
		return
	case sizeType:
		f.size(v, path, dst)
		return
	}
	switch dst.Kind() {
	case reflect.Pointer:
		p := reflect.New(dst.Type().Elem())
		f.fill(v, path, p.Elem())
		dst.Set(p)
	case reflect.Struct:
		f.object(v, path, dst)
	case reflect.Map:
		f.mapping(v, path, dst)
	case reflect.Slice:
		f.list(v, path, dst)
	case reflect.Interface:
		dst.Set(reflect.ValueOf(v.any()))
	default:
		f.scalar(v, path, dst)
	}
}

func (f *filler) scalar(v *value, path string, dst reflect.Value) {
	switch dst.Kind() {
	case reflect.String:
		if f.is(v, path, textKind, "write it in quotes") {
			dst.SetString(v.text)
		}
	case reflect.Bool:
		if f.is(v, path, boolKind, "write true or false") {
			dst.SetBool(v.text == "true")
		}
	case reflect.Int, reflect.Int64:
		f.whole(v, path, dst)
	case reflect.Float64:
		if f.is(v, path, numberKind, "write a number") {
			x, _ := strconv.ParseFloat(v.text, 64)
			dst.SetFloat(x)
		}
	default:
		panic("astra: no way to read a " + dst.Type().String())
	}
}

func (f *filler) is(v *value, path string, k kind, fix string) bool {
	if v.kind != k {
		f.refuse(v, path, fix, "must be %s, not %s", k, v.kind)
	}
	return v.kind == k
}

func (f *filler) whole(v *value, path string, dst reflect.Value) {
	if !f.is(v, path, numberKind, "write a whole number") {
		return
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil {
		f.refuse(v, path, "write a whole number of at most 18 digits", "%s is no whole number", clip(v.text))
		return
	}
	dst.SetInt(n)
}

func (f *filler) object(v *value, path string, dst reflect.Value) {
	if !f.is(v, path, objectKind, "write an object of keys and values") {
		return
	}
	fields := fieldsOf(dst.Type())
	for i, key := range v.keys {
		n := slices.Index(fields, key)
		if n < 0 || key == "" {
			names := slices.DeleteFunc(slices.Clone(fields), func(s string) bool { return s == "" })
			f.refuse(&v.items[i], path, "known here: "+strings.Join(names, ", "), "unknown key %s", clip(key))
			continue
		}
		f.fill(&v.items[i], join(path, key), dst.Field(n))
	}
}

// fieldsOf lists the json names of a struct's fields; "" for those without one.
func fieldsOf(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "-" {
			names[i] = name
		}
	}
	return names
}

func join(path, key string) string {
	if !plainName(key) {
		key = clip(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func (f *filler) mapping(v *value, path string, dst reflect.Value) {
	if !f.is(v, path, objectKind, "write an object of keys and values") {
		return
	}
	m := reflect.MakeMapWithSize(dst.Type(), len(v.keys))
	for i, key := range v.keys {
		elem := reflect.New(dst.Type().Elem()).Elem()
		f.fill(&v.items[i], join(path, key), elem)
		m.SetMapIndex(reflect.ValueOf(key).Convert(dst.Type().Key()), elem)
	}
	dst.Set(m)
}

func (f *filler) list(v *value, path string, dst reflect.Value) {
	if !f.is(v, path, listKind, "write a list") {
		return
	}
	s := reflect.MakeSlice(dst.Type(), len(v.items), len(v.items))
	for i := range v.items {
		f.fill(&v.items[i], fmt.Sprintf("%s[%d]", path, i), s.Index(i))
	}
	dst.Set(s)
}

func (f *filler) time(v *value, path string, dst reflect.Value) {
	if !f.is(v, path, textKind, "write a time such as 2026-03-02T09:00:00Z") {
		return
	}
	t, err := time.Parse(time.RFC3339, v.text)
	if err != nil {
		f.refuse(v, path, "write a time such as 2026-03-02T09:00:00Z", "%s is no time of RFC 3339", clip(v.text))
		return
	}
	dst.Set(reflect.ValueOf(t.UTC()))
}

func (f *filler) duration(v *value, path string, dst reflect.Value) {
	d, err := time.ParseDuration(v.text)
	if v.kind != textKind || err != nil {
		f.refuse(v, path, "write a duration such as 10s or 1m30s", "%s is no duration", clip(string(v.json())))
		return
	}
	dst.SetInt(int64(d))
}

func (f *filler) size(v *value, path string, dst reflect.Value) {
	n, ok := parseSize(v.text)
	if v.kind != textKind && v.kind != numberKind || !ok {
		f.refuse(v, path, "write a size such as 64MiB, 256KiB or a number of bytes", "%s is no size", clip(string(v.json())))
		return
	}
	dst.SetInt(n)
}

func parseSize(s string) (int64, bool) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			s, shift = strings.TrimSpace(digits), 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, false
	}
	return n << shift, true
}
