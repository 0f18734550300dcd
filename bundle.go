package astra

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// What a bundle may hold. It is kept in memory whole, by every process that serves it, so the
// limits are on the order of what people write and synthesizers emit, not of what a disk holds.
const (
	MaxBundleBytes = 64 << 20 // all files together
	MaxFileBytes   = 32 << 20 // one file; the largest are WASM modules and tables in data/
	MaxFiles       = 4096
	MaxPathBytes   = 255 // what common file systems take for one name
)

// The files that mean something to us.
const (
	manifestFile    = "arena.yaml"
	tasksFile       = "tasks.jsonl"
	certificateFile = "CERTIFICATE.json"
)

// A Bundle is the files of an arena, sorted by the bytes of their paths. It is immutable.
type Bundle struct {
	files  []File
	digest Digest
}

// A File is one regular file of a bundle. Paths are relative, NFC, with "/".
type File struct {
	Path string
	Data []byte
}

// NewBundle makes a bundle of files in memory; it keeps their data, which must not be changed.
// Names that begin with a dot are left out. Paths that cannot be in a bundle are refused: the
// error is a *BundleErrors.
func NewBundle(files []File) (*Bundle, error) {
	var bad refusals
	var kept []File
	total := 0
	for _, f := range files {
		if why, fix := refusePath(f.Path); why != "" {
			bad.add("", 0, fix, "path %s %s", clip(f.Path), why)
			continue
		}
		if hidden(f.Path) {
			continue
		}
		if len(f.Data) > MaxFileBytes {
			bad.add(f.Path, 0, "split it or leave it out", "%d bytes; a file may have %d", len(f.Data), MaxFileBytes)
		}
		total += len(f.Data)
		kept = append(kept, f)
	}
	checkTotals(&bad, len(kept), total)
	slices.SortFunc(kept, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	refuseClashes(&bad, kept)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return &Bundle{files: kept, digest: digest(kept)}, nil
}

func checkTotals(bad *refusals, files, total int) {
	if files > MaxFiles {
		bad.add("", 0, "join small files into tables", "%d files; a bundle may have %d", files, MaxFiles)
	}
	if total > MaxBundleBytes {
		bad.add("", 0, "leave out what the tools do not read", "%d bytes; a bundle may have %d", total, MaxBundleBytes)
	}
}

// Files returns the bundle's files, sorted by path. They must not be changed.
func (b *Bundle) Files() []File { return b.files }

// File returns the content of a path, which must not be changed.
func (b *Bundle) File(path string) ([]byte, bool) {
	i, ok := slices.BinarySearchFunc(b.files, path, func(f File, p string) int { return cmp.Compare(f.Path, p) })
	if !ok {
		return nil, false
	}
	return b.files[i].Data, true
}

// Digest names the content: "sha256:" and the SHA-256 of the line "astra-arena 1" and
// then, for each file in order, the line "<sha256 hex> <size> <path>", each ended by one
// LF. CERTIFICATE.json at the root is left out, so that certifying changes no name.
func (b *Bundle) Digest() Digest { return b.digest }

func digest(files []File) Digest {
	h := sha256.New()
	fmt.Fprintf(h, "astra-arena 1\n")
	for _, f := range files {
		if f.Path != certificateFile {
			fmt.Fprintf(h, "%x %d %s\n", sha256.Sum256(f.Data), len(f.Data), f.Path)
		}
	}
	return Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// hidden reports whether a path is no part of a bundle.
func hidden(path string) bool {
	return strings.HasPrefix(path, ".") || strings.Contains(path, "/.")
}

// refusePath says why a path cannot be in a bundle, and what to do; "" if it can.
func refusePath(path string) (why, fix string) {
	switch {
	case path == "":
		return "is empty", "name the file"
	case len(path) > MaxPathBytes:
		return fmt.Sprintf("has %d bytes; it may have %d", len(path), MaxPathBytes), "shorten it"
	case !utf8.ValidString(path):
		return "is not UTF-8", "rename the file"
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return "has a backslash or a control character", `rename the file, and separate folders by "/"`
	case !norm.NFC.IsNormalString(path):
		return "is not in Unicode's composed form (NFC)", "rename the file to " + clip(norm.NFC.String(path))
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "leaves the bundle or is not in its shortest form", `use a plain relative path such as "data/items.json"`
		}
	}
	return "", ""
}

// refuseClashes refuses what some file system could not hold: the same path twice, paths or folders that differ
// only by case, and a file where another path has a folder.
func refuseClashes(bad *refusals, files []File) {
	fold := cases.Fold()
	spelled := map[string]string{} // folded path or folder -> as first written
	isFile := map[string]bool{}
	for _, f := range files {
		if isFile[f.Path] {
			bad.add(f.Path, 0, "keep one", "it is there twice")
			continue
		}
		isFile[f.Path] = true
		for end := range pathEnds(f.Path) {
			part := f.Path[:end]
			key := fold.String(part)
			if first, ok := spelled[key]; ok && first != part {
				bad.add(f.Path, 0, "rename one", "%s and %s differ only by case", clip(first), clip(part))
				break
			}
			spelled[key] = part
			if end < len(f.Path) && isFile[part] {
				bad.add(f.Path, 0, "rename one", "%s is a file and a folder", clip(part))
				break
			}
		}
	}
}

// pathEnds yields the length of each folder of a path, outermost first, and of the path.
func pathEnds(path string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range len(path) {
			if path[i] == '/' && !yield(i) {
				return
			}
		}
		yield(len(path))
	}
}
