package sandbox

import (
	"fmt"

	"github.com/astra-arenas/astra"
)

// A breach is a limit that a call went beyond.
type breach struct {
	what  string
	limit int64
	unit  string
}

func (b *breach) Error() string {
	return fmt.Sprintf("the tool used more than its %s (%d %s)", b.what, b.limit, b.unit)
}

// checkLimits refuses limits that cannot be kept.
func checkLimits(l astra.Limits) error {
	switch {
	case l.Memory > slotSize:
		return fmt.Errorf("limits.memory is %d bytes; at most %d (64MiB) can be had", l.Memory, slotSize)
	case l.Memory <= 0 || l.Fuel <= 0 || l.Wall <= 0 || l.Result <= 0 || l.Log < 0 || l.Depth <= 0:
		return fmt.Errorf("limits must all be above zero, but are %+v", l)
	}
	return nil
}

// depth is how deep arrays and objects are nested in JSON text that is known to be valid.
func depth(json []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(json); i++ {
		switch c := json[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}
