package certify

import (
	"math"
	"strings"

	"github.com/astra-arenas/astra"
)

// A tally is what one check has to say of one task or tool.
type tally struct {
	sums     map[string]float64 // by figure
	unknown  int
	findings []astra.Finding
	more     int
	mutation astra.Mutation
}

func (t *tally) add(figure string, n float64) {
	if t.sums == nil {
		t.sums = map[string]float64{}
	}
	t.sums[figure] += n
}

func (t *tally) find(f astra.Finding) {
	if len(t.findings) == astra.MaxFindings {
		t.more++
		return
	}
	f.Text = clip(f.Text, astra.MaxFindingText)
	t.findings = append(t.findings, f)
}

// join adds what another tally has to say. They are joined in the order of tasks or tools.
func (t *tally) join(o *tally) {
	for name, n := range o.sums {
		t.add(name, n)
	}
	for _, f := range o.findings {
		t.find(f)
	}
	t.unknown += o.unknown
	t.more += o.more
	t.mutation.Made += o.mutation.Made
	t.mutation.Refused += o.mutation.Refused
}

// round keeps six digits behind the point: no figure tells how floats were added up.
func round(x float64) float64 { return math.Round(x*1e6) / 1e6 }

func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n-len("…")] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// quote is foreign text or JSON in a finding, no longer than people read.
func quote[T ~string | ~[]byte](s T) string { return clip(string(s), 120) }
