package datasets

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

//go:embed card.md.tmpl
var cardText string

var cardTemplate = template.Must(template.New("card").Funcs(template.FuncMap{
	"whole": whole, "decimal": decimal, "percent": percent, "cell": cell, "quote": quote,
}).Parse(cardText))

// card is README.md: front matter by which the hub and the datasets package find and read
// the files, and what there is to know of them.
func card(m *Manifest, columns []column, plots []plot) ([]byte, error) {
	var features strings.Builder
	for _, c := range columns {
		features.WriteString(c.yaml("  "))
	}
	extension := "jsonl"
	if m.Settings.Parquet {
		extension = "parquet"
	}
	var b bytes.Buffer
	err := cardTemplate.Execute(&b, map[string]any{
		"Manifest": m, "Statistics": m.Statistics, "Figures": m.Statistics.figures(), "Features": features.String(),
		"Extension": extension, "Title": title(m), "Plots": plotFiles(plots), "Rows": m.rows(), "Size": sizeCategory(m.rows()),
		"Languages": languages(m.Statistics), "Reading": reading[m.Settings.Format], "LeftOut": rowsOf(m.LeftOut),
		"Tables": []shareTable{{"Domains", top(m.Statistics.Domains)}, {"Languages", top(m.Statistics.Languages)}, {"Kinds of task", top(m.Statistics.Kinds)}},
	})
	return b.Bytes(), err
}

type shareTable struct {
	Name   string
	Shares []Share
}

// top is as many as a reader takes in; the manifest has all.
func top(shares []Share) []Share {
	if len(shares) <= mostBars {
		return shares
	}
	rest := Share{Name: fmt.Sprintf("%d others", len(shares)-mostBars)}
	for _, s := range shares[mostBars:] {
		rest.Count, rest.Share = rest.Count+s.Count, rest.Share+s.Share
	}
	return append(slices.Clone(shares[:mostBars]), rest)
}

// title is the name that was asked for, or what is in it.
func title(m *Manifest) string {
	if m.Settings.Name != "" {
		return m.Settings.Name
	}
	return fmt.Sprintf("Tool-use conversations (%s)", m.Settings.Format)
}

// reading says how the trainer of a format is given the dataset.
var reading = map[Format]string{
	OpenAI: "Upload the files of `train/`. Assistant messages have `weight` 1 or 0; arguments are text.",
	TRL: "`load_dataset` on this directory, not on its files alone: the front matter above says which columns are JSON. " +
		"`SFTTrainer` takes `messages` and `tools` as they are. For loss on the assistant alone use a chat template with `{% generation %}`; " +
		"messages that are not to be learned from have `weight` 0, which the template may ask for.",
	NeMoRL: "`openai_format` with `use_preserving_dataset: true`; without it arguments are filled with nulls.",
	LLaMAFactory: "Name this directory as `dataset_dir` and `astra_train` (and `astra_eval`) as dataset: `dataset_info.json` describes them. " +
		"Calls side by side are a list in one `function_call`, and their results a JSON list in one `observation`. " +
		"Text beside calls stands before `<tool_call>…</tool_call>`, reasoning in `<think>…</think>`, as version 0.9.5 reads them.",
	ASTRA: "The form of the ASTRA-SFT rows that were released: `mcp_info` and `trajectory` are JSON text. `astra import astra-sft` reads it back.",
	ATIF:  "One trajectory a row, ATIF-v1.7. Steps with `is_copied_context` are not to be trained on; `extra.weight` of an agent's step is its loss weight.",
}

// rowsOf adds up counts.
func rowsOf(counts []Count) int {
	n := 0
	for _, c := range counts {
		n += c.Rows
	}
	return n
}

func plotFiles(plots []plot) []map[string]string {
	var all []map[string]string
	for _, p := range plots {
		all = append(all, map[string]string{"File": "plots/" + p.name + ".svg", "Title": p.title})
	}
	return all
}

// sizeCategory is the hub's word for a number of rows.
func sizeCategory(n int) string {
	bounds := []struct {
		below int
		word  string
	}{{1e3, "n<1K"}, {1e4, "1K<n<10K"}, {1e5, "10K<n<100K"}, {1e6, "100K<n<1M"}, {1e7, "1M<n<10M"}}
	for _, b := range bounds {
		if n < b.below {
			return b.word
		}
	}
	return "n>10M"
}

// languages are those that look like a language's code: front matter is read by machines.
func languages(s *Statistics) []string {
	var all []string
	for _, l := range s.Languages {
		if len(l.Name) == 2 && fileName(l.Name) == l.Name {
			all = append(all, l.Name)
		}
	}
	return all
}

// cell is a stranger's text in a table of Markdown.
func cell(s string) string {
	if s == "" {
		return "not known"
	}
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "'", "[", "\\[", "*", "\\*", "_", "\\_").Replace(s)
}

// quote is a text in YAML: JSON strings are YAML strings.
func quote(s string) string { return string(raw(s)) }
