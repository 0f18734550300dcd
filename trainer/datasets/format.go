package datasets

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// A Format is the form of a trainer's rows.
type Format string

// The formats. Each has a file of its own.
const (
	OpenAI       Format = "openai"
	TRL          Format = "trl"
	NeMoRL       Format = "nemo-rl"
	LLaMAFactory Format = "llama-factory"
	ASTRA        Format = "astra"
	ATIF         Format = "atif"
)

// Formats are all of them.
func Formats() []Format { return []Format{OpenAI, TRL, NeMoRL, LLaMAFactory, ASTRA, ATIF} }

// A form makes the rows of one format and writes them.
type form interface {
	// row is the conversation as a row, with what of it the row does not say.
	row(c *conversation) (row any, lost []string, err error)
	// jsonl and parquet write rows that row made.
	jsonl(w io.Writer) sheet
	parquet(w io.Writer) sheet
	// columns describes the rows to the datasets package.
	columns() []column
}

// A sheet is one file of rows.
type sheet interface {
	write(row any) error
	close() error
}

// formOf is nil for a format that does not exist.
func formOf(o *Options) form {
	switch o.Format {
	case OpenAI:
		return kindOf(o, openAI)
	case TRL:
		if o.StringArguments {
			return kindOf(o, trlPlain)
		}
		return kindOf(o, trl)
	case NeMoRL:
		return kindOf(o, nemoRL)
	case LLaMAFactory:
		return kindOf(o, llamaFactory)
	case ASTRA:
		return kindOf(o, astraSFT)
	case ATIF:
		return kindOf(o, atif)
	}
	return nil
}

// A kind is a form whose rows are structs R: json tags name the columns, parquet tags shape
// them.
type kind[R any] struct {
	make    func(*conversation) (R, []string, error)
	numbers func(string) (string, error) // in JSON columns; nil is as they are
}

// kindOf minds the numbers of files that the datasets package reads: all Parquet, and
// whatever is for TRL. Other JSON lines are read by other parsers.
func kindOf[R any](o *Options, f func(*conversation) (R, []string, error)) form {
	k := kind[R]{make: f}
	if o.Parquet {
		k.numbers = spell
	} else if o.Format == TRL {
		k.numbers = check
	}
	return k
}

func (k kind[R]) row(c *conversation) (any, []string, error) {
	row, lost, err := k.make(c)
	if err != nil || k.numbers == nil {
		return row, lost, err
	}
	return row, lost, eachJSON(reflect.ValueOf(&row).Elem(), k.numbers)
}

// eachJSON replaces the JSON of a row's columns.
func eachJSON(v reflect.Value, f func(string) (string, error)) error {
	for i := range v.NumField() {
		var all []*jsonText
		switch field := v.Field(i).Addr().Interface().(type) {
		case *jsonText:
			all = []*jsonText{field}
		case *[]jsonText:
			for n := range *field {
				all = append(all, &(*field)[n])
			}
		}
		for _, one := range all {
			text, err := f(string(*one))
			if err != nil {
				return leaveOut("a number that the datasets package would change", "%w; Parquet keeps more of them than JSON lines, trl with --arguments string all", err)
			}
			*one = jsonText(text)
		}
	}
	return nil
}

type jsonl struct{ e *json.Encoder }

func (j jsonl) write(row any) error { return j.e.Encode(row) }
func (j jsonl) close() error        { return nil }

func (k kind[R]) jsonl(w io.Writer) sheet {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return jsonl{e}
}

// A parquetSheet takes rows apart itself: parquet-go's (0.32) own way from structs to columns
// loses the elements of lists of JSON.
type parquetSheet[R any] struct{ w *parquet.GenericWriter[R] }

func (p parquetSheet[R]) write(row any) error {
	_, err := p.w.WriteRows([]parquet.Row{p.w.Schema().Deconstruct(nil, row)})
	return err
}

func (p parquetSheet[R]) close() error { return p.w.Close() }

// parquet leaves it to the logical type to say which columns are JSON: pyarrow reads it, and
// so do the datasets package's features.
func (k kind[R]) parquet(w io.Writer) sheet {
	return parquetSheet[R]{parquet.NewGenericWriter[R](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1000))} // groups wait in memory
}

// A column is one column of a format's rows.
type column struct {
	name   string
	list   bool
	kind   string   // "string", "json", "float64" or "bool"
	fields []column // of a record, or of those of a list
}

func (k kind[R]) columns() []column { return columnsOf(reflect.TypeFor[R]()) }

// jsonText is JSON in a column. It is no json.RawMessage, which parquet-go would take apart.
type jsonText string

// MarshalJSON is the text itself.
func (t jsonText) MarshalJSON() ([]byte, error) { return []byte(t), nil }

var isJSON = reflect.TypeFor[jsonText]()

func columnsOf(t reflect.Type) []column {
	var all []column
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		c := column{name: name}
		of := f.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if c.list = of.Kind() == reflect.Slice; c.list {
			of = of.Elem()
		}
		switch {
		case of == isJSON:
			c.kind = "json"
		case of.Kind() == reflect.Struct:
			c.fields = columnsOf(of)
		default:
			c.kind = of.Kind().String()
		}
		all = append(all, c)
	}
	return all
}

// yaml is the column as a card's front matter has it.
func (c column) yaml(indent string) string {
	head := fmt.Sprintf("%s- name: %s\n", indent, c.name)
	word := "dtype"
	if c.list {
		word = "list"
	} else if c.fields != nil {
		word = "struct"
	}
	if c.fields == nil {
		return head + fmt.Sprintf("%s  %s: %s\n", indent, word, c.kind)
	}
	head += fmt.Sprintf("%s  %s:\n", indent, word)
	for _, f := range c.fields {
		head += f.yaml(indent + "  ")
	}
	return head
}

// raw is a value as compact JSON in which <, > and & stand as they are. The values are
// structs of ours and JSON that was read before, so there is no error to have.
func raw(v any) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// rawList is each value as JSON, and never null: loaders want a list.
func rawList[T any](values []T) []jsonText {
	all := make([]jsonText, len(values))
	for i, v := range values {
		all[i] = jsonText(raw(v))
	}
	return all
}

// lastIsAssistant is asked by formats whose readers refuse other ends.
func (c *conversation) lastIsAssistant() error {
	if last := c.chat[len(c.chat)-1]; last.Role != "assistant" || len(last.ToolCalls) > 0 {
		return leaveOut("its last message is not the assistant's answer", "it is of role %s", last.Role)
	}
	return nil
}

// ifMasked tells of a loss where something is not to be learned from.
func (c *conversation) ifMasked(loss string) []string {
	if c.masked() {
		return []string{loss}
	}
	return nil
}

// masked reports whether an assistant message is not to be learned from.
func (c *conversation) masked() bool {
	for i, m := range c.chat {
		if m.Role == "assistant" && c.weights[i] == 0 {
			return true
		}
	}
	return false
}

// What rows may not say. The card has the sentences.
const (
	lostWeights   = "messages that are not to be learned from (loss weight 0) are not marked in the rows; rows.jsonl has the weights"
	unheeded      = "messages that are not to be learned from have weight 0, which the trainer itself passes over; a chat template must look at it"
	lostIDs       = "ids of calls are left out; calls and results pair by order"
	lostReasoning = "reasoning of the assistant is left out"
)

// objectArguments are the arguments of a call as an object.
func objectArguments(m int, call string, text string) (json.RawMessage, error) {
	args, ok := object(text)
	if !ok {
		return nil, leaveOut("arguments that are no JSON object", "message %d, call of %s; formats and options with arguments as text take it", m, call)
	}
	if halfCharacter(args) {
		return nil, leaveOut("half a character in arguments", "message %d, call of %s; formats and options with arguments as text take it", m, call)
	}
	return slices.Clip(args), nil
}
