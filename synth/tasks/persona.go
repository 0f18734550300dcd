package tasks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/astra-arenas/astra/synth/ask"
)

// A Persona is somebody who might make a request. Any part may be empty.
type Persona struct {
	Age         int    `json:"age,omitempty"`
	Occupation  string `json:"occupation,omitempty"`
	Education   string `json:"education_level,omitempty"`
	Description string `json:"professional_persona,omitempty"`
}

// ours are enough to make requests differ; larger collections can be given.
const ours = `19|apprentice electrician|blunt, in a hurry, types on a phone
23|graduate student of history|precise, likes full sentences
27|courier|short messages between two deliveries
31|nurse on night shifts|tired, polite, careful about details
34|owner of a small bakery|chatty, thinks in weeks and costs
38|data analyst|wants figures and the way to them
42|single parent of three|juggles dates, asks for the cheapest way
45|secondary school teacher|explains why something is needed
49|site manager|commands more than asks, knows the trade's words
53|translator|careful about names and spelling
58|farmer|practical, not used to computers
64|retired engineer|wants to understand, mentions exact units
71|volunteer at a museum|long-winded and friendly
29|amateur sailor|plans ahead, mentions the weather
36|accountant|wants everything checked twice
22|exchange student|simple words, asks to be told if something is unclear`

func somePersonas() (all []Persona) {
	for line := range strings.Lines(ours) {
		var p Persona
		parts := strings.Split(strings.TrimSpace(line), "|")
		fmt.Sscan(parts[0], &p.Age)
		p.Occupation, p.Description = parts[1], parts[2]
		all = append(all, p)
	}
	return all
}

const (
	maxPersonaLine = 64 << 10
	maxPersonas    = 100_000
)

// ReadPersonas reads JSON lines with age, occupation, education_level and
// professional_persona, other keys passed over, or lines of plain text, one persona each.
func ReadPersonas(r io.Reader) (all []Persona, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxPersonaLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var p Persona
		if line[0] != '{' {
			p.Description = string(line)
		} else if err := json.Unmarshal(line, &p); err != nil {
			return nil, fmt.Errorf("line %d: want an object with age, occupation or professional_persona: %w", n, err)
		}
		for _, s := range []*string{&p.Occupation, &p.Education, &p.Description} {
			*s = ask.Clip(strings.TrimSpace(*s), 200)
		}
		if p == (Persona{}) {
			return nil, fmt.Errorf("line %d: there is nothing of a person in it", n)
		}
		if all = append(all, p); len(all) > maxPersonas {
			return nil, fmt.Errorf("line %d: more than %d personas", n, maxPersonas)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no persona in it")
	}
	return all, nil
}
