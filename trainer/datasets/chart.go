package datasets

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// A plot is a bar chart.
type plot struct {
	name, title string
	bars        []bar
}

type bar struct {
	label string
	value int
	text  string // beside the bar; "" is the value
}

// mostBars is how many bars a plot has at most; the rest become one.
const mostBars = 24

func (s *Statistics) plots() []plot {
	all := []plot{
		{"calls", "Conversations by tool calls", counted(s.CallsEach)},
		{"messages", "Conversations by messages", counted(s.MessagesEach)},
		{"roles", "Messages by role", named(s.Roles)},
		{"domains", "Conversations by domain", named(s.Domains)},
	}
	for _, sc := range s.Scores {
		all = append(all, plot{"score-" + fileName(sc.Name), fmt.Sprintf("%s: mean %s of %d", sc.Name, decimal(sc.Mean), sc.Count), tenths(sc)})
	}
	return all
}

// fileName keeps a stranger's name from being a path.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// counted has a bar for each number, from the first to the last that occurs.
func counted(counts []int) []bar {
	var all []bar
	for n, v := range counts {
		label := strconv.Itoa(n)
		if n == len(counts)-1 {
			label += "+"
		}
		all = append(all, bar{label: label, value: v})
	}
	for len(all) > 1 && all[0].value == 0 {
		all = all[1:]
	}
	for len(all) > 1 && all[len(all)-1].value == 0 {
		all = all[:len(all)-1]
	}
	return all
}

func named(shares []Share) []bar {
	var all []bar
	rest := 0
	for i, s := range shares {
		if i >= mostBars {
			rest += s.Count
			continue
		}
		label := s.Name
		if label == "" {
			label = "not known"
		}
		all = append(all, bar{label, s.Count, fmt.Sprintf("%s (%s)", whole(s.Count), percent(s.Share))})
	}
	if rest > 0 {
		all = append(all, bar{fmt.Sprintf("%d others", len(shares)-mostBars), rest, whole(rest)})
	}
	return all
}

func tenths(s Scores) []bar {
	var all []bar
	for i, n := range s.Tenth {
		all = append(all, bar{label: fmt.Sprintf("%.1f–%.1f", float64(i)/10, float64(i+1)/10), value: n})
	}
	return all
}

// svg draws the bars as lines of a list. Colours follow the reader's scheme: cards are shown
// on dark pages too.
func (p plot) svg() []byte {
	const width, left, line, top = 640, 170, 20, 44
	most := 1
	for _, b := range p.bars {
		most = max(most, b.value)
	}
	height := top + line*len(p.bars) + 12
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%s">`+"\n", width, height, html.EscapeString(p.title))
	s.WriteString("<style>text{font:12px system-ui,sans-serif;fill:#1d2330}.t{font-size:14px;font-weight:600}.l{text-anchor:end}rect{fill:#4a6fd0}" +
		".page{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#dde}rect{fill:#7f9cf0}.page{fill:#14171d}}</style>\n")
	fmt.Fprintf(&s, `<rect class="page" width="%d" height="%d"/><text class="t" x="16" y="24">%s</text>`+"\n", width, height, html.EscapeString(clipTo(p.title, 80)))
	for i, b := range p.bars {
		text := b.text
		if text == "" {
			text = whole(b.value)
		}
		y, w := top+line*i, float64(width-left-130)*float64(b.value)/float64(most)
		fmt.Fprintf(&s, `<text class="l" x="%d" y="%d">%s</text><rect x="%d" y="%d" width="%.1f" height="14"/><text x="%.1f" y="%d">%s</text>`+"\n",
			left-8, y+11, html.EscapeString(clipTo(b.label, 24)), left, y, w, left+w+6, y+11, html.EscapeString(text))
	}
	s.WriteString("</svg>\n")
	return []byte(s.String())
}

func clipTo(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// whole has thousands apart.
func whole(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }
