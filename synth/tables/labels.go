package tables

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/astra-arenas/astra/synth"
)

// Labels say what people call tables and columns, where names do not. The file:
//
//	tables:
//	  iso_3166-1:                       # the file's name without its ending, or the table's
//	    name: countries                 # an identifier, for tools and data files
//	    one: {en: country, zh: 国家}
//	    many: {en: countries}
//	    about: {en: geography, zh: 地理}
//	    key: alpha_2
//	    title: name
//	    columns:
//	      alpha_3: {en: three-letter code, zh: 三位代码}
//	      population: {en: population, zh: 人口, unit: people}
//	    skip: [flag]
type Labels struct {
	Tables map[string]TableLabels `yaml:"tables"`
}

// TableLabels are those of one table.
type TableLabels struct {
	Name    string                       `yaml:"name"`
	One     map[string]string            `yaml:"one"`
	Many    map[string]string            `yaml:"many"`
	About   map[string]string            `yaml:"about"`
	Key     string                       `yaml:"key"`
	Title   string                       `yaml:"title"`
	Columns map[string]map[string]string `yaml:"columns"` // language, or unit
	Skip    []string                     `yaml:"skip"`
}

const maxLabels = 1 << 20

// ReadLabels reads a labels file.
func ReadLabels(r io.Reader) (*Labels, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxLabels+1))
	if err == nil && len(b) > maxLabels {
		err = fmt.Errorf("more than %d bytes", maxLabels)
	}
	if err != nil {
		return nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	var l Labels
	if err := d.Decode(&l); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &l, nil
}

// of is what the labels say of a table, by its name or its file's.
func (l *Labels) of(t *Table) (TableLabels, bool) {
	if l == nil {
		return TableLabels{}, false
	}
	for _, name := range []string{t.origin, stem(t.source)} {
		if tl, ok := l.Tables[name]; ok {
			return tl, true
		}
	}
	return TableLabels{}, false
}

// name gives tables their names, and what their rows are called.
func (l *Labels) name(tables []*Table) error {
	for _, t := range tables {
		tl, _ := l.of(t)
		if tl.Name != "" {
			if tl.Name != identifier(tl.Name, "") {
				return fmt.Errorf("labels: table %s: name %q: use up to %d small letters, digits and _", t.Name, tl.Name, maxIdentifier)
			}
			t.Name = tl.Name
		}
		base := strings.ReplaceAll(t.Name, "_", " ")
		t.One = named(tl.One, singular(base))
		t.Many = named(tl.Many, plural(t.One[string(synth.English)]))
		if tl.Many[string(synth.Chinese)] == "" {
			t.Many[string(synth.Chinese)] = t.One[string(synth.Chinese)]
		}
		t.Topic = named(tl.About, base)
	}
	rename(tables)
	return nil
}

// named fills in the languages that a label lacks.
func named(given map[string]string, english string) map[string]string {
	label := map[string]string{string(synth.English): english}
	for k, v := range given {
		label[k] = v
	}
	if label[string(synth.Chinese)] == "" {
		label[string(synth.Chinese)] = translate(label[string(synth.English)])
	}
	return label
}

func (l *Labels) keys(tables []*Table) error {
	for _, t := range tables {
		tl, _ := l.of(t)
		for _, named := range []struct {
			column string
			into   *int
		}{{tl.Key, &t.Key}, {tl.Title, &t.Title}} {
			if named.column == "" {
				continue
			}
			i := t.column(named.column)
			if i < 0 {
				return fmt.Errorf("labels: table %s has no column %q", t.Name, named.column)
			}
			*named.into = i
		}
		if t.Key >= 0 && !t.Columns[t.Key].Unique {
			return fmt.Errorf("labels: table %s: column %s is no key: some rows share a value or lack it", t.Name, t.Columns[t.Key].Name)
		}
	}
	return nil
}

func (l *Labels) columns(tables []*Table) error {
	for _, t := range tables {
		tl, _ := l.of(t)
		for _, name := range sortedKeys(tl.Columns) {
			label := tl.Columns[name]
			i := t.column(name)
			if i < 0 {
				return fmt.Errorf("labels: table %s has no column %q", t.Name, name)
			}
			t.Columns[i].Label = label
			if u, ok := label["unit"]; ok {
				t.Columns[i].Unit = u
			}
		}
		for _, name := range tl.Skip {
			if i := t.column(name); i >= 0 {
				t.Columns[i].Skip = true
			} else {
				return fmt.Errorf("labels: table %s has no column %q", t.Name, name)
			}
		}
		for _, c := range t.Columns {
			c.Label = named(c.Label, c.words())
		}
	}
	return nil
}

// words is what a column is called by its name: without its unit, and a reference by what
// it refers to.
func (c *Column) words() string {
	name, renamed := strings.CutSuffix(c.Name, "_value")
	if renamed && !reservedNames[name] {
		name = c.Name
	}
	w := strings.TrimSuffix(strings.ReplaceAll(name, "_", " "), " "+strings.ToLower(c.Unit))
	if c.Ref != nil {
		for _, ending := range []string{" id", " code", " key", " no", " number"} {
			w = strings.TrimSuffix(w, ending)
		}
	}
	return strings.TrimSpace(w)
}

//go:embed glossary.txt
var glossaryText string

// glossary translates words that columns and tables are often called.
var glossary = readGlossary()

func readGlossary() map[string]string {
	words := map[string]string{}
	for line := range strings.Lines(glossaryText) {
		if en, zh, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			words[en] = zh
		}
	}
	return words
}

// translate puts a label into Chinese word by word; one that has a word it does not know
// is quoted as it is.
func translate(english string) string {
	if zh, ok := glossary[english]; ok {
		return zh
	}
	var b strings.Builder
	for word := range strings.FieldsSeq(english) {
		zh, ok := glossary[word]
		if !ok {
			if zh, ok = glossary[singular(word)]; !ok {
				return "「" + english + "」"
			}
		}
		b.WriteString(zh)
	}
	return b.String()
}
