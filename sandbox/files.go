package sandbox

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/astra-arenas/astra"
)

// files are what a guest may read: the bundle's data/ as a tree. Nodes are numbered, so
// that an open file is two numbers in guest memory.
type files struct {
	nodes  []node
	byPath map[string]int // "" is the root
}

type node struct {
	path     string
	dir      bool
	data     []byte // of a file
	children []int  // of a directory, by path
}

func (n *node) name() string { return path.Base(n.path) }

// newFiles makes the tree of a bundle's data/; a nil bundle has an empty one.
func newFiles(b *astra.Bundle) *files {
	f := &files{nodes: []node{{dir: true}}, byPath: map[string]int{"": 0}}
	if b == nil {
		return f
	}
	for _, file := range b.Files() {
		if name, ok := strings.CutPrefix(file.Path, "data/"); ok {
			f.add(node{path: name, data: file.Data})
		}
	}
	for _, n := range f.nodes {
		slices.SortFunc(n.children, func(a, b int) int { return cmp.Compare(f.nodes[a].path, f.nodes[b].path) })
	}
	return f
}

func (f *files) add(n node) int {
	if i, ok := f.byPath[n.path]; ok {
		return i
	}
	parent := 0
	if dir := path.Dir(n.path); dir != "." {
		parent = f.add(node{path: dir, dir: true})
	}
	i := len(f.nodes)
	f.nodes = append(f.nodes, n)
	f.byPath[n.path] = i
	f.nodes[parent].children = append(f.nodes[parent].children, i)
	return i
}

// file reads a file under data/ by its path there.
func (f *files) file(name string) ([]byte, bool) {
	if f == nil {
		return nil, false
	}
	i, ok := f.byPath[name]
	if !ok || f.nodes[i].dir {
		return nil, false
	}
	return f.nodes[i].data, true
}

// find follows a path from a directory; it does not leave the tree.
func (f *files) find(dir int, name string) (int, bool) {
	full := path.Join("/", f.nodes[dir].path, name)
	i, ok := f.byPath[full[1:]]
	return i, ok
}
