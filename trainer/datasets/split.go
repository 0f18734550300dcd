package datasets

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
)

// A component is rows whose servers are linked: a row links all servers whose tools it
// shows. Were it divided, eval rows would ask for tools that were trained on.
type component struct {
	name string // its least server
	rows []int
}

// components finds them by union-find over the servers of each row.
func components(servers [][]string) []component {
	above := map[string]string{}
	var top func(string) string
	top = func(s string) string {
		if above[s] == "" || above[s] == s {
			above[s] = s
			return s
		}
		above[s] = top(above[s])
		return above[s]
	}
	for _, row := range servers {
		for _, s := range row[1:] {
			a, b := top(row[0]), top(s)
			above[max(a, b)] = min(a, b)
		}
	}
	at := map[string]int{}
	var all []component
	for i, row := range servers {
		name := top(row[0])
		if _, ok := at[name]; !ok {
			at[name] = len(all)
			all = append(all, component{name: name})
		}
		all[at[name]].rows = append(all[at[name]].rows, i)
	}
	return all
}

// holdBack chooses components whose rows together are as near share of all rows as whole
// components allow, and returns those rows. Of the choices that are equally near the seed
// decides, by hash. The time is rows times components, in steps of a nanosecond.
func holdBack(all []component, rows int, share float64, seed int64) map[int]bool {
	slices.SortFunc(all, func(a, b component) int {
		return cmp.Or(cmp.Compare(draw(seed, a.name), draw(seed, b.name)), cmp.Compare(a.name, b.name))
	})
	target := int(math.Round(share * float64(rows)))
	last := make([]int, max(min(2*target, rows-1), 0)+1) // last[n]: the component that first made n rows possible, from 1
	for i, c := range all {
		for n := len(last) - 1 - len(c.rows); n >= 0; n-- {
			if m := n + len(c.rows); last[m] == 0 && (n == 0 || last[n] != 0) {
				last[m] = i + 1
			}
		}
	}
	held := map[int]bool{}
	for n := nearest(last, target); n > 0; {
		c := all[last[n]-1]
		for _, row := range c.rows {
			held[row] = true
		}
		n -= len(c.rows)
	}
	return held
}

// nearest is the number of rows, among those that are possible, that is nearest to target.
func nearest(last []int, target int) int {
	best := 0
	for n := range last {
		if last[n] != 0 && max(n-target, target-n) < max(best-target, target-best) {
			best = n
		}
	}
	return best
}

func draw(seed int64, name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "astra-split 1 %d\x00%s", seed, name))
	return string(sum[:])
}
