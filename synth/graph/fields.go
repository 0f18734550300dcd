package graph

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/astra-arenas/astra/synth/servers"
)

// A need is an argument that a tool cannot be called without.
type need struct {
	described
	name string
	keys []string // what it may be called elsewhere, the surest first
}

// needsOf are the required arguments of a tool that are about something.
func needsOf(t *servers.Tool) (all []need) {
	w := walkOf(t.Input)
	verb, noun := verbAndNoun(t.Name)
	for _, name := range w.root.Required {
		n := need{described: w.described(w.root.Properties[name]), name: name}
		own := tokens(name)
		if names(own) && !making[verb] {
			own = slices.Concat(noun, own) // id of get_order is order id
		}
		if making[verb] && slices.Equal(own, noun) || freely(own) {
			continue // what is to be made is not looked up, and what is to be said neither
		}
		if specific(own) {
			n.keys = append(n.keys, strings.Join(own, " "))
		}
		for _, run := range phrases(tokens(n.says)) {
			if naming[run[len(run)-1]] { // "the account ID to pay from"
				n.keys = append(n.keys, strings.Join(run, " "))
			}
		}
		if len(n.keys) > 0 {
			all = append(all, n)
		}
	}
	return all
}

// names reports whether words do no more than name one of something.
func names(words []string) bool {
	return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !naming[w] })
}

// freely reports whether an argument is whatever its caller likes to say.
func freely(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !free[w] })
}

// A gift is what a tool gives to its caller.
type gift struct {
	described
	key string
	how string // in words: what says so
}

// giftsOf are the fields that a tool's output schema has; of one that says nothing of them,
// what its name and description say.
func giftsOf(t *servers.Tool) []gift {
	verb, noun := verbAndNoun(t.Name)
	if t.Output != nil {
		w := &fieldWalk{walk: walkOf(t.Output), noun: noun}
		if w.fields(); len(w.gifts) > 0 {
			return w.gifts
		}
	}
	return append(told(t.Description), implied(verb, noun)...)
}

// brought are the keys of what a caller of a tool must have already, at any depth.
func brought(t *servers.Tool) map[string]bool {
	_, noun := verbAndNoun(t.Name)
	w := &fieldWalk{walk: walkOf(t.Input), noun: noun, required: true}
	w.fields()
	return w.seen
}

// A fieldWalk collects the fields of a schema, the outermost first.
type fieldWalk struct {
	*walk
	noun     []string // of the tool: what the outermost fields are fields of
	required bool     // no others
	queue    []inside
	gifts    []gift
	seen     map[string]bool // by key
}

// inside is a value that has fields: what its caller finds at path, and calls as in owner.
type inside struct {
	schema *schema
	owner  []string
	path   string
	depth  int
}

func (w *fieldWalk) fields() {
	w.queue, w.seen = []inside{{schema: w.root}}, map[string]bool{}
	for len(w.queue) > 0 {
		in := w.queue[0]
		w.queue = w.queue[1:]
		if in.depth > maxNesting {
			continue
		}
		for _, v := range w.variants(in.schema) {
			if v.Items != nil {
				w.queue = append(w.queue, inside{v.Items, in.owner, in.path + "[]", in.depth + 1})
			}
			for _, name := range slices.Sorted(maps.Keys(v.Properties)) {
				if !w.required || slices.Contains(v.Required, name) {
					w.field(name, v.Properties[name], in)
				}
			}
		}
	}
}

func (w *fieldWalk) field(name string, s *schema, in inside) {
	path := strings.TrimPrefix(in.path+"."+name, ".")
	own, owner := tokens(name), in.owner
	key := own
	if names(own) {
		if key = slices.Concat(owner, own); len(owner) == 0 {
			key = slices.Concat(w.noun, own)
		}
	}
	if text := strings.Join(key, " "); specific(key) && !w.seen[text] {
		w.seen[text] = true
		w.gifts = append(w.gifts, gift{w.described(s), text, "returns " + path})
	}
	if specific(own) {
		owner = own
	}
	w.queue = append(w.queue, inside{s, owner, path, in.depth + 1})
}

// told are the phrases of what a description says is returned.
func told(description string) (all []gift) {
	for _, clause := range returning.FindAllStringSubmatch(description, -1) {
		for _, run := range phrases(tokens(clause[1])) {
			text := strings.Join(run, " ")
			all = append(all, gift{key: text, how: fmt.Sprintf("says that it returns %q", text)})
		}
	}
	return all
}

var returning = regexp.MustCompile(`(?i)(?:\breturn(?:s|ing|ed)?\b|\byields?\b|返回)([^.;。；\n]*)`)

// implied is what a tool gives by its name alone: who finds or makes an order knows its id.
func implied(verb string, noun []string) (all []gift) {
	if !finding[verb] || !specific(noun) || len(noun) > 3 {
		return nil
	}
	whole := strings.Join(noun, " ")
	how := fmt.Sprintf("gives %s, by its name", whole)
	all = append(all, gift{key: whole, how: how})
	for _, attribute := range slices.Sorted(maps.Keys(naming)) {
		all = append(all, gift{key: whole + " " + attribute, how: how})
		if last := noun[len(noun)-1]; last != whole && !general[last] {
			all = append(all, gift{key: last + " " + attribute, how: how})
		}
	}
	return all
}
