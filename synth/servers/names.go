package servers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/astra-arenas/astra"
)

const maxName = 64 // of an arena and of a tool, as the root has it

// Names hands out the names of servers, each once. The zero value is ready.
type Names struct{ taken map[string]bool }

// Take makes a free name of what a server is called: "GitHub Issues" is github-issues, the
// next one github-issues-2.
func (n *Names) Take(called string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	whole := serverName(called)
	name := whole
	for i := 2; n.taken[name]; i++ {
		number := fmt.Sprintf("-%d", i)
		name = clip(whole, maxName-len(number)) + number
	}
	n.taken[name] = true
	return name
}

var (
	arenaName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	notInName = regexp.MustCompile(`[^a-z0-9]+`)
)

// serverName is an arena's name. Of a name in another script than ours nothing would be
// left, so it becomes a digest.
func serverName(called string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(called), "-"), "-")
	switch {
	case name == "":
		sum := sha256.Sum256([]byte(called))
		name = "server-" + hex.EncodeToString(sum[:4])
	case name[0] <= '9':
		name = "server-" + name
	}
	return strings.TrimRight(clip(name, maxName), "-")
}

// toolNames makes identifiers of what a server calls its tools, as mirroring a server does:
// get-sum is get_sum. Equal originals have equal names, so that one that comes twice shows.
type toolNames struct {
	server string
	names  map[string]string // by original
	taken  map[string]bool
}

func namesOf(server string) *toolNames {
	return &toolNames{server: server, names: map[string]string{}, taken: map[string]bool{}}
}

// take names a tool. One that means something at an arena's doors gets the server's name
// before it, one that is taken a number behind.
func (n *toolNames) take(original string) string {
	if name, ok := n.names[original]; ok {
		return name
	}
	whole := clip(identifier(original), maxName)
	if astra.ToolNameError(whole) != nil {
		whole = clip(identifier(n.server)+"_"+whole, maxName)
	}
	name := whole
	for i := 2; n.taken[name]; i++ {
		number := fmt.Sprintf("_%d", i)
		name = clip(whole, maxName-len(number)) + number
	}
	n.names[original], n.taken[name] = name, true
	return name
}

// known is the name of a tool that was taken, or what it is called.
func (n *toolNames) known(original string) string {
	if name, ok := n.names[original]; ok {
		return name
	}
	return original
}

func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "_" + s
	}
	return s
}

func clip(s string, most int) string { return s[:min(len(s), most)] }
